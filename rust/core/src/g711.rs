//! G.711, the coding of telephones: mu-law and A-law, eight bits for a sample.
//!
//! ITU-T G.711 (11/88) defines both by their decision values, of which a 16-bit sample may be one.
//! The interval that it then belongs to is chosen as in the reference software (ITU-T G.191): a
//! negative sample `s` is coded as `-s - 1` with the other sign. All 65,536 samples are coded as
//! there.

/// A law of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// That of North America and Japan, and of most services on the internet (G.711, table 2).
    Mu,
    /// That of the rest of the world (G.711, table 1).
    A,
}

/// The sign bit of a code, set for positive samples in both laws.
const POSITIVE: u8 = 0x80;

/// The bits of an A-law code that are inverted on the wire (G.711, note 2 of table 1a).
const EVEN_BITS: u8 = 0x55;

/// Half the first interval of mu-law, which moves every segment to a power of two.
const BIAS: u16 = 33;

/// The samples of all codes.
const MU_LAW: [i16; 256] = table(Law::Mu);
const A_LAW: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0_u8;
    loop {
        samples[code as usize] = match law {
            Law::Mu => expand_mu(code),
            Law::A => expand_a(code),
        };
        if code == u8::MAX {
            return samples;
        }
        code += 1;
    }
}

/// The sample of a mu-law code: 14 bits, of which 16 are made.
const fn expand_mu(code: u8) -> i16 {
    let bits = !code;
    let (segment, step) = ((bits >> 4) & 7, (bits & 15) as i16);
    let magnitude = (((2 * step + 33) << segment) - 33) << 2;
    if code & POSITIVE != 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The sample of an A-law code: 13 bits, of which 16 are made.
const fn expand_a(code: u8) -> i16 {
    let bits = code ^ EVEN_BITS;
    let (segment, step) = ((bits >> 4) & 7, (bits & 15) as i16);
    let magnitude = if segment == 0 {
        (2 * step + 1) << 3
    } else {
        (2 * step + 33) << (segment + 2)
    };
    if bits & POSITIVE != 0 {
        magnitude
    } else {
        -magnitude
    }
}

impl Law {
    /// Returns the sample of a code.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_core::Law;
    /// assert_eq!(Law::Mu.decode(0x80), 32_124);
    /// assert_eq!(Law::A.decode(0x55), -8);
    /// ```
    #[must_use]
    pub const fn decode(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU_LAW[code as usize],
            Self::A => A_LAW[code as usize],
        }
    }

    /// Returns the code of a sample.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_core::Law;
    /// assert_eq!(Law::Mu.encode(32_767), 0x80);
    /// assert_eq!(Law::A.encode(-1), 0x55);
    /// ```
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        let sign = if sample < 0 { 0 } else { POSITIVE };
        // 15 bits; two's complement has one negative number more than there are positive ones.
        let magnitude = (if sample < 0 { !sample } else { sample }).cast_unsigned();
        match self {
            Self::Mu => (sign | compress(biased(magnitude), 5)) ^ 0x7f,
            Self::A => (sign | compress_a(magnitude >> 4)) ^ EVEN_BITS,
        }
    }

    /// Appends the sample of each code to `out`.
    ///
    /// Without room for them in `out`, missing memory ends the process.
    pub fn decode_all(self, codes: &[u8], out: &mut Vec<i16>) {
        out.extend(codes.iter().map(|&code| self.decode(code)));
    }

    /// Appends the code of each sample to `out`.
    ///
    /// Without room for them in `out`, missing memory ends the process.
    pub fn encode_all(self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|&sample| self.encode(sample)));
    }
}

/// The magnitude of a mu-law sample in 13 bits, the largest cut off, with the bias.
const fn biased(magnitude: u16) -> u16 {
    let biased = (magnitude >> 2) + BIAS;
    if biased > 0x1fff { 0x1fff } else { biased }
}

/// The first two segments of A-law have intervals of one length, as one segment of 32.
const fn compress_a(magnitude: u16) -> u8 {
    if magnitude < 32 {
        // Below 32.
        magnitude.to_le_bytes()[0]
    } else {
        compress(magnitude, 3)
    }
}

/// Three bits for the segment and the four that follow the highest bit of a magnitude.
///
/// Each segment is twice as long as the one before it; `first` is the place of the highest bit in
/// the segment 0.
#[allow(clippy::cast_possible_truncation, reason = "these are 7 bits")]
const fn compress(magnitude: u16, first: u32) -> u8 {
    let highest = magnitude.ilog2();
    let interval = (magnitude >> (highest - 4)) & 15;
    ((highest - first) << 4) as u8 | interval as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWS: [Law; 2] = [Law::Mu, Law::A];

    #[test]
    fn every_code_is_its_own_but_the_second_zero_of_mu_law() {
        for law in LAWS {
            for code in 0..=u8::MAX {
                let again = law.encode(law.decode(code));
                if (law, code) == (Law::Mu, 0x7f) {
                    assert_eq!((law.decode(code), again), (0, 0xff));
                } else {
                    assert_eq!(again, code, "{law:?}");
                }
            }
        }
    }

    /// The decision values of tables 1 and 2 of G.711, in steps of 16 bits: seven or eight segments
    /// of 16 intervals, each segment with intervals of twice the length.
    fn decision_values(law: Law) -> Vec<i32> {
        let (first, segments) = match law {
            // The first interval is half as long: mu-law has two zeros.
            Law::Mu => (vec![4], vec![(8, 15)]),
            Law::A => (vec![], vec![(16, 32)]),
        };
        let shortest = segments[0].0;
        let longer = (1..8).map(|nth| (shortest << nth, 16));
        let lengths = segments
            .iter()
            .copied()
            .chain(longer)
            .flat_map(|(length, count)| std::iter::repeat_n(length, count));
        let ends = first.into_iter().chain(lengths).scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        [0].into_iter().chain(ends).take(129).collect()
    }

    /// The code of an interval, from 0 on, as the tables have it: in mu-law all bits of the number
    /// are inverted, in A-law every second one.
    fn code_of(law: Law, interval: usize, is_positive: bool) -> u8 {
        let number = u8::try_from(interval).unwrap();
        match (law, is_positive) {
            (Law::Mu, true) => 255 - number,
            (Law::Mu, false) => 127 - number,
            (Law::A, true) => (128 + number) ^ 0b0101_0101,
            (Law::A, false) => number ^ 0b0101_0101,
        }
    }

    #[test]
    fn all_codes_and_samples_are_those_of_the_recommendation() {
        for law in LAWS {
            let values = decision_values(law);
            assert_eq!(values.len(), 129);
            assert_eq!(
                values[128],
                if law == Law::Mu { 4 * 8159 } else { 8 * 4096 }
            );
            let interval_of =
                |magnitude: i32| values.partition_point(|&value| value <= magnitude) - 1;
            for (interval, ends) in values.windows(2).enumerate() {
                // Half way between its decision values; the first of mu-law is zero.
                let middle = match (law, interval) {
                    (Law::Mu, 0) => 0,
                    _ => i32::midpoint(ends[0], ends[1]),
                };
                for (sign, sample) in [(true, middle), (false, -middle)] {
                    assert_eq!(i32::from(law.decode(code_of(law, interval, sign))), sample);
                }
            }
            for sample in i16::MIN..=i16::MAX {
                let magnitude = i32::from(if sample < 0 { !sample } else { sample });
                let expected = code_of(law, interval_of(magnitude).min(127), sample >= 0);
                assert_eq!(law.encode(sample), expected, "{law:?} of {sample}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(Law::Mu.encode(i16::MIN), 0x00);
        assert_eq!(Law::Mu.encode(i16::MAX), 0x80);
        assert_eq!(Law::Mu.encode(0), 0xff);
        assert_eq!(Law::A.encode(i16::MIN), 0x2a);
        assert_eq!(Law::A.encode(i16::MAX), 0xaa);
        assert_eq!(Law::A.encode(0), 0xd5);
    }

    #[test]
    fn many_at_once() {
        let (mut samples, mut codes) = (vec![1], vec![2]);
        Law::A.decode_all(&[0x55, 0xd5], &mut samples);
        assert_eq!(samples, [1, -8, 8]);
        Law::A.encode_all(&samples, &mut codes);
        assert_eq!(codes, [2, 0xd5, 0x55, 0xd5]);
    }
}

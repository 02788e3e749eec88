//! Decoded audio as int16, as libopus converts it, for as many samples at a time as a vector has.

/// True if a sample is beyond -1 to 1, or is no number.
pub(crate) fn is_beyond_full_scale(samples: &[f32]) -> bool {
    // No early end: a branch for each sample takes longer than all of them.
    samples.iter().fold(false, |any, sample| {
        any | (sample.abs() > 1.0) | sample.is_nan()
    })
}

/// Appends samples from -1 to 1 as int16: rounded to the nearest, a half to the even one, and saturated;
/// NaN as -1.
pub(crate) fn append(samples: &[f32], audio: &mut Vec<i16>) {
    // 1.5 * 2^23: a sum with it has no room for a fraction, and the whole number in its low bits.
    const ROUND: f32 = 12_582_912.0;
    audio.extend(samples.iter().map(|&sample| {
        #[allow(clippy::manual_clamp, reason = "it would keep a NaN")]
        let scaled = (sample * 32_768.0).max(-32_768.0).min(32_767.0);
        #[allow(clippy::cast_possible_truncation, reason = "the low bits alone")]
        let low = (scaled + ROUND).to_bits() as i16;
        low
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_and_quarter_is_rounded_as_by_the_processor() {
        let quarters = -4 * 33_000..=4 * 33_000;
        #[allow(clippy::cast_precision_loss, reason = "18 bits")]
        let samples: Vec<f32> = quarters.map(|it| it as f32 / 131_072.0).collect();
        let mut audio = vec![7];
        append(&samples, &mut audio);
        #[allow(clippy::cast_possible_truncation, reason = "it saturates, as intended")]
        let rounded = |sample: &f32| (sample * 32_768.0).round_ties_even() as i16;
        let expected: Vec<i16> = samples.iter().map(rounded).collect();
        assert!(audio[1..] == expected);
        audio.clear();
        append(&[f32::NAN, f32::INFINITY, -0.0], &mut audio);
        assert_eq!(audio, [i16::MIN, i16::MAX, 0]);
    }

    #[test]
    fn what_is_beyond_full_scale_is_found_wherever_it_is() {
        for place in 0..40 {
            for (value, is_beyond) in [(1.0, false), (-1.0, false), (1.000_001, true), (-9.0, true)]
            {
                let mut samples = [0.5; 40];
                samples[place] = value;
                assert_eq!(
                    is_beyond_full_scale(&samples),
                    is_beyond,
                    "{value} at {place}"
                );
            }
        }
        assert!(is_beyond_full_scale(&[0.0, f32::NAN]));
        assert!(is_beyond_full_scale(&[f32::NEG_INFINITY]));
        assert!(!is_beyond_full_scale(&[]));
    }
}

//! An encoder that follows the path to the remote peer.

use std::time::Duration;

use crate::{EncoderAdaptation, EncoderTerms, OpusApplication, OpusEncoder, OpusError, PathReport};

/// The work of the transform codec, of 0 to 10. From two on it looks for transients in full; ten
/// takes twice as long for half a decibel.
const TRANSFORM_COMPLEXITY: i32 = 2;

/// The work of the speech codec: with five its noise shaping is whole (`silk/control_codec.c` of
/// libopus); ten takes half as much again.
const SPEECH_COMPLEXITY: i32 = 5;

/// Encodes one stream at 48 kHz, with the settings that [`EncoderAdaptation`] finds.
///
/// On a free path it uses the transform codec alone: half the work at that rate, 4 ms less delay,
/// and nearer to the original than the speech codec.
#[derive(Debug)]
pub struct StreamEncoder {
    encoder: OpusEncoder,
    adaptation: EncoderAdaptation,
    terms: EncoderTerms,
}

impl StreamEncoder {
    /// An encoder of `channels`.
    ///
    /// # Errors
    /// As of [`OpusEncoder::new`].
    pub fn new(channels: usize) -> Result<Self, OpusError> {
        let adaptation = EncoderAdaptation::new(channels);
        let terms = adaptation.terms();
        Ok(Self {
            encoder: encoder(channels, terms)?,
            adaptation,
            terms,
        })
    }

    /// Channels of the audio.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.encoder.channels()
    }

    /// The settings of the last frame.
    #[must_use]
    pub fn terms(&self) -> EncoderTerms {
        self.terms
    }

    /// Encodes frames of as many channels from now on; the settings stay.
    ///
    /// # Errors
    /// As of [`OpusEncoder::new`]; nothing changes then.
    pub fn set_channels(&mut self, channels: usize) -> Result<(), OpusError> {
        if channels != self.channels() {
            self.encoder = encoder(channels, self.terms)?;
            self.adaptation.set_channels(channels);
        }
        Ok(())
    }

    /// See [`EncoderAdaptation::allow_redundancy`]; [`Self::terms`] has the number of copies.
    pub fn allow_redundancy(&mut self) {
        self.adaptation.allow_redundancy();
    }

    /// The frames of 20 ms that the next packet is to have; any other number is encoded as well.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.adaptation.terms().frames
    }

    /// Takes a receiver report in; see [`EncoderAdaptation::report`].
    pub fn report(&mut self, now: Duration, path: &PathReport) -> Duration {
        self.adaptation.report(now, path)
    }

    /// Replaces the content of `packet`; see [`OpusEncoder::encode`].
    ///
    /// # Errors
    /// As of [`OpusEncoder::encode`].
    pub fn encode(&mut self, frame: &[i16], packet: &mut Vec<u8>) -> Result<(), OpusError> {
        let terms = self.adaptation.terms();
        if terms != self.terms {
            if terms.has_fec == self.terms.has_fec {
                set(&mut self.encoder, terms)?;
            } else {
                self.encoder = encoder(self.channels(), terms)?;
            }
            self.terms = terms;
        }
        self.encoder.encode(frame, packet)
    }
}

fn encoder(channels: usize, terms: EncoderTerms) -> Result<OpusEncoder, OpusError> {
    let (application, complexity) = if terms.has_fec {
        (OpusApplication::Voice, SPEECH_COMPLEXITY)
    } else {
        (OpusApplication::LowDelay, TRANSFORM_COMPLEXITY)
    };
    let mut encoder = OpusEncoder::new(channels, application)?;
    encoder.set_complexity(complexity)?;
    encoder.set_fec(terms.has_fec)?;
    set(&mut encoder, terms)?;
    Ok(encoder)
}

fn set(encoder: &mut OpusEncoder, terms: EncoderTerms) -> Result<(), OpusError> {
    // Both channels share the lowest bit rate: twice as much would be too much for its path.
    let bits_per_s = if encoder.channels() == 2 && terms.frames == 1 {
        2 * terms.bits_per_s
    } else {
        terms.bits_per_s
    };
    // Above this rate libopus leaves the speech codec, and its copies with it.
    let bits_per_s = if terms.has_fec {
        bits_per_s.min(MOST_WITH_FEC)
    } else {
        bits_per_s
    };
    encoder.set_bit_rate(bits_per_s)?;
    // Where little is left beside the headers, what is more than asked for becomes a queue.
    encoder.set_constant(terms.frames > 1)?;
    encoder.set_expected_loss(terms.expected_loss)
}

/// Bits a second up to which packets of the speech codec carry copies.
const MOST_WITH_FEC: i32 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpusPacket;

    /// A voice to a codec: harmonics of 150 Hz that swell and fade.
    fn frame(number: u32, channels: usize) -> Vec<i16> {
        (0..960)
            .flat_map(|k| {
                let time_s = f64::from(number * 960 + k) / 48_000.0;
                let tone: f64 = (1..12)
                    .map(|n| (time_s * 942.0 * f64::from(n)).sin() / f64::from(n))
                    .sum();
                #[allow(clippy::cast_possible_truncation)]
                let sample = (tone * 5_000.0 * (time_s * 12.0).sin().abs()) as i16;
                std::iter::repeat_n(sample, channels)
            })
            .collect()
    }

    fn encode(encoder: &mut StreamEncoder, frames: u32) -> (usize, usize) {
        let (mut bytes, mut copies) = (0, 0);
        for number in 0..frames {
            let mut packet = Vec::new();
            let audio = frame(number, encoder.channels());
            encoder.encode(&audio, &mut packet).unwrap();
            bytes += packet.len();
            copies += usize::from(OpusPacket::read(&packet).unwrap().has_fec());
        }
        (bytes, copies)
    }

    #[test]
    fn a_path_that_loses_packets_gets_copies_of_them() {
        for channels in [1, 2] {
            let mut encoder = StreamEncoder::new(channels).unwrap();
            assert_eq!(encode(&mut encoder, 50).1, 0);
            encoder.report(Duration::ZERO, &PathReport::new(0.1, None));
            let (_, copies) = encode(&mut encoder, 50);
            assert!(copies > 30, "{copies} of 50 with {channels} channels");
        }
    }

    #[test]
    fn a_narrow_path_gets_fewer_bytes() {
        let mut encoder = StreamEncoder::new(1).unwrap();
        let (free, _) = encode(&mut encoder, 50);
        for k in 0..4 {
            encoder.report(Duration::from_secs(k), &PathReport::new(0.5, None));
        }
        let (narrow, _) = encode(&mut encoder, 50);
        assert!(narrow * 2 < free, "{narrow} of {free} bytes");
    }

    #[test]
    fn the_settings_outlive_a_change_of_channels() {
        let mut encoder = StreamEncoder::new(1).unwrap();
        encoder.report(Duration::ZERO, &PathReport::new(0.1, None));
        encode(&mut encoder, 1);
        encoder.set_channels(2).unwrap();
        assert_eq!(encoder.channels(), 2);
        assert!(encoder.terms().has_fec);
        assert!(encode(&mut encoder, 50).1 > 30);
    }
}

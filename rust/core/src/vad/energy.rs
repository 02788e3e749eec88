//! The level of a window as a probability: the baseline for any real detector.

use super::{Vad, check_window};
use crate::AudioError;

/// The level at which the probability is one half, in dB relative to full scale: between the speech
/// of a headset (about -25 dB) and a quiet room (about -60 dB).
const MIDDLE_DBFS: f32 = -42.0;

/// The change of level, in dB, that changes the odds by a factor of e: small enough that both
/// levels above, 17 and 18 dB away, are decided (0.997 and 0.002).
const SLOPE_DB: f32 = 3.0;

/// A detector of loudness: it reports loud noise as speech, and a whisper as silence.
///
/// For tests and comparisons. Keeps no state; a window is 32 ms.
///
/// # Examples
/// ```
/// use gradio_webrtc_core::vad::{EnergyVad, Vad};
///
/// let mut vad = EnergyVad::new(48_000)?;
/// assert!(vad.probability(&[0.25; 1_536])? > 0.99);
/// assert!(vad.probability(&[0.0; 1_536])? < 0.01);
/// # Ok::<(), gradio_webrtc_core::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EnergyVad {
    sample_rate_hz: u32,
}

impl EnergyVad {
    /// A detector for 8 to 192 kHz.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] when the rate is outside that range.
    pub fn new(sample_rate_hz: u32) -> Result<Self, AudioError> {
        if !crate::resample::RATES_HZ.contains(&sample_rate_hz) {
            return Err(AudioError::SampleRate {
                got_hz: sample_rate_hz,
            });
        }
        Ok(Self { sample_rate_hz })
    }
}

impl Vad for EnergyVad {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn window_samples(&self) -> usize {
        self.sample_rate_hz as usize * 32 / 1_000
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, AudioError> {
        check_window(window, self.window_samples())?;
        #[allow(clippy::cast_precision_loss)] // at most 6144 samples
        let count = window.len() as f32;
        let power = window.iter().map(|sample| sample * sample).sum::<f32>() / count;
        // Digital silence is minus infinity dB: a probability of zero.
        let level_dbfs = 10.0 * power.log10();
        Ok(1.0 / (1.0 + ((MIDDLE_DBFS - level_dbfs) / SLOPE_DB).exp()))
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probability(amplitude: f32) -> f32 {
        EnergyVad::new(16_000)
            .unwrap()
            .probability(&[amplitude; 512])
            .unwrap()
    }

    #[test]
    fn a_louder_window_is_likelier_to_be_speech() {
        let levels = [0.0, 0.001, 0.01, 0.1, 1.0].map(probability);
        assert!(levels.is_sorted() && levels[0] < levels[1] && levels[3] < levels[4]);
        assert!(levels.iter().all(|level| (0.0..=1.0).contains(level)));
    }

    #[test]
    fn the_probability_at_the_middle_level_is_one_half() {
        assert!((probability(10.0_f32.powf(MIDDLE_DBFS / 20.0)) - 0.5).abs() < 1e-4);
    }

    #[test]
    fn a_window_of_another_length_is_refused() {
        let mut vad = EnergyVad::new(8_000).unwrap();
        let expected = AudioError::WindowLength {
            expected: 256,
            got: 0,
        };
        assert_eq!(vad.probability(&[]), Err(expected));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        assert!(EnergyVad::new(7_999).is_err());
    }
}

//! Voice activity detection: the probability of speech, one window at a time.

mod energy;
mod silero;
mod weights;

use crate::AudioError;

pub use energy::EnergyVad;
pub use silero::SileroVad;

/// A voice activity detector: returns the probability of speech for each window of fixed length,
/// and keeps state between windows.
pub trait Vad: Send {
    /// The sample rate of the windows, in Hz.
    fn sample_rate_hz(&self) -> u32;
    /// The length of a window, in samples at [`Self::sample_rate_hz`].
    fn window_samples(&self) -> usize;
    /// Returns the probability of speech in `window` (mono, -1 to 1), from 0 to 1.
    ///
    /// # Errors
    /// [`AudioError::WindowLength`], or [`AudioError::Detector`] from a detector from outside.
    fn probability(&mut self, window: &[f32]) -> Result<f32, AudioError>;
    /// Discards all state; the next window is the first of a stream.
    fn reset(&mut self);
    /// True if only a voice is speech to it: windows without any, as the sender judges that, need not
    /// be shown to it while nobody speaks.
    fn needs_voice(&self) -> bool {
        false
    }
}

/// Refuses a window that is not `expected` samples long.
fn check_window(window: &[f32], expected: usize) -> Result<(), AudioError> {
    if window.len() == expected {
        Ok(())
    } else {
        Err(AudioError::WindowLength {
            expected,
            got: window.len(),
        })
    }
}

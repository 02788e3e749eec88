//! Streaming sample-rate conversion of one channel (placeholder until the real one lands).

use crate::AudioError;

/// How much a conversion may cost and how much it may delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// For sound people hear.
    High,
    /// For the VAD's own input.
    LowLatency,
}

/// Converts one channel from one rate to another, keeping its state between calls.
#[derive(Debug)]
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
}

impl Resampler {
    /// A converter between two rates of 8 to 192 kHz.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] when a rate is outside that range.
    pub fn new(from_hz: u32, to_hz: u32, _quality: Quality) -> Result<Self, AudioError> {
        Ok(Self { from_hz, to_hz })
    }
    /// The rate of what goes in, in Hz.
    #[must_use]
    pub fn from_hz(&self) -> u32 {
        self.from_hz
    }
    /// The rate of what comes out, in Hz.
    #[must_use]
    pub fn to_hz(&self) -> u32 {
        self.to_hz
    }
    /// The constant delay, in seconds.
    #[must_use]
    pub fn delay_s(&self) -> f64 {
        0.0
    }
    /// The most samples that `process` appends for `input_len` samples.
    #[must_use]
    pub fn max_output(&self, input_len: usize) -> usize {
        input_len * self.to_hz as usize / self.from_hz as usize + 2
    }
    /// Appends the converted samples to `out`.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        out.extend_from_slice(input);
    }
    /// Appends what the delay still holds back, then starts afresh.
    pub fn flush(&mut self, _out: &mut Vec<f32>) {}
    /// Forgets everything heard so far.
    pub fn reset(&mut self) {}
}

//! Streaming sample-rate conversion of one channel.
//!
//! Polyphase filters in `f32`, sincs under Kaiser windows. [`cascade`] decides whether a ratio
//! takes one filter or two, [`design`] has their lengths and pass bands, [`lanes`] computes a
//! filter whose phases can be tabulated, and [`farrow`] one for any other ratio.

mod cascade;
mod design;
mod farrow;
mod filter;
mod lanes;
mod ratio;

use crate::AudioError;
use crate::memory::PIECE_SAMPLES;
use crate::simd::InstructionSet;

use cascade::Cascade;
use ratio::{Ratio, as_f64, as_index};

/// The supported rates, in Hz: from telephone speech to the fastest studio interfaces.
pub(crate) const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// A trade-off between stop band, delay and cost of a conversion.
///
/// Both qualities pass everything up to 0.9 of the lower rate's Nyquist frequency within 0.001 dB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// For audio that people listen to: at least 110 dB down from the lower Nyquist frequency on;
    /// delays by 72 samples of the lower rate (4.5 ms at 16 kHz, 9 ms at 8 kHz).
    High,
    /// For a detector's own input: at least 100 dB down from 1.1 times the lower Nyquist frequency
    /// on; delays by 34 samples of the lower rate (2.1 ms at 16 kHz). About half the work.
    LowLatency,
}

/// Converts one channel from one rate to another, keeping its state between calls.
///
/// After `n` samples in, exactly `ceil(n * to_hz / from_hz)` samples have come out, so that 20 ms
/// in give 20 ms out. They lag by the constant [`Self::delay_samples`]: the first samples are the
/// filter's response to the silence before the input, and [`Self::flush`] appends as many at the
/// end. The output does not depend on how the input is cut into calls, not even in its last bit.
///
/// Between equal rates samples pass unchanged and without delay.
///
/// Samples must be finite; one that is not spoils the outputs within the filter's reach.
///
/// # Examples
/// ```
/// use gradio_webrtc_core::{Quality, Resampler};
///
/// let mut resampler = Resampler::new(48_000, 16_000, Quality::High)?;
/// let mut out = Vec::with_capacity(resampler.max_output(960));
/// resampler.process(&[0.25; 960], &mut out);
/// assert_eq!(out.len(), 320);
/// resampler.flush(&mut out);
/// assert_eq!(out.len(), 320 + resampler.delay_samples());
/// # Ok::<(), gradio_webrtc_core::AudioError>(())
/// ```
#[derive(Debug)]
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    cascade: Option<Cascade>,
}

impl Resampler {
    /// A converter between two rates of 8 to 192 kHz.
    ///
    /// Tabulates the filter: microseconds between rates such as 48 and 16 kHz, some milliseconds
    /// where the ratio has hundreds of phases (44.1 to 48 kHz). Tables take 512 kB at most; ratios
    /// that would need more (as 44.101 to 48 kHz) take two filters: about two and a half times the
    /// cost per sample, and 0.2 ms more delay at most.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] when a rate is outside that range.
    pub fn new(from_hz: u32, to_hz: u32, quality: Quality) -> Result<Self, AudioError> {
        Self::with_instruction_set(from_hz, to_hz, quality, InstructionSet::best())
    }

    /// The same on a chosen instruction set, for comparisons.
    #[doc(hidden)]
    pub fn with_instruction_set(
        from_hz: u32,
        to_hz: u32,
        quality: Quality,
        set: InstructionSet,
    ) -> Result<Self, AudioError> {
        for rate_hz in [from_hz, to_hz] {
            if !RATES_HZ.contains(&rate_hz) {
                return Err(AudioError::SampleRate { got_hz: rate_hz });
            }
        }
        let cascade = (from_hz != to_hz).then(|| Cascade::new(from_hz, to_hz, quality, set));
        Ok(Self {
            from_hz,
            to_hz,
            cascade,
        })
    }

    /// The rate of the input, in Hz.
    #[must_use]
    pub fn from_hz(&self) -> u32 {
        self.from_hz
    }

    /// The rate of the output, in Hz.
    #[must_use]
    pub fn to_hz(&self) -> u32 {
        self.to_hz
    }

    /// The constant delay, in output samples.
    #[must_use]
    pub fn delay_samples(&self) -> usize {
        self.cascade
            .as_ref()
            .map_or(0, |cascade| as_index(cascade.delay_outputs))
    }

    /// The constant delay, in seconds.
    #[must_use]
    pub fn delay_s(&self) -> f64 {
        as_f64(self.delay_samples() as u64) / f64::from(self.to_hz)
    }

    /// The most samples that [`Self::process`] appends for `input_len` samples.
    #[must_use]
    pub fn max_output(&self, input_len: usize) -> usize {
        as_index(Ratio::new(self.from_hz, self.to_hz).outputs(input_len as u64))
    }

    /// Appends the converted samples to `out`.
    ///
    /// Allocates nothing after an earlier input of this length if `out` has room for
    /// [`Self::max_output`]; never more than some megabytes for itself, however long the input is.
    /// Without that room in `out`, missing memory ends the process.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        match &mut self.cascade {
            Some(cascade) => {
                for piece in input.chunks(PIECE_SAMPLES) {
                    cascade.process(piece, out);
                }
            }
            None => out.extend_from_slice(input),
        }
    }

    /// Appends the samples that the delay still holds back, then resets.
    ///
    /// That is [`Self::delay_samples`] samples, as if silence followed, or none without any input:
    /// in total, `n` input samples result in `ceil(n * to_hz / from_hz) + delay_samples`.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        if let Some(cascade) = &mut self.cascade {
            cascade.flush(out);
        }
    }

    /// Discards all state; the next input starts a new stream.
    pub fn reset(&mut self) {
        if let Some(cascade) = &mut self.cascade {
            cascade.reset();
        }
    }
}

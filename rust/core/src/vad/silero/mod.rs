//! Silero VAD 6.2: a small neural net that detects speech, its weights embedded.
//!
//! Model: Silero Team, <https://github.com/snakers4/silero-vad>, MIT; `models/PROVENANCE.md`.

mod activation;
mod active_channel;
mod layer;
mod network;
mod spectrum;

use std::sync::OnceLock;

use super::weights::{SILERO_8_KHZ, SILERO_16_KHZ};
use super::{Vad, check_window};
use crate::AudioError;
use crate::simd::InstructionSet;
use network::{Forward, Memory, Network};

/// Samples of a frame of the spectrum at 8 kHz (16 ms); twice as many at 16 kHz.
const FRAME_SAMPLES_AT_8_KHZ: usize = 128;

/// The samples from which a window is computed: five halves of a frame, at 16 kHz.
const MAX_SAMPLES: usize = 640;

/// Silero VAD: the probability of speech for each window of 32 ms.
///
/// Keeps state: feed it all windows of a stream in order, silence included. The results are those
/// of the model in onnxruntime to 1e-5. A window takes some ten microseconds and allocates nothing;
/// the weights (0.9 MB) are unpacked once per process and net.
///
/// # Examples
/// ```
/// use gradio_webrtc_core::vad::{SileroVad, Vad};
///
/// let mut vad = SileroVad::new(16_000)?;
/// let silence = vec![0.0; vad.window_samples()];
/// assert!(vad.probability(&silence)? < 0.1);
/// # Ok::<(), gradio_webrtc_core::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SileroVad {
    network: &'static Network,
    set: InstructionSet,
    sample_rate_hz: u32,
    frame_samples: usize,
    memory: Memory,
    /// The end of the window before, the window, and the window's end reflected.
    samples: [f32; MAX_SAMPLES],
}

impl SileroVad {
    /// A detector at the start of a stream of 8 or 16 kHz, which have a net each.
    ///
    /// The first detector of a process unpacks the weights, about two milliseconds.
    ///
    /// # Errors
    /// [`AudioError::DetectorRate`] at any other rate.
    pub fn new(sample_rate_hz: u32) -> Result<Self, AudioError> {
        Self::with_instruction_set(sample_rate_hz, InstructionSet::best())
    }

    /// The same on a chosen instruction set, for comparisons.
    #[doc(hidden)]
    pub fn with_instruction_set(
        sample_rate_hz: u32,
        set: InstructionSet,
    ) -> Result<Self, AudioError> {
        static NETWORK_8_KHZ: OnceLock<Result<Network, AudioError>> = OnceLock::new();
        static NETWORK_16_KHZ: OnceLock<Result<Network, AudioError>> = OnceLock::new();
        let (shared, file, frame_samples) = match sample_rate_hz {
            8_000 => (&NETWORK_8_KHZ, SILERO_8_KHZ, FRAME_SAMPLES_AT_8_KHZ),
            16_000 => (&NETWORK_16_KHZ, SILERO_16_KHZ, 2 * FRAME_SAMPLES_AT_8_KHZ),
            got_hz => return Err(AudioError::DetectorRate { got_hz }),
        };
        let network = shared.get_or_init(|| Network::new(file, frame_samples));
        Ok(Self {
            network: network.as_ref().map_err(Clone::clone)?,
            set,
            sample_rate_hz,
            frame_samples,
            memory: Memory::EMPTY,
            samples: [0.0; MAX_SAMPLES],
        })
    }

    /// Samples of context from the window before, and of reflection after the window.
    fn margin(&self) -> usize {
        self.frame_samples / 4
    }

    /// Stores `window` between its context and its reflection.
    fn take(&mut self, window: &[f32]) {
        let (margin, length) = (self.margin(), window.len());
        self.samples.copy_within(length..length + margin, 0);
        self.samples[margin..margin + length].copy_from_slice(window);
        // The last sample is the mirror and not repeated.
        let mirrored = window[..length - 1].iter().rev();
        for (reflection, &sample) in self.samples[margin + length..]
            .iter_mut()
            .zip(mirrored)
            .take(margin)
        {
            *reflection = sample;
        }
    }
}

impl Vad for SileroVad {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn window_samples(&self) -> usize {
        2 * self.frame_samples
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, AudioError> {
        check_window(window, self.window_samples())?;
        self.take(window);
        let samples = &self.samples[..window.len() + 2 * self.margin()];
        let forward = Forward {
            network: self.network,
            memory: &mut self.memory,
            samples,
        };
        Ok(self.set.run(forward))
    }

    fn reset(&mut self) {
        self.memory = Memory::EMPTY;
        self.samples = [0.0; MAX_SAMPLES];
    }

    fn needs_voice(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_32_ms_at_both_rates() {
        assert_eq!(SileroVad::new(16_000).unwrap().window_samples(), 512);
        assert_eq!(SileroVad::new(8_000).unwrap().window_samples(), 256);
    }

    #[test]
    fn other_rates_are_refused() {
        let refused = SileroVad::new(48_000).unwrap_err();
        assert_eq!(refused, AudioError::DetectorRate { got_hz: 48_000 });
    }

    #[test]
    fn a_window_lies_between_context_and_reflection() {
        let mut vad = SileroVad::new(8_000).unwrap();
        let ramp: Vec<f32> = (0..512_u16).map(f32::from).collect();
        vad.take(&ramp[..256]);
        assert!(vad.samples[..32].iter().all(|&sample| sample == 0.0));
        vad.take(&ramp[256..]);
        assert!(vad.samples[..288].iter().eq(&ramp[224..]));
        assert!(vad.samples[288..320].iter().eq(ramp[479..511].iter().rev()));
    }

    #[test]
    fn a_window_of_another_length_changes_nothing() {
        let mut vad = SileroVad::new(16_000).unwrap();
        let expected = AudioError::WindowLength {
            expected: 512,
            got: 256,
        };
        assert_eq!(vad.probability(&[0.5; 256]), Err(expected));
        let expected = SileroVad::new(16_000).unwrap().probability(&[0.1; 512]);
        assert_eq!(vad.probability(&[0.1; 512]), expected);
    }

    #[test]
    fn a_reset_discards_the_state() {
        let mut vad = SileroVad::new(16_000).unwrap();
        let first = vad.probability(&[0.1; 512]);
        assert_ne!(vad.probability(&[0.1; 512]), first);
        vad.reset();
        assert_eq!(vad.probability(&[0.1; 512]), first);
    }

    #[test]
    fn two_detectors_share_the_weights_and_nothing_else() {
        let (mut used, mut fresh) = (
            SileroVad::new(8_000).unwrap(),
            SileroVad::new(8_000).unwrap(),
        );
        assert!(std::ptr::eq(used.network, fresh.network));
        let first = used.probability(&[0.1; 256]);
        used.probability(&[0.3; 256]).unwrap();
        assert_eq!(fresh.probability(&[0.1; 256]), first);
    }
}

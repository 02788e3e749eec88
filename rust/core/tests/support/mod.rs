//! A detector of levels for tests, audio of the levels that it distinguishes, and outbound audio.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses some of it"
)]

pub mod playing;

use gradio_webrtc_core::vad::Vad;
use gradio_webrtc_core::{
    AudioError, EndpointingOptions, OutboundAudio, PauseDetector, PauseEvent, PauseOptions,
};

/// A detector that returns 1 for loud windows of 512 samples at 16 kHz, 0 for soft ones, and an
/// error for the loudest.
pub struct LevelVad;

/// The levels of silence, of speech and of a window that fails, as int16.
pub const SOFT: i16 = 100;
pub const LOUD: i16 = 8_000;
pub const FAILING: i16 = 30_000;

impl Vad for LevelVad {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn window_samples(&self) -> usize {
        512
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, AudioError> {
        let level = window.iter().map(|sample| sample.abs()).sum::<f32>() / 512.0;
        match level {
            0.6.. => Err(AudioError::Detector {
                message: "too loud".to_owned(),
            }),
            0.1.. => Ok(1.0),
            _ => Ok(0.0),
        }
    }

    fn reset(&mut self) {}
}

/// A detector with the defaults, at `rate_hz`.
pub fn detector(rate_hz: u32) -> PauseDetector {
    PauseDetector::new(rate_hz, Box::new(LevelVad), PauseOptions::default()).unwrap()
}

/// A detector at 16 kHz that ends turns at this length.
pub fn with_max_speech(max_speech_s: f64) -> PauseDetector {
    let endpointing = EndpointingOptions {
        max_speech_s,
        ..Default::default()
    };
    let options = PauseOptions {
        endpointing,
        ..Default::default()
    };
    PauseDetector::new(16_000, Box::new(LevelVad), options).unwrap()
}

/// Audio of these levels and durations in seconds, each sample a little different from the one
/// before.
pub fn audio(rate_hz: u32, levels: &[(i16, f64)]) -> Vec<i16> {
    let mut samples = Vec::new();
    for &(level, seconds) in levels {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of audio"
        )]
        let count = (seconds * f64::from(rate_hz)) as usize;
        samples.extend((0..100).cycle().take(count).map(|step| level + step));
    }
    samples
}

/// Feeds all samples in chunks of `cut` of them; returns the events and the utterances.
pub fn turns(
    detector: &mut PauseDetector,
    samples: &[i16],
    cut: usize,
) -> (Vec<PauseEvent>, Vec<Vec<i16>>) {
    let (mut events, mut utterances) = (Vec::new(), Vec::new());
    for chunk in samples.chunks(cut) {
        detector.process(chunk, &mut events).unwrap();
        utterances.extend(std::iter::from_fn(|| detector.take_utterance()));
    }
    (events, utterances)
}

/// A second of outbound audio of a session.
pub fn outbound() -> OutboundAudio {
    OutboundAudio::new(48_000, 1.0).unwrap()
}

/// All full frames that wait.
pub fn drain(outbound: &mut OutboundAudio) -> Vec<i16> {
    let mut samples = Vec::new();
    while let Some(frame) = outbound.pull(false) {
        samples.extend_from_slice(frame);
    }
    samples
}

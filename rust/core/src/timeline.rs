//! From windows back to the sound they were made of.

use crate::{EndpointEvent, EventKind, sample};

/// Something that happened, in seconds of the sound fed since the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseEvent {
    /// What happened.
    pub kind: EventKind,
    /// How much sound had been fed when it was decided.
    pub time_s: f64,
    /// Where the first window of speech of the turn begins.
    pub speech_start_s: f64,
    /// Where the silence at the end begins; `None` for the two kinds that are not about one.
    pub speech_end_s: Option<f64>,
}

/// Where windows lie in the sound that was fed, at its own rate; knows the resampler's delay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    rate_hz: u64,
    vad_rate_hz: u64,
    window_samples: u64,
    delay_s: f64,
    delay_samples: u64,
}

impl Timeline {
    /// For windows of `window_samples` at `vad_rate_hz`, made of sound at `rate_hz`.
    pub fn new(rate_hz: u32, vad_rate_hz: u32, window_samples: usize, delay_s: f64) -> Self {
        Self {
            rate_hz: rate_hz.into(),
            vad_rate_hz: vad_rate_hz.into(),
            window_samples: window_samples as u64,
            delay_s,
            delay_samples: sample::samples_in(delay_s, rate_hz),
        }
    }

    /// Samples that must have been fed before so many windows are full.
    pub fn fed(&self, windows: u64) -> u64 {
        (windows * self.window_samples * self.rate_hz).div_ceil(self.vad_rate_hz)
    }

    /// Where the sound of a window begins, in samples fed: earlier by the delay.
    pub fn sound(&self, window: u64) -> u64 {
        self.fed(window).saturating_sub(self.delay_samples)
    }

    /// The event in seconds.
    pub fn event(&self, event: &EndpointEvent) -> PauseEvent {
        PauseEvent {
            kind: event.kind,
            time_s: self.fed_s(event.time),
            speech_start_s: self.sound_s(event.onset),
            speech_end_s: event.speech_end.map(|window| self.sound_s(window)),
        }
    }

    fn sound_s(&self, window: u64) -> f64 {
        (self.fed_s(window) - self.delay_s).max(0.0)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "f64 counts samples exactly for 1,000 years"
    )]
    fn fed_s(&self, windows: u64) -> f64 {
        (windows * self.window_samples) as f64 / self.vad_rate_hz as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_lies_before_what_was_fed_by_the_delay() {
        let timeline = Timeline::new(48_000, 16_000, 512, 0.002);
        assert_eq!((timeline.fed(10), timeline.sound(10)), (15_360, 15_264));
        assert_eq!(timeline.sound(0), 0);
    }

    #[test]
    fn a_window_is_full_only_with_its_last_sample() {
        // 512 samples at 16 kHz are 1411.2 at 44.1 kHz.
        assert_eq!(Timeline::new(44_100, 16_000, 512, 0.0).fed(1), 1412);
    }

    #[test]
    fn events_are_told_in_seconds_of_sound() {
        let timeline = Timeline::new(48_000, 16_000, 512, 0.002);
        let kind = EventKind::Pause;
        let pause = EndpointEvent {
            kind,
            time: 50,
            onset: 0,
            speech_end: Some(34),
            is_forced: false,
        };
        let told = timeline.event(&pause);
        assert_eq!((told.time_s, told.speech_start_s), (1.6, 0.0));
        assert_eq!(told.speech_end_s, Some(34.0 * 0.032 - 0.002));
    }
}

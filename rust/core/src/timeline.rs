//! Positions of windows in the audio that was fed.

use crate::{EndpointEvent, EventKind, sample};

/// An event, its times in seconds of the audio fed since the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseEvent {
    /// The kind.
    pub kind: EventKind,
    /// The duration of the audio fed at the decision.
    pub time_s: f64,
    /// The start of the turn's first window of speech, at least 0.
    pub speech_start_s: f64,
    /// The start of the silence at the end; `None` for the two kinds that do not concern one.
    pub speech_end_s: Option<f64>,
}

impl PauseEvent {
    /// The same event on a clock by which the audio began at `origin_s`, in seconds.
    pub(crate) fn later(self, origin_s: f64) -> Self {
        Self {
            kind: self.kind,
            time_s: origin_s + self.time_s,
            speech_start_s: origin_s + self.speech_start_s,
            speech_end_s: self.speech_end_s.map(|end_s| origin_s + end_s),
        }
    }
}

/// Converts numbers of windows into positions of the fed audio, at its own rate, with the
/// resampler's delay taken into account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    rate_hz: u64,
    vad_rate_hz: u64,
    window_samples: u64,
    delay_s: f64,
    delay_samples: u64,
}

impl Timeline {
    /// A timeline for windows of `window_samples` at `vad_rate_hz`, resampled from audio at
    /// `rate_hz`.
    pub fn new(rate_hz: u32, vad_rate_hz: u32, window_samples: usize, delay_s: f64) -> Self {
        Self {
            rate_hz: rate_hz.into(),
            vad_rate_hz: vad_rate_hz.into(),
            window_samples: window_samples as u64,
            delay_s,
            delay_samples: sample::samples_in(delay_s, rate_hz),
        }
    }

    /// The number of samples that must be fed until so many windows are full.
    pub fn fed(&self, windows: u64) -> u64 {
        (windows * self.window_samples * self.rate_hz).div_ceil(self.vad_rate_hz)
    }

    /// The number of windows that so many samples fill, rounded down.
    pub fn windows(&self, samples: u64) -> u64 {
        samples * self.vad_rate_hz / (self.rate_hz * self.window_samples)
    }

    /// The least number of samples that fill a whole number of windows.
    pub fn whole_windows(&self) -> u64 {
        let window = self.rate_hz * self.window_samples;
        window / gcd(window, self.vad_rate_hz)
    }

    /// The position at which the audio of a window begins, in samples fed: earlier by the delay.
    pub fn audio_start(&self, window: u64) -> u64 {
        self.fed(window).saturating_sub(self.delay_samples)
    }

    /// Converts an event into seconds.
    pub fn event(&self, event: &EndpointEvent) -> PauseEvent {
        PauseEvent {
            kind: event.kind,
            time_s: self.fed_s(event.time),
            speech_start_s: self.audio_start_s(event.onset),
            speech_end_s: event.speech_end.map(|window| self.audio_start_s(window)),
        }
    }

    fn audio_start_s(&self, window: u64) -> f64 {
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

/// The greatest common divisor of two numbers, of which one is not 0.
pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The least common multiple of two numbers above 0.
pub(crate) fn lcm(a: u64, b: u64) -> u64 {
    a / gcd(a, b) * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_windows_are_whole_samples() {
        for (rate_hz, samples, windows) in [
            (16_000, 512, 1),
            (24_000, 768, 1),
            (8_000, 256, 1),
            (44_100, 7_056, 5),
        ] {
            let timeline = Timeline::new(rate_hz, 16_000, 512, 0.0);
            assert_eq!(timeline.whole_windows(), samples);
            assert_eq!(timeline.windows(samples), windows);
            assert_eq!(timeline.fed(windows), samples);
        }
    }

    #[test]
    fn audio_starts_earlier_by_the_delay() {
        let timeline = Timeline::new(48_000, 16_000, 512, 0.002);
        assert_eq!(
            (timeline.fed(10), timeline.audio_start(10)),
            (15_360, 15_264)
        );
        assert_eq!(timeline.audio_start(0), 0);
    }

    #[test]
    fn a_window_is_full_only_with_its_last_sample() {
        // 512 samples at 16 kHz are 1411.2 at 44.1 kHz.
        assert_eq!(Timeline::new(44_100, 16_000, 512, 0.0).fed(1), 1412);
    }

    #[test]
    fn events_are_converted_into_seconds_of_audio() {
        let timeline = Timeline::new(48_000, 16_000, 512, 0.002);
        let kind = EventKind::Pause;
        let pause = EndpointEvent {
            kind,
            time: 50,
            onset: 0,
            speech_end: Some(34),
            is_forced: false,
        };
        let event = timeline.event(&pause);
        assert_eq!((event.time_s, event.speech_start_s), (1.6, 0.0));
        assert_eq!(event.speech_end_s, Some(34.0 * 0.032 - 0.002));
    }
}

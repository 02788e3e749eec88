//! Endpointing: decides that a turn began or ended, from the probability of speech alone.
//!
//! A pure state machine over windows. Durations are converted into whole numbers of windows once,
//! so that the decisions are exact and do not depend on the length of the session.

use crate::AudioError;
use crate::sample::samples_in;

/// Thresholds for the probability of speech, and durations of speech and silence.
///
/// The defaults were chosen on 200 utterances spliced from real speech with pauses of 0.2 to 0.5 s
/// inside: with Silero 6.2 the end of the turn is detected 0.58 s after the speech ends (median),
/// and 6.5 % of the utterances are cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndpointingOptions {
    /// Probability from which a window is speech outside a turn, 0 to 1.
    pub threshold: f32,
    /// The same during a turn: lower, because speech is likely to go on.
    pub continue_threshold: f32,
    /// Probability below which a window is silence; between the two it is the same as the window
    /// before.
    pub release_threshold: f32,
    /// Speech that makes a turn, in seconds.
    pub started_talking_s: f64,
    /// Silence that ends a turn, in seconds.
    pub pause_s: f64,
    /// Silence from which a turn may be over, in seconds; infinite for never.
    pub candidate_s: f64,
    /// Silence after which speech too short for a turn is discarded, in seconds.
    pub forget_s: f64,
    /// Length from its onset at which a turn is ended even while speech goes on, in seconds.
    pub max_speech_s: f64,
}

impl Default for EndpointingOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            continue_threshold: 0.3,
            release_threshold: 0.15,
            started_talking_s: 0.2,
            pause_s: 0.5,
            candidate_s: 0.192,
            forget_s: 0.6,
            max_speech_s: f64::INFINITY,
        }
    }
}

impl EndpointingOptions {
    fn check(&self) -> Result<(), AudioError> {
        for (name, got) in [
            ("threshold", self.threshold),
            ("continue_threshold", self.continue_threshold),
            ("release_threshold", self.release_threshold),
        ] {
            check(name, "from 0 to 1", got.into(), (0.0..=1.0).contains(&got))?;
        }
        for (name, got) in [
            ("started_talking_s", self.started_talking_s),
            ("candidate_s", self.candidate_s),
            ("forget_s", self.forget_s),
        ] {
            check(name, "of at least 0", got, got >= 0.0)?;
        }
        for (name, got) in [
            ("pause_s", self.pause_s),
            ("max_speech_s", self.max_speech_s),
        ] {
            check(name, "above 0", got, got > 0.0)?;
        }
        Ok(())
    }
}

/// Returns an [`AudioError::Setting`] unless `is_valid`.
pub(crate) fn check(
    name: &'static str,
    expected: &'static str,
    got: f64,
    is_valid: bool,
) -> Result<(), AudioError> {
    if is_valid {
        Ok(())
    } else {
        Err(AudioError::Setting {
            name,
            expected,
            got,
        })
    }
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A turn began: there was enough speech.
    SpeechStarted,
    /// The turn may be over.
    PauseCandidate,
    /// The turn was not over: speech went on.
    PauseCancelled,
    /// The turn is over.
    Pause,
}

/// An event, its times in windows since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointEvent {
    /// The kind.
    pub kind: EventKind,
    /// Windows elapsed at the decision.
    pub time: u64,
    /// The first window of speech of this turn.
    pub onset: u64,
    /// The first window of the current silence; `None` for the two kinds that do not concern one.
    pub speech_end: Option<u64>,
    /// True if the turn was ended for its length.
    pub is_forced: bool,
}

/// Detects turns in a sequence of probabilities.
#[derive(Debug, Clone)]
pub struct Endpointer {
    options: EndpointingOptions,
    limits: Limits,
    /// The length of a window, in samples, and their rate, in Hz.
    window: (usize, u32),
    /// Windows since the start, those without a probability included.
    elapsed_windows: u64,
    /// True if the last window counts as speech.
    is_active: bool,
    is_started: bool,
    has_candidate: bool,
    /// Windows of speech in this turn, and of silence at its end.
    speech: u64,
    silence: u64,
    /// The first window of speech of the turn, or of what may become one.
    onset: Option<u64>,
}

/// The durations of [`EndpointingOptions`] in windows, each at least one.
#[derive(Debug, Clone, Copy)]
struct Limits {
    started_talking: u64,
    pause: u64,
    candidate: u64,
    forget: u64,
    max_speech: u64,
}

impl Endpointer {
    /// An endpointer for windows of `window_samples` at `sample_rate_hz`.
    ///
    /// # Errors
    /// [`AudioError::Setting`] for a threshold outside 0 to 1 and for a duration that is negative,
    /// or 0 where that has no meaning; [`AudioError::WindowLength`] for windows of 0 samples.
    pub fn new(
        options: EndpointingOptions,
        window_samples: usize,
        sample_rate_hz: u32,
    ) -> Result<Self, AudioError> {
        options.check()?;
        if window_samples == 0 {
            return Err(AudioError::WindowLength {
                expected: 1,
                got: 0,
            });
        }
        let windows = |duration_s| windows_in(duration_s, window_samples, sample_rate_hz);
        let limits = Limits {
            started_talking: windows(options.started_talking_s),
            pause: windows(options.pause_s),
            candidate: windows(options.candidate_s),
            forget: windows(options.forget_s),
            max_speech: windows(options.max_speech_s),
        };
        Ok(Self {
            options,
            limits,
            window: (window_samples, sample_rate_hz),
            elapsed_windows: 0,
            is_active: false,
            is_started: false,
            has_candidate: false,
            speech: 0,
            silence: 0,
            onset: None,
        })
    }

    /// Sets the silence that ends a turn, in seconds, from now on, also for the one under way.
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless it is above 0; nothing is changed then.
    pub fn set_pause(&mut self, pause_s: f64) -> Result<(), AudioError> {
        check("pause_s", "above 0", pause_s, pause_s > 0.0)?;
        let (window_samples, sample_rate_hz) = self.window;
        self.options.pause_s = pause_s;
        self.limits.pause = windows_in(pause_s, window_samples, sample_rate_hz);
        Ok(())
    }

    /// Takes the probability of speech of the next window and appends the resulting events, two at
    /// most, to `events`.
    pub fn push(&mut self, probability: f32, events: &mut Vec<EndpointEvent>) {
        self.count(probability);
        let Some(onset) = self.onset else { return };
        let mut emit = |kind, speech_end, is_forced| {
            events.push(EndpointEvent {
                kind,
                time: self.elapsed_windows,
                onset,
                speech_end,
                is_forced,
            });
        };
        let silent_since = Some(self.elapsed_windows - self.silence);
        if !self.is_started && self.speech >= self.limits.started_talking {
            self.is_started = true;
            emit(EventKind::SpeechStarted, None, false);
        }
        if !self.is_started {
            return;
        }
        if self.silence >= self.limits.candidate && !self.has_candidate {
            self.has_candidate = true;
            emit(EventKind::PauseCandidate, silent_since, false);
        }
        if self.is_active && self.has_candidate {
            self.has_candidate = false;
            emit(EventKind::PauseCancelled, None, false);
        }
        let is_over = self.silence >= self.limits.pause;
        if is_over || self.elapsed_windows - onset >= self.limits.max_speech {
            emit(EventKind::Pause, silent_since, !is_over);
            self.end_turn();
        }
    }

    /// The pause with which the turn would end now: `None` unless it may be over.
    #[must_use]
    pub fn possible_end(&self) -> Option<EndpointEvent> {
        let onset = self.onset.filter(|_| self.has_candidate)?;
        Some(EndpointEvent {
            kind: EventKind::Pause,
            time: self.elapsed_windows,
            onset,
            speech_end: Some(self.elapsed_windows - self.silence),
            is_forced: false,
        })
    }

    /// Counts a window that has no probability: time passes, neither speech nor silence grows.
    pub fn skip(&mut self) {
        self.elapsed_windows += 1;
    }

    /// Counts windows of silence, while there is neither a turn nor what may become one.
    pub fn pass_silence(&mut self, windows: u64) {
        debug_assert!(self.onset.is_none(), "silence inside a turn brings events");
        self.elapsed_windows += windows;
        self.silence += windows;
        self.is_active = false;
    }

    /// Windows since the start, skipped ones included.
    #[must_use]
    pub fn elapsed_windows(&self) -> u64 {
        self.elapsed_windows
    }

    /// True while a turn is under way.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.is_started
    }

    /// True while the turn may be over: from its candidate on, until speech goes on or it is over.
    #[must_use]
    pub fn is_candidate(&self) -> bool {
        self.has_candidate
    }

    /// The number of windows that can follow without an event, whatever they contain.
    ///
    /// That is all but the last of the windows that would make a turn if they were speech, or that
    /// may end it if they were silence; 0 while a turn may be over, which any speech cancels.
    #[must_use]
    pub fn min_windows_until_event(&self) -> u64 {
        let limits = &self.limits;
        let Some(onset) = self.onset.filter(|_| self.is_started) else {
            return limits.started_talking - self.speech - 1;
        };
        if self.has_candidate {
            return 0;
        }
        // The pause may have become shorter than the silence so far.
        let until_silence = limits
            .candidate
            .min(limits.pause)
            .saturating_sub(self.silence);
        let until_forced = limits.max_speech - (self.elapsed_windows - onset);
        until_silence.min(until_forced).saturating_sub(1)
    }

    /// The first window of speech of the turn, or of what may become one.
    #[must_use]
    pub fn onset(&self) -> Option<u64> {
        self.onset
    }

    /// Discards the turn, or what may become one, and nothing else: speech that goes on begins another
    /// one, once there is enough of it.
    pub fn disregard(&mut self) {
        self.end_turn();
    }

    /// Discards all state; time counts from 0 again.
    pub fn reset(&mut self) {
        self.end_turn();
        (self.elapsed_windows, self.is_active) = (0, false);
    }

    fn count(&mut self, probability: f32) {
        let on = if self.is_started {
            self.options.continue_threshold
        } else {
            self.options.threshold
        };
        if probability >= on {
            self.is_active = true;
        } else if probability < self.options.release_threshold {
            self.is_active = false;
        }
        if self.is_active {
            self.onset.get_or_insert(self.elapsed_windows);
            self.speech += 1;
            self.silence = 0;
        } else {
            self.silence += 1;
            if !self.is_started && self.silence >= self.limits.forget {
                (self.speech, self.onset) = (0, None);
            }
        }
        self.elapsed_windows += 1;
    }

    /// Discards the turn. `is_active` stays: after a turn that was ended for its length, the next
    /// windows between the thresholds still count as speech.
    fn end_turn(&mut self) {
        (self.is_started, self.has_candidate) = (false, false);
        (self.speech, self.silence, self.onset) = (0, 0, None);
    }
}

/// A duration in windows, rounded up, at least one.
fn windows_in(duration_s: f64, window_samples: usize, sample_rate_hz: u32) -> u64 {
    // Whole samples first: 0.192 s is exactly 6 windows of 512 at 16 kHz, not a hair more.
    samples_in(duration_s, sample_rate_hz)
        .div_ceil(window_samples as u64)
        .max(1)
}

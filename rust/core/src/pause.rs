//! The pause detector: resampling, windows, voice activity detection, endpointing, utterance.

use std::collections::VecDeque;

use crate::endpointing::check;
use crate::memory::PIECE_SAMPLES;
use crate::recent::RecentWindows;
use crate::timeline::Timeline;
use crate::vad::Vad;
use crate::{
    AudioError, AudioFifo, EndpointEvent, Endpointer, EndpointingOptions, EventKind, PauseEvent,
    Quality, Resampler, Utterance, sample,
};

/// Length in seconds at which a turn is ended even where no limit is set: the memory of a session
/// must have a bound (86 MB of int16 at 48 kHz), and nobody talks for a quarter of an hour without
/// half a second of silence.
const MAX_TURN_S: f64 = 900.0;

/// The lowest threshold at which audio without voice is certainly no speech.
const MIN_VOICE_THRESHOLD: f32 = 0.3;

/// Silence, to be stored piece by piece.
const SILENCE: [i16; 1024] = [0; 1024];

/// The settings of a [`PauseDetector`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseOptions {
    /// Thresholds and durations for the beginning and the end of a turn.
    pub endpointing: EndpointingOptions,
    /// Pre-roll: audio before the first window of speech that belongs to the turn, in seconds, 0 to
    /// 30. The onset of a word is softer than the speech that a detector recognises.
    pub pre_roll_s: f64,
}

impl Default for PauseOptions {
    fn default() -> Self {
        Self {
            endpointing: EndpointingOptions::default(),
            pre_roll_s: 0.3,
        }
    }
}

/// Detects the turns in a user's audio and returns the utterance of each.
///
/// The results do not depend on how the audio is cut into calls. After a pause the detector goes on
/// as before: speech during a reply is the beginning of the next turn.
pub struct PauseDetector {
    sample_rate_hz: u32,
    timeline: Timeline,
    pre_roll_samples: u64,
    /// `None` if audio without voice may begin a turn.
    recent: Option<RecentWindows>,
    resampler: Resampler,
    native: Vec<f32>,
    resampled: Vec<f32>,
    windows: AudioFifo<f32>,
    vad: Box<dyn Vad>,
    endpointer: Endpointer,
    /// Reused from window to window, so that a window allocates nothing.
    endpoint_events: Vec<EndpointEvent>,
    utterance: Utterance,
    /// The position at which the previous turn was ended for its length, or the end of the speech of
    /// one that was ended early: the next one begins no earlier, so that no speech belongs to both.
    cut: u64,
    /// Utterances that were not taken yet, oldest first.
    finished: VecDeque<Vec<i16>>,
    probability: f32,
}

impl PauseDetector {
    /// A detector for mono audio at `sample_rate_hz`, judged by `vad`.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz, [`AudioError::Setting`] as in
    /// [`Endpointer::new`] and for windows of a length that [`AudioFifo::new`] refuses.
    pub fn new(
        sample_rate_hz: u32,
        vad: Box<dyn Vad>,
        options: PauseOptions,
    ) -> Result<Self, AudioError> {
        let mut endpointing = options.endpointing;
        // Not `min`, which would take NaN for the bound and hide it.
        if endpointing.max_speech_s > MAX_TURN_S {
            endpointing.max_speech_s = MAX_TURN_S;
        }
        let pre_roll_s = options.pre_roll_s;
        check(
            "pre_roll_s",
            "from 0 to 30",
            pre_roll_s,
            (0.0..=30.0).contains(&pre_roll_s),
        )?;
        let (vad_rate_hz, window) = (vad.sample_rate_hz(), vad.window_samples());
        // First, before anything multiplies with the length of a window: the FIFO bounds it.
        let windows = AudioFifo::new(window).map_err(as_window_error)?;
        let endpointer = Endpointer::new(endpointing, window, vad_rate_hz)?;
        let resampler = Resampler::new(sample_rate_hz, vad_rate_hz, Quality::LowLatency)?;
        let delay_s = resampler.delay_s();
        Ok(Self {
            sample_rate_hz,
            timeline: Timeline::new(sample_rate_hz, vad_rate_hz, window, delay_s),
            pre_roll_samples: sample::samples_in(pre_roll_s, sample_rate_hz),
            recent: (vad.needs_voice() && endpointing.threshold >= MIN_VOICE_THRESHOLD)
                .then(|| RecentWindows::new(window)),
            resampler,
            native: Vec::new(),
            resampled: Vec::new(),
            windows,
            vad,
            endpointer,
            endpoint_events: Vec::with_capacity(2),
            // Of an eighth of a second: few allocations in a turn, little memory in silence.
            utterance: Utterance::new(sample_rate_hz as usize / 8),
            cut: 0,
            finished: VecDeque::new(),
            probability: 0.0,
        })
    }

    /// The rate of the audio that it takes, in Hz.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Takes mono samples and appends the resulting events to `events`.
    ///
    /// # Errors
    /// Those of the detector, and [`AudioError::Probability`] for a result outside 0 to 1. The
    /// window that failed counts as neither speech nor silence, everything else is kept: the next
    /// call continues after it. [`AudioError::OutOfMemory`] where there is no memory for a second
    /// of the samples, which is left out, or for the turn that just ended, which is lost.
    pub fn process(
        &mut self,
        samples: &[i16],
        events: &mut Vec<PauseEvent>,
    ) -> Result<(), AudioError> {
        let untaken = self.finished.len();
        let mut result = Ok(());
        let (mut piece, mut rest) = split(samples);
        loop {
            let taken = self.take(piece);
            // After a failure the rest is stored, and processed by the next call.
            if result.is_ok() {
                result = taken.and_then(|()| self.process_windows(events));
                self.drop_unneeded();
            }
            if rest.is_empty() {
                break;
            }
            (piece, rest) = split(rest);
        }
        // Utterances that were not taken wait until there are newer ones: this bounds their number.
        if self.finished.len() > untaken {
            self.finished.drain(..untaken);
        }
        result
    }

    /// The length of audio before a turn that belongs to it, in samples.
    pub(crate) fn pre_roll_samples(&self) -> u64 {
        self.pre_roll_samples
    }

    /// True while there is neither a turn nor what may become one, and audio without voice would
    /// change nothing about that: it may [`Self::pass_silence`] then.
    pub(crate) fn may_pass_silence(&self) -> bool {
        self.endpointer.onset().is_none()
            && self.recent.as_ref().is_some_and(RecentWindows::is_full)
    }

    /// The least number of samples that fill whole windows: what lies between two windows, here and
    /// in the resampler, is the same behind them.
    pub(crate) fn whole_windows(&self) -> u64 {
        self.timeline.whole_windows()
    }

    /// Lets time pass as if so many samples were silence, without looking at any: a multiple of
    /// [`Self::whole_windows`], while [`Self::may_pass_silence`]. The detector of speech is shown
    /// what came before, as long as that changes anything.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`], and no time has passed. Those of the detector.
    pub(crate) fn pass_silence(&mut self, samples: u64) -> Result<(), AudioError> {
        // The pre-roll of the next turn may reach back to here; more of it nobody needs.
        let mut left = usize::try_from(samples).unwrap_or(usize::MAX);
        self.utterance.reserve(left)?;
        while left > 0 {
            let piece = left.min(SILENCE.len());
            self.utterance.push(&SILENCE[..piece]);
            left -= piece;
        }
        let windows = self.timeline.windows(samples);
        self.endpointer.pass_silence(windows);
        self.probability = 0.0;
        self.drop_unneeded();
        for _ in 0..windows {
            let Some(window) = self.recent.as_mut().and_then(RecentWindows::repeat) else {
                break;
            };
            self.vad.probability(window)?;
        }
        Ok(())
    }

    /// Takes the audio of the oldest turn that ended and was not taken yet.
    ///
    /// Turns wait until a later call of [`Self::process`] ends another one.
    pub fn take_utterance(&mut self) -> Option<Vec<i16>> {
        self.finished.pop_front()
    }

    /// A copy of the turn under way, up to the last sample; empty while there is none.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for the copy.
    pub fn utterance_so_far(&self) -> Result<Vec<i16>, AudioError> {
        match self.endpointer.onset() {
            Some(onset) if self.is_speaking() => self
                .utterance
                .copy(self.turn_start(onset), self.utterance.end()),
            _ => Ok(Vec::new()),
        }
    }

    /// As [`Self::utterance_so_far`], while the turn under way may be over; `None` otherwise.
    ///
    /// # Errors
    /// As there.
    pub fn candidate(&self) -> Result<Option<Vec<i16>>, AudioError> {
        let is_candidate = self.endpointer.is_candidate();
        is_candidate.then(|| self.utterance_so_far()).transpose()
    }

    /// Ends the turn under way now, as the pause at its end would, if it may be over since
    /// `speech_end_s`: the time in the event of its candidate. `None` where speech has gone on since.
    ///
    /// The utterance can be taken then; those that ended before are dropped.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for the utterance; the turn goes on.
    pub fn end_turn(&mut self, speech_end_s: f64) -> Result<Option<PauseEvent>, AudioError> {
        let Some(end) = self.endpointer.possible_end() else {
            return Ok(None);
        };
        let event = self.timeline.event(&end);
        let is_same =
            |end_s: f64| (end_s - speech_end_s).abs() * f64::from(self.sample_rate_hz) < 0.5;
        if !event.speech_end_s.is_some_and(is_same) {
            return Ok(None);
        }
        let earlier = std::mem::take(&mut self.finished);
        if let Err(error) = self.finish_turn(&end) {
            self.finished = earlier;
            return Err(error);
        }
        // Speech that goes on at once has a pre-roll, which may hold silence and no word twice.
        let silence = end.speech_end.unwrap_or(end.time);
        self.cut = self.cut.max(self.timeline.audio_start(silence));
        self.disregard();
        Ok(Some(event))
    }

    /// Sets the silence that ends a turn, in seconds, from now on, also for the one under way.
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless it is above 0; nothing is changed then.
    pub fn set_pause(&mut self, pause_s: f64) -> Result<(), AudioError> {
        self.endpointer.set_pause(pause_s)
    }

    /// True while a turn is under way.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.endpointer.is_started()
    }

    /// True while a turn is under way, or what may become one: only more audio decides about it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.endpointer.onset().is_some()
    }

    /// The number of samples that can follow without an event, whatever they contain: they may wait
    /// and be fed in one batch. [`Self::utterance_so_far`] is as far behind then.
    #[must_use]
    pub fn min_samples_until_event(&self) -> u64 {
        let earliest =
            self.endpointer.elapsed_windows() + self.endpointer.min_windows_until_event() + 1;
        self.timeline
            .fed(earliest)
            .saturating_sub(self.utterance.end() + 1)
    }

    /// The probability of speech in the last window, 0 to 1.
    #[must_use]
    pub fn probability(&self) -> f32 {
        self.probability
    }

    /// Discards the turn under way, or what may become one. What is heard goes on: speech that lasts
    /// begins another turn, with the pre-roll before it.
    pub fn disregard(&mut self) {
        self.endpointer.disregard();
        self.drop_unneeded();
    }

    /// Discards all state; time counts from 0 again.
    pub fn reset(&mut self) {
        self.resampler.reset();
        self.windows.clear();
        self.vad.reset();
        self.recent.iter_mut().for_each(RecentWindows::reset);
        self.endpointer.reset();
        self.utterance.reset();
        self.finished.clear();
        (self.cut, self.probability) = (0, 0.0);
    }

    /// Stores a piece: all of it, or nothing where there is no memory.
    fn take(&mut self, samples: &[i16]) -> Result<(), AudioError> {
        self.windows
            .reserve(self.resampler.max_output(samples.len()))?;
        self.utterance.reserve(samples.len())?;
        self.utterance.push(samples);
        self.resample(samples);
        Ok(())
    }

    fn resample(&mut self, samples: &[i16]) {
        self.native.clear();
        sample::append_f32(samples.iter().copied(), &mut self.native);
        self.resampled.clear();
        self.resampler.process(&self.native, &mut self.resampled);
        self.windows.write(&self.resampled);
    }

    /// Passes every complete window to the detector and its probability to the endpointer.
    fn process_windows(&mut self, events: &mut Vec<PauseEvent>) -> Result<(), AudioError> {
        let mut endpoint_events = std::mem::take(&mut self.endpoint_events);
        // The resampler rounds the number of its outputs up: without this bound a turn could end at
        // a sample that was not fed yet, and its utterance would depend on how the audio is cut.
        while self.timeline.fed(self.endpointer.elapsed_windows() + 1) <= self.utterance.end() {
            let Some(window) = self.windows.read() else {
                break;
            };
            if let Some(recent) = &mut self.recent {
                recent.push(window);
            }
            let result = self.vad.probability(window).and_then(in_range);
            self.probability = result.inspect_err(|_| self.endpointer.skip())?;
            self.endpointer.push(self.probability, &mut endpoint_events);
            for event in endpoint_events.drain(..) {
                events.push(self.timeline.event(&event));
                if event.kind == EventKind::Pause {
                    self.finish_turn(&event)?;
                }
            }
        }
        self.endpoint_events = endpoint_events;
        Ok(())
    }

    fn finish_turn(&mut self, pause: &EndpointEvent) -> Result<(), AudioError> {
        let (start, end) = (self.turn_start(pause.onset), self.timeline.fed(pause.time));
        if pause.is_forced {
            self.cut = end;
        }
        let turn = self.utterance.copy(start, end)?;
        self.finished.push_back(turn);
        Ok(())
    }

    /// The position at which a turn with this first window of speech begins.
    fn turn_start(&self, onset: u64) -> u64 {
        self.timeline
            .audio_start(onset)
            .saturating_sub(self.pre_roll_samples)
            .max(self.cut)
    }

    /// Drops the samples that no turn can contain any more.
    fn drop_unneeded(&mut self) {
        let next = self
            .endpointer
            .onset()
            .unwrap_or_else(|| self.endpointer.elapsed_windows());
        self.utterance.drop_before(self.turn_start(next));
    }
}

/// The next piece to process, and the rest.
fn split(samples: &[i16]) -> (&[i16], &[i16]) {
    samples.split_at(samples.len().min(PIECE_SAMPLES))
}

/// Renames the setting of the FIFO's error: the author of a detector chose a window, not a frame.
fn as_window_error(error: AudioError) -> AudioError {
    let name = "window_samples";
    match error {
        AudioError::Setting { expected, got, .. } => AudioError::Setting {
            name,
            expected,
            got,
        },
        other => other,
    }
}

/// Refuses a result that is no probability: a detector from outside may return anything, and a NaN
/// would count as silence without an error.
fn in_range(probability: f32) -> Result<f32, AudioError> {
    if (0.0..=1.0).contains(&probability) {
        Ok(probability)
    } else {
        Err(AudioError::Probability { got: probability })
    }
}

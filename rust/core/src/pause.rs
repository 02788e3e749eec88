//! From samples to turns: resampling, windows, voice activity detection, endpointing, utterance.

use std::collections::VecDeque;

use crate::endpointing::check;
use crate::memory::PIECE_SAMPLES;
use crate::timeline::Timeline;
use crate::vad::Vad;
use crate::{
    AudioError, AudioFifo, EndpointEvent, Endpointer, EndpointingOptions, EventKind, PauseEvent,
    Quality, Resampler, Utterance, sample,
};

/// A turn is ended at this length even where none is asked for: what a call may hold in memory must
/// have a bound, and nobody talks for a quarter of an hour without half a second of silence.
const LONGEST_TURN_S: f64 = 900.0;

/// How turns are found and how much sound belongs to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseOptions {
    /// What makes a turn begin and end.
    pub endpointing: EndpointingOptions,
    /// Sound before the first window of speech that belongs to the turn, in seconds, 0 to 30: the
    /// onset of a word is softer than what a detector takes for speech.
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

/// Finds the turns in what a caller says and hands over the sound of each.
///
/// How the sound is cut on its way in changes nothing. After a pause the detector goes on as
/// before, so what is heard while somebody answers is the beginning of the next turn.
pub struct PauseDetector {
    timeline: Timeline,
    pre_roll_samples: u64,
    resampler: Resampler,
    native: Vec<f32>,
    resampled: Vec<f32>,
    windows: AudioFifo<f32>,
    vad: Box<dyn Vad>,
    endpointer: Endpointer,
    happened: Vec<EndpointEvent>,
    utterance: Utterance,
    /// Where the turn before was ended for its length: the next one begins no earlier.
    cut: u64,
    finished: VecDeque<Vec<i16>>,
    probability: f32,
}

impl PauseDetector {
    /// A detector for mono sound at `sample_rate_hz`, heard by `vad`.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz, [`AudioError::Setting`] as in
    /// [`Endpointer::new`] and for windows that are no frames of an [`AudioFifo`].
    pub fn new(
        sample_rate_hz: u32,
        vad: Box<dyn Vad>,
        options: PauseOptions,
    ) -> Result<Self, AudioError> {
        let mut endpointing = options.endpointing;
        // Not `min`, which would take NaN for the bound and hide it.
        if endpointing.max_speech_s > LONGEST_TURN_S {
            endpointing.max_speech_s = LONGEST_TURN_S;
        }
        let pre_roll_s = options.pre_roll_s;
        check(
            "pre_roll_s",
            "from 0 to 30",
            pre_roll_s,
            (0.0..=30.0).contains(&pre_roll_s),
        )?;
        let (vad_rate_hz, window) = (vad.sample_rate_hz(), vad.window_samples());
        // Checked before anything multiplies with it: this is where windows get their bound.
        let windows = AudioFifo::new(window).map_err(named_window)?;
        let endpointer = Endpointer::new(endpointing, window, vad_rate_hz)?;
        let resampler = Resampler::new(sample_rate_hz, vad_rate_hz, Quality::LowLatency)?;
        let delay_s = resampler.delay_s();
        Ok(Self {
            timeline: Timeline::new(sample_rate_hz, vad_rate_hz, window, delay_s),
            pre_roll_samples: sample::samples_in(pre_roll_s, sample_rate_hz),
            resampler,
            native: Vec::new(),
            resampled: Vec::new(),
            windows,
            vad,
            endpointer,
            happened: Vec::with_capacity(2),
            // A second: few allocations in a turn, little memory in silence.
            utterance: Utterance::new(sample_rate_hz as usize),
            cut: 0,
            finished: VecDeque::new(),
            probability: 0.0,
        })
    }

    /// Takes mono samples in and appends what happened to `events`.
    ///
    /// # Errors
    /// What the detector says, and [`AudioError::Probability`] when it answers something else. The
    /// window it failed on counts as neither speech nor silence, everything else is kept: the next
    /// call goes on from there. [`AudioError::OutOfMemory`] when there is none for a second of the
    /// samples, which is left out, or for the turn that just ended, which is lost.
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
            // After a failure the rest is kept, and heard with the next call.
            if result.is_ok() {
                result = taken.and_then(|()| self.hear_windows(events));
                self.forget();
            }
            if rest.is_empty() {
                break;
            }
            (piece, rest) = split(rest);
        }
        // Utterances that nobody took wait until there are newer ones.
        if self.finished.len() > untaken {
            self.finished.drain(..untaken);
        }
        result
    }

    /// The sound of the oldest turn that ended and was not taken yet. Turns wait until a later call
    /// of [`Self::process`] ends another one.
    pub fn take_utterance(&mut self) -> Option<Vec<i16>> {
        self.finished.pop_front()
    }

    /// A copy of the turn under way, up to now; nothing while there is none.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] when there is no memory for the copy.
    pub fn utterance_so_far(&self) -> Result<Vec<i16>, AudioError> {
        match self.endpointer.onset() {
            Some(onset) if self.is_speaking() => self
                .utterance
                .copy(self.turn_start(onset), self.utterance.end()),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether a turn is under way.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.endpointer.is_started()
    }

    /// How many samples can follow without an event, whatever is in them: who feeds them need not
    /// hurry. None during a turn, of which everything so far may be asked for.
    #[must_use]
    pub fn min_samples_until_event(&self) -> u64 {
        if self.is_speaking() {
            return 0;
        }
        let earliest = self.endpointer.heard() + self.endpointer.min_windows_until_event() + 1;
        self.timeline
            .fed(earliest)
            .saturating_sub(self.utterance.end() + 1)
    }

    /// The probability of speech in the last window, 0 to 1.
    #[must_use]
    pub fn probability(&self) -> f32 {
        self.probability
    }

    /// Forgets everything; time counts from 0 again.
    pub fn reset(&mut self) {
        self.resampler.reset();
        self.windows.clear();
        self.vad.reset();
        self.endpointer.reset();
        self.utterance.reset();
        self.finished.clear();
        (self.cut, self.probability) = (0, 0.0);
    }

    /// Takes in a piece: all of it, or nothing where there is no memory.
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

    fn hear_windows(&mut self, events: &mut Vec<PauseEvent>) -> Result<(), AudioError> {
        let mut happened = std::mem::take(&mut self.happened);
        // A resampler may round a sample up: never decide on sound that was not fed yet.
        while self.timeline.fed(self.endpointer.heard() + 1) <= self.utterance.end() {
            let Some(window) = self.windows.read() else {
                break;
            };
            let heard = self.vad.probability(window).and_then(in_range);
            self.probability = heard.inspect_err(|_| self.endpointer.skip())?;
            self.endpointer.push(self.probability, &mut happened);
            for event in happened.drain(..) {
                events.push(self.timeline.event(&event));
                if event.kind == EventKind::Pause {
                    self.finish_turn(&event)?;
                }
            }
        }
        self.happened = happened;
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

    /// Where a turn begins whose first window of speech is this one.
    fn turn_start(&self, onset: u64) -> u64 {
        self.timeline
            .sound(onset)
            .saturating_sub(self.pre_roll_samples)
            .max(self.cut)
    }

    fn forget(&mut self) {
        let next = self
            .endpointer
            .onset()
            .unwrap_or_else(|| self.endpointer.heard());
        self.utterance.forget_before(self.turn_start(next));
    }
}

/// A piece to work on, and what is left.
fn split(samples: &[i16]) -> (&[i16], &[i16]) {
    samples.split_at(samples.len().min(PIECE_SAMPLES))
}

/// Who wrote the detector knows its windows, not our frames.
fn named_window(error: AudioError) -> AudioError {
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

/// A detector of somebody else's may answer anything; a NaN would be silence without a word.
fn in_range(probability: f32) -> Result<f32, AudioError> {
    if (0.0..=1.0).contains(&probability) {
        Ok(probability)
    } else {
        Err(AudioError::Probability { got: probability })
    }
}

//! A session's received audio, from its format to the user's turns.

use crate::memory::reserve;
use crate::timeline::{gcd, lcm};
use crate::{AudioError, EventKind, InboundAudio, Layout, PauseDetector, PauseEvent};

/// An event as it was detected, which may be overtaken until it is applied: see
/// [`InboundTurns::claim`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedEvent {
    /// The event, its times in seconds of audio received since the session began.
    pub event: PauseEvent,
    /// The epoch in which it was detected.
    pub epoch: u64,
}

/// The longest step of [`QuietTerms`], and the longest pre-roll with which there are any, in
/// seconds: what is kept undecoded costs memory, and time once a turn begins.
const MAX_QUIET_S: u64 = 1;

/// How audio without voice may pass undecoded, in samples per channel as it is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietTerms {
    /// The audio before the next sample that must still be detected in when voice comes: a turn
    /// may begin with it.
    pub pre_roll: u32,
    /// What is older than that passes in multiples of this: whole frames and whole windows, here
    /// and in every resampler, so that no position shifts.
    pub step: u32,
}

/// An event on the clock of a session: times in seconds of audio received since it began.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnEvent {
    /// The event, its times by that clock.
    pub event: PauseEvent,
    /// The audio of the turn at the handler's rate, where the event is the pause at its end.
    pub utterance: Option<Vec<i16>>,
}

/// Detects the user's turns in the audio of a session as it is received: an [`InboundAudio`] and a
/// [`PauseDetector`] on the clock of the session.
///
/// Audio is detected in whole frames, and not beyond one that brings events: what they begin, such
/// as a reply that may not be interrupted, can count for the frame behind it. [`Self::proceed`]
/// continues there.
///
/// One thread may detect, and another one apply the events later. A call that discards the turn under
/// way overtakes all events before it, which mean nothing then: [`Self::reset`],
/// [`Self::take_open_turn`], [`Self::skip`], [`Self::disregard`], and [`Self::set_skipping`] where audio was not skipped
/// before. Each of them begins a new *epoch*. The audio of a turn that has ended stays here until
/// its event is claimed, so that [`Self::take_open_turn`] loses nothing of what the user has said.
///
/// # Examples
/// ```
/// use gradio_webrtc_core::vad::SileroVad;
/// use gradio_webrtc_core::{InboundTurns, PauseDetector, PauseOptions};
///
/// let vad = Box::new(SileroVad::new(16_000)?);
/// let detector = PauseDetector::new(24_000, vad, PauseOptions::default())?;
/// let mut turns = InboundTurns::new(detector, 480);
/// let mut events = turns.process(48_000, 2, &[0; 2 * 960])?;
/// while !events.is_empty() {
///     for event in events {
///         if let Some(turn_event) = turns.claim(&event) {
///             println!("{turn_event:?}");
///         }
///     }
///     events = turns.proceed()?;
/// }
/// assert!(turns.batch_allowance(48_000) > 4 * 960);
/// # Ok::<(), gradio_webrtc_core::AudioError>(())
/// ```
pub struct InboundTurns {
    rate_hz: u32,
    frame_samples: usize,
    /// The audio on its way to the detector, and the rate and channels that it is received in.
    inbound: Option<(InboundAudio, u32, u16)>,
    clocked: ClockedDetector,
    is_skipping: bool,
}

impl InboundTurns {
    /// Turns that `detector` detects, in mono audio at its rate, which is the handler's, in frames
    /// of `frame_samples`.
    #[must_use]
    pub fn new(detector: PauseDetector, frame_samples: usize) -> Self {
        let rate_hz = detector.sample_rate_hz();
        Self {
            rate_hz,
            frame_samples,
            inbound: None,
            clocked: ClockedDetector {
                rate_hz,
                detector,
                found: Vec::new(),
                events: Vec::new(),
                ended: Vec::new(),
                epoch: 0,
                received: 0,
                origin_s: 0.0,
                has_gap: false,
            },
            is_skipping: false,
        }
    }

    /// Takes interleaved samples as they are received, and detects up to the first frame that
    /// brings events, which are returned.
    ///
    /// The rate and the channels may be other ones than before: see [`InboundAudio::change_to`].
    ///
    /// # Errors
    /// Those of [`InboundAudio`], where no sample is taken, and those of
    /// [`PauseDetector::process`]. The frames behind that one, and events decided before, follow
    /// with the next call.
    pub fn process(
        &mut self,
        call_rate_hz: u32,
        call_channels: u16,
        samples: &[i16],
    ) -> Result<Vec<DetectedEvent>, AudioError> {
        self.insert(call_rate_hz, call_channels, samples)?;
        self.proceed()
    }

    /// Takes interleaved samples as they are received, and lets them pass without detection: the
    /// open turn is discarded.
    ///
    /// For audio whose events nobody takes. What was detected before can still be claimed.
    ///
    /// # Errors
    /// Those of [`InboundAudio`], where no sample is taken.
    pub fn pass_over(
        &mut self,
        call_rate_hz: u32,
        call_channels: u16,
        samples: &[i16],
    ) -> Result<(), AudioError> {
        self.insert(call_rate_hz, call_channels, samples)?;
        if let Some((inbound, ..)) = &mut self.inbound {
            while let Some(frame) = inbound.next_frame() {
                self.clocked.skip(frame.len() as u64);
            }
        }
        Ok(())
    }

    /// How audio without voice may pass undecoded from now on: not during a turn, or what may become
    /// one, nor with a detector that may take it for speech, nor while audio is skipped.
    #[must_use]
    pub fn quiet_terms(&self, call_rate_hz: u32) -> Option<QuietTerms> {
        let Self {
            clocked, rate_hz, ..
        } = self;
        if self.is_skipping || clocked.has_gap || !clocked.detector.may_pass_silence() {
            return None;
        }
        let (call_hz, rate_hz) = (u64::from(call_rate_hz), u64::from(*rate_hz));
        let step = self.quiet_step(call_hz)?;
        let pre_roll = clocked.detector.pre_roll_samples();
        let most = MAX_QUIET_S * rate_hz;
        if step > most || pre_roll > most {
            return None;
        }
        let received = |samples: u64| u32::try_from((samples * call_hz).div_ceil(rate_hz)).ok();
        Some(QuietTerms {
            pre_roll: received(pre_roll)?,
            step: received(step)?,
        })
    }

    /// [`QuietTerms::step`] in samples at the handler's rate.
    fn quiet_step(&self, call_hz: u64) -> Option<u64> {
        let (rate_hz, frame) = (u64::from(self.rate_hz), self.frame_samples as u64);
        if frame == 0 || call_hz == 0 {
            return None;
        }
        let whole_received = rate_hz / gcd(rate_hz, call_hz);
        let windows = self.clocked.detector.whole_windows();
        Some(lcm(lcm(frame, windows), whole_received))
    }

    /// Lets audio without voice pass: `samples` per channel as they would have been received, a
    /// multiple of [`QuietTerms::step`], while there are such terms. It counts as silence.
    ///
    /// Where another thread has begun a turn meanwhile, with [`Self::detect`], it is silence in it.
    ///
    /// # Errors
    /// Those of [`Self::detect`].
    pub fn pass_quiet(&mut self, call_rate_hz: u32, samples: u64) -> Result<(), AudioError> {
        let samples = samples * u64::from(self.rate_hz) / u64::from(call_rate_hz);
        self.clocked.pass_quiet(samples)
    }

    /// The number of calls so far that have overtaken all events before them.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.clocked.epoch
    }

    fn insert(
        &mut self,
        call_rate_hz: u32,
        call_channels: u16,
        samples: &[i16],
    ) -> Result<(), AudioError> {
        let (handler_hz, frame) = (self.rate_hz, self.frame_samples);
        let (rate_hz, channels) = (call_rate_hz, call_channels);
        let inbound = match &mut self.inbound {
            Some((inbound, rate, count)) => {
                if (*rate, *count) != (rate_hz, channels) {
                    inbound.change_to(rate_hz, channels, handler_hz, Layout::Mono, frame)?;
                    (*rate, *count) = (rate_hz, channels);
                }
                inbound
            }
            none => {
                let inbound =
                    InboundAudio::new(rate_hz, channels, handler_hz, Layout::Mono, frame)?;
                &mut none.insert((inbound, rate_hz, channels)).0
            }
        };
        inbound.process(samples)
    }

    /// Detects in the frames that wait, up to the first one that brings events.
    ///
    /// # Errors
    /// Those of [`PauseDetector::process`]; see [`Self::process`].
    pub fn proceed(&mut self) -> Result<Vec<DetectedEvent>, AudioError> {
        let Some((inbound, ..)) = &mut self.inbound else {
            return Ok(self.clocked.take_events());
        };
        while let Some(frame) = inbound.next_frame() {
            if self.is_skipping {
                self.clocked.skip(frame.len() as u64);
            } else {
                self.clocked.process(frame)?;
            }
            if !self.clocked.events.is_empty() {
                break;
            }
        }
        Ok(self.clocked.take_events())
    }

    /// Detects in mono samples that have the handler's rate already, ahead of those that wait.
    ///
    /// # Errors
    /// Those of [`PauseDetector::process`]. Events decided before follow with the next call.
    pub fn detect(&mut self, samples: &[i16]) -> Result<Vec<DetectedEvent>, AudioError> {
        self.clocked.process(samples)?;
        Ok(self.clocked.take_events())
    }

    /// Takes an event that is about to be applied, with the audio of the turn that it ends.
    ///
    /// `None` where it is overtaken, since a new epoch has begun behind it, and where the audio was
    /// taken already.
    pub fn claim(&mut self, detected: &DetectedEvent) -> Option<TurnEvent> {
        self.clocked.claim(detected)
    }

    /// While set, received frames pass without detection: the next one discards the open turn.
    ///
    /// For a reply that may not be interrupted. [`Self::detect`] goes on. A new epoch begins where
    /// it was not set before: speech before the reply does not interrupt it either, and a turn that
    /// has ended and was not answered before it is discarded.
    pub fn set_skipping(&mut self, is_skipping: bool) {
        if is_skipping && !self.is_skipping {
            self.clocked.begin_epoch();
        }
        self.is_skipping = is_skipping;
    }

    /// Lets so many samples of the handler's rate pass without detection; the open turn is
    /// discarded, and a new epoch begins.
    pub fn skip(&mut self, samples: u64) {
        self.clocked.begin_epoch();
        self.clocked.skip(samples);
    }

    /// True while a turn is under way, or what may become one: only more audio decides about it, and
    /// where none comes, silence in its place. False while audio is skipped.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_skipping && !self.clocked.has_gap && self.clocked.detector.is_open()
    }

    /// The number of samples at the handler's rate that can follow without an event, whatever they
    /// contain; less than a window while a turn may be over, 0 while audio is skipped.
    #[must_use]
    pub fn min_samples_until_event(&self) -> u64 {
        let clocked = &self.clocked;
        if self.is_skipping || clocked.has_gap {
            return 0;
        }
        clocked.detector.min_samples_until_event()
    }

    /// The received audio that may wait, in seconds, since no event could follow from it: less the
    /// frame that may be incomplete here. Below 0 where none may wait.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "f64 counts samples exactly for 1,000 years"
    )]
    pub fn batch_allowance_s(&self) -> f64 {
        let seconds = |samples: u64| samples as f64 / f64::from(self.rate_hz);
        seconds(self.min_samples_until_event()) - seconds(self.frame_samples as u64)
    }

    /// [`Self::batch_allowance_s`] in samples per channel at `call_rate_hz`, 0 or more.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    pub fn batch_allowance(&self, call_rate_hz: u32) -> u32 {
        (self.batch_allowance_s() * f64::from(call_rate_hz)) as u32
    }

    /// A copy of the turn under way, up to the last whole frame; empty while there is none.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for the copy.
    pub fn utterance_so_far(&self) -> Result<Vec<i16>, AudioError> {
        if self.clocked.has_gap {
            return Ok(Vec::new());
        }
        self.clocked.detector.utterance_so_far()
    }

    /// As [`Self::utterance_so_far`], while the turn under way may be over; `None` otherwise.
    ///
    /// # Errors
    /// As there.
    pub fn candidate(&self) -> Result<Option<Vec<i16>>, AudioError> {
        if self.is_skipping || self.clocked.has_gap {
            return Ok(None);
        }
        self.clocked.detector.candidate()
    }

    /// Ends the turn under way now, if it may be over since `speech_end_s`, as the event of its
    /// candidate has it; `None` where speech has gone on since, and where another call has ended or
    /// discarded the turn.
    ///
    /// The result needs no [`Self::claim`]. Events that were detected before stay valid.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for its audio; the turn goes on.
    pub fn end_turn(&mut self, speech_end_s: f64) -> Result<Option<TurnEvent>, AudioError> {
        if self.is_skipping || self.clocked.has_gap {
            return Ok(None);
        }
        self.clocked.end_turn(speech_end_s)
    }

    /// Sets the silence that ends a turn, in seconds, from now on, also for the one under way.
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless it is above 0; nothing is changed then.
    pub fn set_pause(&mut self, pause_s: f64) -> Result<(), AudioError> {
        self.clocked.detector.set_pause(pause_s)
    }

    /// Takes the turn under way, up to the last whole frame, and discards it here: the next frame
    /// begins a new one, in a new epoch. Before it comes the audio of turns that have ended, and
    /// whose end was not claimed. Empty where there is nothing of either.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for it; the turn is kept then.
    pub fn take_open_turn(&mut self) -> Result<Vec<i16>, AudioError> {
        let open = self.utterance_so_far()?;
        let audio = self.clocked.behind_ended(open)?;
        self.reset();
        Ok(audio)
    }

    /// Discards the open turn in a new epoch, and nothing of what the detector has learnt: speech that
    /// goes on begins another turn, once there is enough of it, with the pre-roll before that.
    ///
    /// For speech that is nobody's, as an echo, which another voice may join.
    pub fn disregard(&mut self) {
        self.clocked.begin_epoch();
        self.clocked.detector.disregard();
    }

    /// Discards the open turn; the next frame begins a new one, in a new epoch. The clock goes on,
    /// and audio that waits for its frame is kept.
    pub fn reset(&mut self) {
        self.clocked.begin_epoch();
        self.clocked.reset();
    }
}

/// A detector whose own time begins at each reset, on the clock of a session.
struct ClockedDetector {
    rate_hz: u32,
    detector: PauseDetector,
    /// The events of one call of the detector; reused, so that a frame allocates nothing.
    found: Vec<PauseEvent>,
    /// What was not returned yet.
    events: Vec<DetectedEvent>,
    /// The pauses of this epoch that were not claimed yet, with the turns that they have ended.
    ended: Vec<(PauseEvent, Vec<i16>)>,
    epoch: u64,
    /// Samples received since the session began.
    received: u64,
    /// The time at which the detector was last reset.
    origin_s: f64,
    /// True behind skipped audio. The detector is reset by the next samples only: skipping may go
    /// on for minutes.
    has_gap: bool,
}

impl ClockedDetector {
    fn process(&mut self, samples: &[i16]) -> Result<(), AudioError> {
        if self.has_gap {
            self.reset();
        }
        self.received += samples.len() as u64;
        let result = self.detector.process(samples, &mut self.found);
        for event in self.found.drain(..) {
            let later = event.later(self.origin_s);
            if later.kind == EventKind::Pause {
                let utterance = self.detector.take_utterance().unwrap_or_default();
                self.ended.push((later, utterance));
            }
            self.events.push(DetectedEvent {
                event: later,
                epoch: self.epoch,
            });
        }
        result
    }

    fn claim(&mut self, detected: &DetectedEvent) -> Option<TurnEvent> {
        let event = detected.event;
        if detected.epoch != self.epoch {
            return None;
        }
        let mut utterance = None;
        if event.kind == EventKind::Pause {
            let at = self.ended.iter().position(|(pause, _)| *pause == event)?;
            utterance = Some(self.ended.remove(at).1);
        }
        Some(TurnEvent { event, utterance })
    }

    fn end_turn(&mut self, speech_end_s: f64) -> Result<Option<TurnEvent>, AudioError> {
        let ended = self.detector.end_turn(speech_end_s - self.origin_s)?;
        Ok(ended.map(|event| TurnEvent {
            event: event.later(self.origin_s),
            utterance: Some(self.detector.take_utterance().unwrap_or_default()),
        }))
    }

    /// This audio, and before it that of the turns whose ends were not claimed.
    fn behind_ended(&self, open: Vec<i16>) -> Result<Vec<i16>, AudioError> {
        if self.ended.is_empty() {
            return Ok(open);
        }
        let utterances = self.ended.iter().map(|(_, utterance)| utterance);
        let mut audio = Vec::new();
        reserve(
            &mut audio,
            utterances.clone().map(Vec::len).sum::<usize>() + open.len(),
        )?;
        utterances.for_each(|utterance| audio.extend_from_slice(utterance));
        audio.extend(open);
        Ok(audio)
    }

    /// Overtakes all events so far.
    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.events.clear();
        self.ended.clear();
    }

    fn take_events(&mut self) -> Vec<DetectedEvent> {
        std::mem::take(&mut self.events)
    }

    fn skip(&mut self, samples: u64) {
        self.received += samples;
        self.has_gap = true;
    }

    fn pass_quiet(&mut self, samples: u64) -> Result<(), AudioError> {
        if self.has_gap {
            self.received += samples;
            return Ok(());
        }
        if !self.detector.may_pass_silence() {
            // Its silence would be part of the turn.
            return self.process(&vec![0; usize::try_from(samples).unwrap_or(0)]);
        }
        self.detector.pass_silence(samples)?;
        self.received += samples;
        Ok(())
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "f64 counts samples exactly for 1,000 years"
    )]
    fn reset(&mut self) {
        self.detector.reset();
        self.origin_s = self.received as f64 / f64::from(self.rate_hz);
        self.has_gap = false;
    }
}

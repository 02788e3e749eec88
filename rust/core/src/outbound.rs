//! Outbound audio: from the chunks that a handler yields to the session's frames of 20 ms.

use crate::aside::Aside;
use crate::backlog::Backlog;
use crate::converter::Converter;
use crate::echo_guard::{EchoMatch, SentAudio, SentSnapshot};
use crate::echo_watch::{EchoWatch, Expected};
use crate::hold::{Hold, fade_in};
use crate::memory::PIECE_SAMPLES;
use crate::sample::{self, Chunk, Layout, Sample};
use crate::stretcher::Stretcher;
use crate::{AudioError, AudioFifo};

/// Outbound frames in a second: 20 ms each, the frame of Opus in WebRTC (RFC 7587, section 4.2).
const FRAMES_PER_SECOND: u32 = 50;

/// The longest silence inside the audio of a live source, in seconds: an outage, no new beginning.
const MAX_LIVE_IDLE_S: f64 = 1.0;

/// The most audio that may come late at once, in seconds: no more waits on its way in.
const MAX_LATE_S: f64 = 10.0;

/// The stream that is being converted: one rate and one number of channels.
#[derive(Debug)]
pub(crate) struct Source {
    rate_hz: u32,
    converters: Vec<Converter>,
}

/// Takes audio at any rate, in any number format, mono or stereo, and returns interleaved int16
/// frames of 20 ms at the session's rate.
///
/// Bounded: [`Self::push`] takes only as much as has room, so the producer waits. The rate, format
/// and layout may change from one chunk to the next. The first stereo chunk makes the outbound
/// audio stereo for the rest of the session.
#[derive(Debug)]
pub struct OutboundAudio {
    call_rate_hz: u32,
    /// Samples per channel.
    max_buffered: usize,
    frame_samples: usize,
    source: Option<Source>,
    /// Left, or mono; and right once there is stereo.
    planes: Vec<AudioFifo<i16>>,
    frame: Vec<i16>,
    non_finite: u64,
    backlog: Backlog,
    stretcher: Stretcher,
    echo: EchoWatch,
    sent: SentAudio,
    hold: Hold,
    aside: Option<Box<Aside>>,
    pushed: u64,
    removed: u64,
    inserted: u64,
}

impl OutboundAudio {
    /// An empty outbound buffer that holds at most `max_buffered_s` seconds (and a resampler's
    /// tail).
    ///
    /// # Errors
    /// [`AudioError::Setting`] unless the rate divides into 20 ms frames and at least two of them
    /// may be held, [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz.
    pub fn new(call_rate_hz: u32, max_buffered_s: f64) -> Result<Self, AudioError> {
        Converter::new(call_rate_hz, call_rate_hz)?;
        let setting = |name, expected, got| {
            Err(AudioError::Setting {
                name,
                expected,
                got,
            })
        };
        if !call_rate_hz.is_multiple_of(FRAMES_PER_SECOND) {
            return setting(
                "call_rate_hz",
                "that is a multiple of 50",
                call_rate_hz.into(),
            );
        }
        // From two frames, one to send and one that is being filled: fewer would stall between
        // them.
        if !(0.04..=3600.0).contains(&max_buffered_s) {
            return setting("max_buffered_s", "from 0.04 to 3600", max_buffered_s);
        }
        let frame_samples = (call_rate_hz / FRAMES_PER_SECOND) as usize;
        let stretcher = Stretcher::new(call_rate_hz);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range checked"
        )]
        let max_buffered = (max_buffered_s * f64::from(call_rate_hz)) as usize;
        Ok(Self {
            call_rate_hz,
            max_buffered,
            frame_samples,
            source: None,
            planes: vec![AudioFifo::new(frame_samples)?.keeping(stretcher.history())],
            frame: Vec::new(),
            non_finite: 0,
            backlog: Backlog::new(frame_samples),
            stretcher,
            echo: EchoWatch::new(),
            sent: SentAudio::new(frame_samples),
            hold: Hold::default(),
            aside: None,
            pushed: 0,
            removed: 0,
            inserted: 0,
        })
    }

    /// Takes the head of `chunk`, as much as has room; returns how many samples per channel it
    /// took, 0 while the buffer is full.
    ///
    /// NaN and the infinities become silence and are counted; everything beyond full scale
    /// saturates.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz, those of [`Chunk::check`], and
    /// [`AudioError::OutOfMemory`] where there is no memory for the part that has room; no sample
    /// is taken then.
    pub fn push<S: Sample>(
        &mut self,
        rate_hz: u32,
        chunk: Chunk<'_, S>,
    ) -> Result<usize, AudioError> {
        chunk.check()?;
        self.follow(rate_hz, chunk.layout())?;
        let taken = chunk.samples().min(self.room(rate_hz));
        self.reserve(taken)?;
        self.sent.reserve()?;
        let before = self.planes[0].len();
        for start in (0..taken).step_by(PIECE_SAMPLES) {
            let samples = PIECE_SAMPLES.min(taken - start);
            self.take(&rest_of(chunk, start), samples);
        }
        let waiting = self.planes[0].len();
        self.pushed += (waiting - before) as u64;
        self.backlog.delivered(waiting - before, waiting);
        if taken < chunk.samples() {
            let length = chunk.samples() as u64 * u64::from(self.call_rate_hz) / u64::from(rate_hz);
            self.backlog
                .filled_up(usize::try_from(length).unwrap_or(usize::MAX));
        }
        Ok(taken)
    }

    /// Makes room for the result of so many samples per channel of the source.
    fn reserve(&mut self, samples: usize) -> Result<(), AudioError> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        for (converter, plane) in source.converters.iter().zip(&mut self.planes) {
            plane.reserve(converter.max_output(samples))?;
        }
        Ok(())
    }

    fn take<S: Sample>(&mut self, chunk: &Chunk<'_, S>, samples: usize) {
        let Some(source) = &mut self.source else {
            return;
        };
        let channels = source.converters.iter_mut().zip(&mut self.planes);
        for (index, (converter, plane)) in channels.enumerate() {
            let non_finite = chunk.append_channel(index, samples, converter.input());
            plane.write(converter.convert());
            // A mono chunk is converted for both channels but counted once.
            if index < chunk.layout().channels() {
                self.non_finite += non_finite as u64;
            }
        }
    }

    /// Takes the next frame, interleaved; `None` while less than one waits.
    ///
    /// With `partial`, the stream ends where less than a frame waits: the rest, the resampler's
    /// tail included, is padded with silence.
    ///
    /// Each pull without `partial` is 20 ms of time. From a live source, which for a second has
    /// delivered about as fast as its audio was pulled while no push had to wait for room, a delay
    /// above 40 ms is worked off here; and the first five frames missing inside its audio are made
    /// of what was played before.
    pub fn pull(&mut self, partial: bool) -> Option<&[i16]> {
        if self.hold.is_held() {
            self.sent.note_silence(usize::from(!partial));
            return None;
        }
        if self.has_frame() {
            self.prepare();
        } else if partial {
            let left = self.planes[0].len();
            self.end_stream();
            if self.has_frame() {
                self.prepare();
                self.backlog.padded(left);
            }
        } else {
            self.hold.note_missing();
            if self.backlog.ran_dry() {
                self.stretcher.begin_filling(&self.planes);
            }
            return self.fill();
        }
        self.take_frame(partial)
    }

    /// Takes the frame at the head of the queue.
    fn take_frame(&mut self, partial: bool) -> Option<&[i16]> {
        self.hold.note_taken(self.frame_samples);
        match self.planes.as_mut_slice() {
            [left, right] => {
                self.frame.clear();
                sample::append_interleaved(left.read()?, right.read()?, &mut self.frame);
                self.sent.note(&self.frame, partial);
                Some(&self.frame)
            }
            mono => {
                let frame = mono[0].read()?;
                self.sent.note(frame, partial);
                Some(frame)
            }
        }
    }

    /// Notes for how long nothing was pulled since nothing was there. What comes after more than a
    /// second is another source until it has proved otherwise.
    pub fn note_idle(&mut self, seconds: f64) {
        if seconds > MAX_LIVE_IDLE_S && !self.backlog.expects_late() {
            self.backlog.forget();
        }
        let samples = self.samples_in(seconds);
        self.backlog.idled(samples);
        self.hold.note_idle(samples / self.frame_samples);
        self.sent.note_silence(samples / self.frame_samples);
    }

    /// A copy of what was pulled last, to be compared with what is received.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for it.
    pub fn sent(&self) -> Result<SentSnapshot, AudioError> {
        self.sent.snapshot()
    }

    /// Notes what was found in [`Self::sent`]: later echoes are likely to be as late.
    pub fn expect_echo(&mut self, found: &EchoMatch) {
        self.sent.expect(found);
    }

    /// Notes that inbound audio was held back for so long, by a blocked event loop or a network that
    /// stood still. Call it before that audio can be pushed.
    ///
    /// A live source that plays on what it is given is late by as much. From half a second on that is
    /// worked off at once, also where it had to wait for room. What was held back for less waits for
    /// the next hole, 400 ms at most, and is worked off once audio comes evenly for 0.3 s, or half of
    /// that where it is more than 200 ms.
    pub fn expect_late(&mut self, seconds: f64) {
        let samples = self.samples_in(seconds);
        self.backlog.expect_late(samples);
    }

    /// Notes that so many seconds of inbound audio were received at `now_s`, on a clock that never
    /// goes back. Call it before that audio can be pushed.
    ///
    /// From a source that has pushed as much as was received for two seconds, an echo, all that comes
    /// ahead of real time is late; see [`Self::expect_late`]. What any other source pushes is not.
    #[allow(clippy::cast_precision_loss, reason = "exact for 6,000 years")]
    pub fn note_received(&mut self, now_s: f64, seconds: f64) {
        let pushed_s = self.pushed as f64 / f64::from(self.call_rate_hz);
        match self.echo.receive(now_s, seconds, pushed_s) {
            Expected::Same => {}
            Expected::Late(late_s) => self.expect_late(late_s),
            Expected::NotLate => self.backlog.expect_none_late(),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded"
    )]
    fn samples_in(&self, seconds: f64) -> usize {
        (seconds.clamp(0.0, MAX_LATE_S) * f64::from(self.call_rate_hz)) as usize
    }

    /// Makes the frame that is pulled now ready at the head of the queue.
    fn prepare(&mut self) {
        self.stretcher.end_filling(&mut self.planes);
        self.shorten();
        self.backlog.pulled(self.planes[0].len());
    }

    /// Fills a frame of a hole.
    fn fill(&mut self) -> Option<&[i16]> {
        let samples = self.frame_samples;
        if !self.stretcher.fill(&self.planes, samples, &mut self.frame) {
            self.sent.note_silence(1);
            return None;
        }
        self.sent.note(&self.frame, false);
        self.inserted += samples as u64;
        Some(&self.frame)
    }

    /// Removes a part of the backlog of a live source.
    fn shorten(&mut self) {
        let excess = self.backlog.removable(self.planes[0].len());
        if excess > 0 {
            let removed = self.stretcher.shorten(&mut self.planes, excess);
            self.backlog.removed(removed, self.stretcher.least());
            self.removed += removed as u64;
            return;
        }
        let silence = self.backlog.removable_silence(self.planes[0].len());
        if silence > 0 {
            let removed = self.stretcher.drop_empty(&mut self.planes, silence);
            self.backlog.removed(removed, self.stretcher.least());
            self.removed += removed as u64;
        }
    }

    /// Ends the stream: the resampler's tail follows, and the last partial frame is padded with
    /// silence. The next push begins a new stream.
    pub fn end(&mut self) {
        self.backlog.forget();
        self.end_stream();
        self.hold.note_end(self.planes[0].len());
    }

    /// Keeps so many seconds of what was pulled last, for [`Self::hold`].
    pub fn keep_pulled(&mut self, seconds: f64) {
        let samples = self.samples_in(seconds);
        for plane in &mut self.planes {
            plane.keep(samples.max(self.stretcher.history()));
        }
    }

    /// Stops to return frames, and keeps everything, until [`Self::release`] or [`Self::clear`].
    ///
    /// What has room is still taken. To a source that is live the hold is an end.
    ///
    /// # Arguments
    /// `rewind_s`: seconds of what was pulled last that are returned again after the hold, if anything
    /// was pulled right before it. `unplayed_s`: seconds before that, since nobody has played them.
    pub fn hold(&mut self, rewind_s: f64, unplayed_s: f64) {
        let [rewind, unplayed] = [rewind_s, unplayed_s].map(|it| self.samples_in(it));
        self.hold.begin(rewind, unplayed);
        self.stretcher.drop_filling();
        self.backlog.forget();
    }

    /// Ends a hold, from as far back as it was requested: no further than what is kept, than the last
    /// [`Self::end`], and than the last [`Self::clear`]. Returns that in seconds; 0 without a hold.
    pub fn release(&mut self) -> f64 {
        let back = self.hold.end();
        let kept = self.planes.iter().map(AudioFifo::kept).min().unwrap_or(0);
        let back = back.min(kept);
        self.backlog.forget();
        if back > 0 {
            self.hold.note_rewound(back);
            let fade = self.stretcher.fade_in();
            for plane in &mut self.planes {
                plane.rewind(back);
                fade_in(&mut plane.waiting_mut()[..fade.min(back)]);
            }
        }
        self.seconds(back)
    }

    /// True from [`Self::hold`] to [`Self::release`] or [`Self::clear`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold.is_held()
    }

    /// Puts what waits aside, and the stream that it is a part of: what is pushed from now on is
    /// pulled first, until [`Self::take_back`]. Has no effect while something is aside.
    ///
    /// Returns true if the source is live, or plays on what is received: its audio belongs to this
    /// moment, and is not worth much later.
    ///
    /// # Errors
    /// [`AudioError::OutOfMemory`] where there is no memory for it; nothing changes then.
    pub fn set_aside(&mut self) -> Result<bool, AudioError> {
        let is_live = self.backlog.is_live() || self.echo.is_echo();
        if self.aside.is_some() {
            return Ok(is_live);
        }
        let planes = self.planes.iter().map(AudioFifo::emptied);
        let planes = planes.collect::<Result<_, _>>()?;
        self.stretcher.drop_filling();
        self.backlog.forget();
        self.aside = Some(Box::new(Aside {
            source: self.source.take(),
            planes: std::mem::replace(&mut self.planes, planes),
            hold: std::mem::take(&mut self.hold),
            pushed: self.pushed,
        }));
        Ok(is_live)
    }

    /// Has what is aside wait again, in place of what waits now, which is dropped.
    pub fn take_back(&mut self) {
        let Some(aside) = self.aside.take() else {
            return;
        };
        let channels = self.channels();
        (self.source, self.planes) = (aside.source, aside.planes);
        (self.hold, self.pushed) = (aside.hold, aside.pushed);
        while self.channels() < channels {
            // Stereo has come meanwhile: the next chunk has converters for both.
            self.finish_source();
            self.planes.push(self.planes[0].clone());
        }
        self.stretcher.drop_filling();
        self.backlog.forget();
    }

    /// The duration of what is aside, in seconds; `None` if nothing was put there.
    #[must_use]
    pub fn aside_s(&self) -> Option<f64> {
        let aside = self.aside.as_ref()?;
        Some(self.seconds(aside.planes[0].len()))
    }

    fn end_stream(&mut self) {
        self.finish_source();
        self.planes.iter_mut().for_each(AudioFifo::pad);
    }

    /// Drops all waiting samples, those that are aside as well, and ends a hold; returns how many
    /// samples per channel there were, without those.
    pub fn clear(&mut self) -> usize {
        if let Some(aside) = self.aside.take() {
            self.pushed = aside.pushed;
        }
        self.hold = Hold::default();
        self.source = None;
        self.stretcher.drop_filling();
        self.backlog.forget();
        self.planes
            .iter_mut()
            .map(AudioFifo::clear)
            .fold(0, usize::max)
    }

    /// 1 until the first stereo chunk, then 2.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.planes.len()
    }

    /// Samples per channel of a frame.
    #[must_use]
    pub fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    /// The duration of the waiting samples, in seconds.
    #[must_use]
    pub fn buffered_s(&self) -> f64 {
        self.seconds(self.planes[0].len())
    }

    #[allow(clippy::cast_precision_loss, reason = "an hour at 192 kHz is 30 bits")]
    fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.call_rate_hz)
    }

    /// True if nothing waits and no stream has begun, of which a resampler may hold back the end, or
    /// all of it is held: a `pull` with `partial` has nothing to return.
    ///
    /// Becomes false with the next push, however little that takes, or the end of the hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hold.is_held() || (self.source.is_none() && self.planes[0].is_empty())
    }

    /// True if [`Self::pull`] would return a full frame.
    #[must_use]
    pub fn has_frame(&self) -> bool {
        !self.hold.is_held() && self.planes[0].has_frame()
    }

    /// True if a full frame waits that may be pulled before it is due, for a receiver that may be
    /// ahead. False for a live source: what is ahead of it would be a delay.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.has_frame() && !self.backlog.is_live()
    }

    /// Samples that were NaN or infinite, since the start.
    #[must_use]
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// Samples per channel of a live source that were removed to shorten its delay, since the start.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// Samples per channel that filled holes in the audio of a live source, since the start.
    #[must_use]
    pub fn inserted(&self) -> u64 {
        self.inserted
    }

    /// The number of samples per channel at `rate_hz` that have room.
    #[must_use]
    pub fn room(&self, rate_hz: u32) -> usize {
        let free = self.max_buffered.saturating_sub(self.planes[0].len());
        free * rate_hz as usize / self.call_rate_hz as usize
    }

    /// Switches to the rate of the next chunk, and to stereo once there is any.
    ///
    /// The new converters are made before anything changes: a rate out of range leaves the buffer
    /// as it was.
    fn follow(&mut self, rate_hz: u32, layout: Layout) -> Result<(), AudioError> {
        let channels = layout.channels().max(self.channels());
        let source = self.source.as_ref();
        if source.is_some_and(|it| it.rate_hz == rate_hz && it.converters.len() == channels) {
            return Ok(());
        }
        let make = if source.is_some() {
            Converter::continuing
        } else {
            Converter::new
        };
        let converters = (0..channels)
            .map(|_| make(rate_hz, self.call_rate_hz))
            .collect::<Result<_, _>>()?;
        self.finish_source();
        if self.channels() < channels {
            // The mono audio that still waits becomes left and right.
            self.planes.push(self.planes[0].clone());
        }
        self.source = Some(Source {
            rate_hz,
            converters,
        });
        Ok(())
    }

    fn finish_source(&mut self) {
        let Some(mut source) = self.source.take() else {
            return;
        };
        for (converter, plane) in source.converters.iter_mut().zip(&mut self.planes) {
            plane.write(converter.flush());
        }
    }
}

/// The rest of a chunk from sample `start` of each channel on.
fn rest_of<S: Sample>(chunk: Chunk<'_, S>, start: usize) -> Chunk<'_, S> {
    match chunk {
        Chunk::Mono(samples) => Chunk::Mono(&samples[start..]),
        Chunk::Interleaved(samples) => Chunk::Interleaved(&samples[2 * start..]),
        Chunk::Planar(left, right) => Chunk::Planar(&left[start..], &right[start..]),
    }
}

//! The delay that a live source has gained and that may be taken back: measured in pulled frames.
//!
//! Each frame of silence that fills a hole, and each burst after one, leaves more audio waiting than
//! before. From a live source, which delivers as fast as its audio is played, this never shrinks by
//! itself. A reply that was computed faster than it is played waits as well, but runs out by
//! itself: it is no backlog. The two are distinguished by the *least* audio that waits over some
//! hundred milliseconds. It rises for what is faster than real time, falls for what has ended, and
//! stands still for a live source.
//!
//! Where the source plays on what a bad network delivers, the least rises and falls as well. There
//! the holes that were played are counted: what waits beyond the usual by no more than these is
//! late, and no reply that is ahead. While it comes unevenly, it is left to wait for the next hole.

/// Frames of which the least backlog is taken at once: 160 ms, several deliveries of most sources.
const SPAN_FRAMES: u32 = 8;

/// Deliveries in a span, at least. Between two of them the backlog of a source of long blocks has
/// its least.
const SPAN_DELIVERIES: u32 = 2;

/// Spans without a change that make a source live: about a second.
const LIVE_SPANS: u32 = 6;

/// Spans that vary by no more than a delivery, after which the backlog of a live source is taken back: 0.3 s, of the
/// second in which a delay has to be gone.
const CALM_SPANS: u32 = 2;

/// Spans without [`LIVE_SPANS`] alike after which a source is no longer live: two seconds.
const MAX_UNSTEADY_SPANS: u32 = 12;

/// Frames before a pull above which the least backlog is an excess: 40 ms.
const MAX_LEAST_FRAMES: usize = 2;

/// What is left of the least backlog before a pull, in quarters of a frame: the frame that is pulled,
/// and 5 ms for the jitter of the next delivery. With the frame alone, every second working-off ended
/// in a further hole where deliveries came just when frames were pulled.
const LEFT_QUARTERS: usize = 5;

/// Frames of a block from which on it may be a whole reply: 80 ms. No service that streams in real
/// time begins with more.
const LONG_BLOCK_FRAMES: usize = 4;

/// Frames in which audio that is late is expected, after it was announced: two seconds. What was held
/// back comes at once, as fast as the queue has room.
const LATE_FRAMES: u32 = 100;

/// Frames held back on their way from which on all that comes is too late to be kept for the next
/// hole: half a second.
const MIN_LATE_FRAMES: usize = 25;

/// The longest delay that is kept for the next hole, in frames: 400 ms. A conversation is not possible
/// beyond it (ITU-T G.114), and no packet is waited for longer. Of the packets of a path with a normal
/// deviation of 200 ms that keeps their order, 90 % are in time then.
const MAX_OWED_FRAMES: usize = 20;

/// Frames by which the least backlog may be above the holes that were played before a source counts
/// as ahead: what a settled one has, and as much for the jitter of deliveries.
const MAX_UNEXPLAINED_FRAMES: usize = 4;

/// Spans in succession in which audio comes evenly, after which what is late is worked off: 0.3 s. By
/// chance, one alone is even several times in ten seconds of jitter with a normal deviation of 50 ms,
/// and what was worked off then was missing in the next hole.
const EVEN_SPANS: u32 = 2;

/// What is late, in frames, from which on one such span has to do: 200 ms, and more takes most of the
/// second in which it has to be gone.
const MAX_SOON_FRAMES: usize = 10;

/// The backlog, in quarters of a frame, above which it is worked off as far as holes were played, 30
/// ms: less than where nothing shows that it is one.
const MAX_OWED_QUARTERS: usize = 6;

/// Measures what waits before each pull, and decides how much of it is an excess.
///
/// Lengths are in samples per channel.
#[derive(Debug)]
pub(crate) struct Backlog {
    frame: usize,
    span: Span,
    run: Run,
    is_live: bool,
    unsteady_spans: u32,
    /// What came since the last pull.
    delivered: usize,
    /// A usual delivery, on average.
    usual: usize,
    /// The head of the queue up to the end of the last block that may be a whole reply.
    kept: usize,
    excess: usize,
    /// What may come late: it was held back on its way to the source.
    late: usize,
    late_frames: u32,
    /// The holes that were played in the audio of a live source, and not made up for.
    owed: usize,
    /// A usual delivery while the source was steady.
    steady: usize,
    /// Spans in succession in which audio came evenly.
    even_spans: u32,
    is_playing: bool,
}

/// The backlog before each pull of a short time.
#[derive(Debug, Clone, Copy)]
struct Span {
    frames: u32,
    deliveries: u32,
    delivered: usize,
    least: usize,
    most: usize,
}

impl Span {
    const EMPTY: Self = Self {
        frames: 0,
        deliveries: 0,
        delivered: 0,
        least: usize::MAX,
        most: 0,
    };
}

/// Spans in succession with the same least backlog.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    spans: u32,
    calm_spans: u32,
    /// Of the first span.
    first: usize,
    least: usize,
}

impl Backlog {
    pub(crate) fn new(frame: usize) -> Self {
        Self {
            frame,
            span: Span::EMPTY,
            run: Run::default(),
            is_live: false,
            unsteady_spans: 0,
            delivered: 0,
            usual: 0,
            kept: 0,
            excess: 0,
            late: 0,
            late_frames: 0,
            owed: 0,
            steady: 0,
            even_spans: 0,
            is_playing: false,
        }
    }

    /// True once the source has delivered in real time for about a second.
    pub(crate) fn is_live(&self) -> bool {
        self.is_live
    }

    /// The samples that may be removed at the head of the queue now, of `waiting` ones.
    pub(crate) fn removable(&self, waiting: usize) -> usize {
        if self.kept > 0 {
            return 0;
        }
        let late = if waiting > MAX_LEAST_FRAMES * self.frame {
            self.late.min(waiting - self.left())
        } else {
            0
        };
        self.excess
            .max(late)
            .max(self.overdue(waiting))
            .min(waiting.saturating_sub(self.frame))
    }

    /// The samples of silence that may be removed at the head: what stands for lost packets is behind
    /// the hole that they have left already.
    pub(crate) fn removable_silence(&self, waiting: usize) -> usize {
        if self.kept > 0 || !self.is_disturbed() {
            return 0;
        }
        self.owed.min(waiting.saturating_sub(self.left()))
    }

    /// What is too late to be kept for the next hole.
    fn overdue(&self, waiting: usize) -> usize {
        if !self.is_disturbed() {
            return 0;
        }
        let overdue = self.owed.saturating_sub(MAX_OWED_FRAMES * self.frame);
        overdue.min(waiting.saturating_sub(self.left()))
    }

    /// True while a live source plays on audio that comes late.
    fn is_disturbed(&self) -> bool {
        self.is_live && self.late_frames > 0
    }

    /// What is left of a backlog that is removed.
    fn left(&self) -> usize {
        LEFT_QUARTERS * self.frame / 4
    }

    /// Notes that audio on its way to the source was held back: as much of what comes from a live
    /// one at once is late, and no reply that is ahead.
    pub(crate) fn expect_late(&mut self, samples: usize) {
        if !self.is_live {
            return;
        }
        if samples >= MIN_LATE_FRAMES * self.frame {
            self.late = samples;
        }
        self.late_frames = LATE_FRAMES;
    }

    /// Notes that the source does not play on what it receives: nothing of it is late.
    pub(crate) fn expect_none_late(&mut self) {
        (self.late, self.late_frames, self.owed) = (0, 0, 0);
    }

    /// True while audio may come that was held back.
    pub(crate) fn expects_late(&self) -> bool {
        self.late > 0
    }

    /// Notes a block that was queued; `waiting` with it.
    pub(crate) fn delivered(&mut self, samples: usize, waiting: usize) {
        self.delivered += samples;
        if self.is_long(samples) {
            self.kept = waiting;
        }
    }

    /// True for a block that may be a whole reply.
    fn is_long(&self, samples: usize) -> bool {
        samples >= LONG_BLOCK_FRAMES * self.frame && samples > 2 * self.usual
    }

    /// Notes that a producer has to wait for room for a block of this length. What comes from it is no
    /// backlog, unless it is late.
    pub(crate) fn filled_up(&mut self, samples: usize) {
        if !self.expects_late() || self.is_long(samples) {
            self.forget();
        }
    }

    /// Notes that the queue held less than a frame when one was due; returns true for the first one
    /// missing in the audio of a live source.
    pub(crate) fn ran_dry(&mut self) -> bool {
        self.kept = 0;
        self.excess = 0;
        self.idled(self.frame);
        self.measure_again();
        std::mem::take(&mut self.is_playing) && self.is_live
    }

    /// Notes a time in which nothing was there to be played.
    pub(crate) fn idled(&mut self, samples: usize) {
        if self.is_live {
            self.owed += samples;
        }
    }

    /// Notes that samples were removed. The rest of the excess is given up where it is too little.
    pub(crate) fn removed(&mut self, samples: usize, least: usize) {
        for rest in [&mut self.excess, &mut self.late, &mut self.owed] {
            *rest = rest.saturating_sub(samples);
            if *rest < least {
                *rest = 0;
            }
        }
    }

    /// Notes that a frame is pulled; `waiting` with it.
    pub(crate) fn pulled(&mut self, waiting: usize) {
        self.is_playing = true;
        self.kept = self.kept.saturating_sub(self.frame);
        let delivered = std::mem::take(&mut self.delivered);
        self.late_frames = self.late_frames.saturating_sub(1);
        if self.late_frames == 0 {
            self.late = 0;
        }
        if self.excess > 0 {
            return;
        }
        if delivered > (3 * self.frame).max(2 * self.usual) {
            // A burst: the backlog before it shows nothing. If bursts are what the source delivers,
            // they soon are the usual.
            self.usual += self.usual / 2 + self.frame;
            self.measure_again();
        }
        let span = &mut self.span;
        span.frames += 1;
        span.deliveries += u32::from(delivered > 0);
        span.delivered += delivered;
        span.least = span.least.min(waiting);
        span.most = span.most.max(waiting);
        if span.frames >= SPAN_FRAMES && span.deliveries >= SPAN_DELIVERIES {
            self.close_span();
        }
    }

    /// Notes that the frame pulled last has so many samples before its padding, which is no audio to
    /// go on with.
    pub(crate) fn padded(&mut self, samples: usize) {
        self.is_playing = false;
        self.owed = self.owed.saturating_sub(samples);
    }

    /// Begins as with the first sample.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.frame);
    }

    fn measure_again(&mut self) {
        self.even_spans = 0;
        self.span = Span::EMPTY;
        self.run = Run::default();
    }

    fn close_span(&mut self) {
        let span = std::mem::replace(&mut self.span, Span::EMPTY);
        self.usual = span.delivered / span.deliveries as usize;
        let usual = if self.is_disturbed() {
            self.usual.min(self.steady)
        } else {
            self.usual
        };
        let is_calm = span.most - span.least <= usual.max(self.frame);
        let run = &mut self.run;
        if run.spans == 0 || span.least.abs_diff(run.first) > self.frame {
            *run = Run {
                first: span.least,
                least: span.least,
                ..Run::default()
            };
        }
        run.spans += 1;
        run.calm_spans = if is_calm { run.calm_spans + 1 } else { 0 };
        run.least = run.least.min(span.least);
        self.judge();
        self.make_up(span);
    }

    /// Has what was late be an excess once it comes evenly, as far as holes were played.
    fn make_up(&mut self, span: Span) {
        let most_apart = self.usual.min(self.steady).max(self.frame) + self.frame;
        let is_even = span.most - span.least <= most_apart;
        self.even_spans = if is_even { self.even_spans + 1 } else { 0 };
        let is_long = 4 * span.least > MAX_OWED_QUARTERS * self.frame;
        let has_time = self.owed <= MAX_SOON_FRAMES * self.frame;
        let is_calm = self.even_spans >= if has_time { EVEN_SPANS } else { 1 };
        let is_sure = self.is_disturbed() && is_calm && is_long && self.kept == 0;
        if is_sure && self.owed > 0 && self.excess == 0 {
            self.excess = self.owed.min(span.least - self.left());
            self.measure_again();
        }
    }

    /// Decides whether the source is live, and whether its backlog is too long.
    fn judge(&mut self) {
        let run = self.run;
        if run.spans >= LIVE_SPANS {
            self.is_live = true;
            self.unsteady_spans = 0;
            if run.calm_spans >= LIVE_SPANS {
                // Nothing is late any more. What stands for the other holes never came.
                self.owed = self.owed.min(run.least.saturating_sub(self.left()));
            }
            if !self.is_disturbed() {
                self.owed = 0;
                self.steady = self.usual;
            }
        } else if !self.is_explained(run.least) {
            self.unsteady_spans += 1;
            self.is_live &= self.unsteady_spans <= MAX_UNSTEADY_SPANS;
        }
        let is_sure = run.spans >= LIVE_SPANS || (self.is_live && run.calm_spans >= CALM_SPANS);
        if is_sure && run.least > MAX_LEAST_FRAMES * self.frame && self.kept == 0 {
            self.excess = run.least - self.left();
            self.measure_again();
        }
    }

    /// True if holes explain the least backlog: the source is late, and no faster than real time.
    fn is_explained(&self, least: usize) -> bool {
        self.is_disturbed() && least <= self.owed + MAX_UNEXPLAINED_FRAMES * self.frame
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a helper of tests")]
mod tests {
    use super::*;

    const FRAME: usize = 960;

    /// Deliveries and pulls of one frame each, with so many frames waiting before each pull.
    fn go_on(backlog: &mut Backlog, frames: usize, waiting_frames: usize) {
        for _ in 0..frames {
            backlog.delivered(FRAME, waiting_frames * FRAME);
            backlog.pulled(waiting_frames * FRAME);
        }
    }

    fn live() -> Backlog {
        let mut backlog = Backlog::new(FRAME);
        go_on(&mut backlog, 60, 1);
        backlog
    }

    #[test]
    fn a_source_is_live_after_a_second() {
        let mut backlog = Backlog::new(FRAME);
        go_on(&mut backlog, 47, 1);
        assert!(!backlog.is_live());
        go_on(&mut backlog, 1, 1);
        assert!(backlog.is_live());
    }

    #[test]
    fn what_is_above_a_frame_and_a_quarter_is_an_excess_if_it_is_above_two() {
        for (waiting, excess) in [(1, 0), (2, 0), (3, 1_680), (20, 18_000)] {
            let mut backlog = Backlog::new(FRAME);
            go_on(&mut backlog, 47, waiting);
            assert_eq!(backlog.removable(waiting * FRAME), 0);
            go_on(&mut backlog, 1, waiting);
            assert_eq!(backlog.removable(waiting * FRAME), excess);
        }
    }

    #[test]
    fn of_a_live_source_it_is_one_after_a_third_of_a_second() {
        let mut backlog = live();
        assert!(backlog.ran_dry());
        go_on(&mut backlog, 15, 3);
        assert_eq!(backlog.removable(3 * FRAME), 0);
        go_on(&mut backlog, 1, 3);
        assert_eq!(backlog.removable(3 * FRAME), 1_680);
    }

    #[test]
    fn the_excess_ends_where_it_was_removed_or_nothing_is_left() {
        let mut backlog = live();
        go_on(&mut backlog, 30, 10);
        assert_eq!(backlog.removable(10 * FRAME), 8_400);
        assert_eq!(backlog.removable(4 * FRAME), 3 * FRAME);
        backlog.removed(7_240, 120);
        assert_eq!(backlog.removable(10 * FRAME), 1_160);
        backlog.removed(1_060, 120);
        assert_eq!(backlog.removable(10 * FRAME), 0);
        go_on(&mut backlog, 30, 10);
        backlog.ran_dry();
        assert_eq!(backlog.removable(10 * FRAME), 0);
    }

    #[test]
    fn a_long_block_is_kept_until_it_is_played() {
        let mut backlog = live();
        backlog.delivered(40 * FRAME, 41 * FRAME);
        go_on(&mut backlog, 40, 41);
        assert_eq!(backlog.removable(41 * FRAME), 0);
        go_on(&mut backlog, 20, 41);
        assert_eq!(backlog.removable(41 * FRAME), 39 * FRAME + 720);
    }

    #[test]
    fn a_rising_a_falling_and_a_waiting_source_have_no_excess() {
        for step in [1_i32, -1] {
            let mut backlog = Backlog::new(FRAME);
            for frame in 0..140 {
                let waiting = usize::try_from(25 + step * frame / 6).unwrap() * FRAME;
                backlog.delivered(FRAME, waiting);
                backlog.pulled(waiting);
                assert_eq!((backlog.removable(waiting), backlog.is_live()), (0, false));
            }
        }
        let mut backlog = live();
        for _ in 0..200 {
            backlog.filled_up(FRAME);
            go_on(&mut backlog, 1, 50);
        }
        assert_eq!(
            (backlog.removable(50 * FRAME), backlog.is_live()),
            (0, false)
        );
    }

    #[test]
    fn a_source_that_rises_for_two_seconds_is_no_longer_live() {
        let mut backlog = live();
        for span in 1..=15 {
            assert_eq!(backlog.is_live(), span < 15, "{span}");
            go_on(&mut backlog, 8, 2 + 2 * span);
        }
    }

    #[test]
    fn the_first_frame_missing_in_live_audio_is_distinguished() {
        let mut backlog = live();
        assert!(backlog.ran_dry());
        assert!(!backlog.ran_dry());
        go_on(&mut backlog, 1, 1);
        assert!(backlog.ran_dry());
        backlog.forget();
        go_on(&mut backlog, 1, 1);
        assert!(!backlog.ran_dry());
    }

    /// A live source of which so many frames were missing, which came late.
    fn late(frames: usize) -> Backlog {
        let mut backlog = live();
        backlog.expect_late(frames * FRAME);
        for _ in 0..frames {
            backlog.ran_dry();
        }
        backlog
    }

    #[test]
    fn what_came_late_is_an_excess_after_a_third_of_a_second_as_far_as_holes_were_played() {
        let mut backlog = late(3);
        for frame in 0..16 {
            assert_eq!(backlog.removable(5 * FRAME), 0, "{frame}");
            // A frame early or late, which is more than a source does whose audio is on time.
            go_on(&mut backlog, 1, 5 + 2 * (frame % 2));
        }
        assert_eq!(backlog.removable(5 * FRAME), 3 * FRAME);
        let mut backlog = late(3);
        go_on(&mut backlog, 16, 2);
        assert_eq!(backlog.removable(2 * FRAME), 720);
    }

    #[test]
    fn what_came_more_than_200_ms_late_is_one_after_half_of_that_time() {
        for (frames, removable) in [(10, 0), (11, 11 * FRAME)] {
            let mut backlog = late(frames);
            go_on(&mut backlog, 8, 13);
            assert_eq!(backlog.removable(13 * FRAME), removable, "{frames}");
        }
    }

    #[test]
    fn what_came_late_is_kept_where_audio_is_even_and_uneven_in_turn() {
        let mut backlog = late(6);
        for _ in 0..10 {
            go_on(&mut backlog, 8, 5);
            go_on(&mut backlog, 4, 9);
            go_on(&mut backlog, 4, 2);
            assert_eq!(backlog.removable(9 * FRAME), 0);
        }
    }

    #[test]
    fn what_comes_unevenly_is_kept_for_the_next_hole_up_to_400_ms() {
        for (frames, removable) in [(20, 0), (22, 2 * FRAME)] {
            let mut backlog = late(frames);
            for nth in 0..16 {
                let waiting = (frames - 6 * (nth % 3)) * FRAME;
                backlog.delivered(FRAME, waiting);
                backlog.pulled(waiting);
            }
            assert_eq!(backlog.removable(frames * FRAME), removable, "{frames}");
            assert!(backlog.is_live());
        }
    }

    #[test]
    fn holes_explain_a_backlog_for_two_seconds_after_the_last_that_came_late() {
        let mut backlog = late(20);
        for span in 1..=5 {
            go_on(&mut backlog, 8, 4 * span);
        }
        assert!(backlog.is_live());
        let mut backlog = late(0);
        for span in 1..=15 {
            go_on(&mut backlog, 8, 4 * span);
        }
        assert!(!backlog.is_live());
    }

    #[test]
    fn silence_is_removable_as_far_as_holes_were_played_in_what_comes_late() {
        assert_eq!(live().removable_silence(20 * FRAME), 0);
        let backlog = late(3);
        assert_eq!(backlog.removable_silence(20 * FRAME), 3 * FRAME);
        assert_eq!(backlog.removable_silence(2 * FRAME), 720);
        assert_eq!(backlog.removable_silence(FRAME), 0);
    }

    #[test]
    fn what_was_held_back_for_half_a_second_is_removable_at_once() {
        for (frames, removable) in [(24, 0), (25, 25 * FRAME)] {
            let mut backlog = live();
            backlog.expect_late(frames * FRAME);
            assert_eq!(backlog.removable(40 * FRAME), removable);
            assert_eq!(backlog.expects_late(), removable > 0);
        }
    }
}

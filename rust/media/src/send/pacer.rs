//! The times at which frames are due: every 20 ms while there is audio, and never without any.

use std::time::Duration;

use super::{FRAME_SAMPLES, RATE_HZ};

/// The spacing of frames.
pub(super) const FRAME: Duration = Duration::from_millis(20);

/// Silent frames sent before an unfinished frame is padded: a producer that is late by less than
/// 40 ms goes on where it was, without a hole inside its audio.
const PARTIAL_AFTER: u32 = 2;

/// Silent frames sent before nothing is sent at all. They give the far end's concealment silence
/// to go on with, and push the last audio out of jitter buffers that hold some packets back.
const IDLE_AFTER: u32 = 12;

/// A clock further behind than this (a suspended machine, a blocked loop) starts again rather than
/// send the backlog in one burst.
const MAX_LAG: Duration = Duration::from_millis(200);

/// The place of a frame on the clock of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// When it was due.
    pub(super) due: Duration,
    /// Its first sample, counted from the first one of the stream.
    pub(super) position: u64,
    /// True if the clock started with it, for the first time or after a gap.
    pub(super) is_first: bool,
}

/// The clock of a stream: each deadline is the one before plus 20 ms, never "now plus 20 ms".
///
/// While no audio comes it stands still, and costs nothing.
#[derive(Debug)]
pub(super) struct AudioPacer {
    /// When the first frame was due.
    origin: Option<Duration>,
    due: Duration,
    position: u64,
    silent_frames: u32,
    has_restarted: bool,
    /// When the last frame was sent before nothing was.
    idle_since: Duration,
}

impl AudioPacer {
    /// A clock that stands still until [`Self::wake`].
    pub(super) fn new() -> Self {
        Self {
            origin: None,
            due: Duration::ZERO,
            position: 0,
            silent_frames: IDLE_AFTER,
            has_restarted: false,
            idle_since: Duration::ZERO,
        }
    }

    /// True while nothing is due, since no audio came for a while.
    pub(super) fn is_idle(&self) -> bool {
        self.silent_frames >= IDLE_AFTER
    }

    /// When the next frame is due, unless the clock stands still.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// True if a frame is due by now; a clock that is far behind starts again.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.due) > MAX_LAG {
            self.restart(now);
        }
        self.due <= now
    }

    /// Lets the clock go on, with a frame that is due at once; returns for how long it stood still.
    pub(super) fn wake(&mut self, now: Duration) -> Duration {
        let idle = match self.origin {
            Some(_) => now.saturating_sub(self.idle_since),
            None => Duration::ZERO,
        };
        self.restart(now);
        idle
    }

    /// True if so much silence was sent that an unfinished frame is padded.
    pub(super) fn may_pad(&self) -> bool {
        self.silent_frames >= PARTIAL_AFTER
    }

    /// Returns the place of the frame that is sent now, and goes on to the next one.
    pub(super) fn advance(&mut self, now: Duration, is_audio: bool) -> Place {
        let place = Place {
            due: self.due,
            position: self.position,
            is_first: std::mem::take(&mut self.has_restarted),
        };
        self.silent_frames = if is_audio { 0 } else { self.silent_frames + 1 };
        self.idle_since = now;
        self.position += u64::from(FRAME_SAMPLES);
        self.due += FRAME;
        place
    }

    /// Lets the clock go on from now; the time that passed shows as a gap of positions.
    fn restart(&mut self, now: Duration) {
        let origin = *self.origin.get_or_insert(now);
        self.due = self.due.max(now);
        self.position = self
            .position
            .max(samples_in(self.due.saturating_sub(origin)));
        self.silent_frames = 0;
        self.has_restarted = true;
    }
}

/// The number of samples in a time, rounded to the nearest.
pub(super) fn samples_in(time: Duration) -> u64 {
    let scaled = time.as_nanos() * u128::from(RATE_HZ);
    u64::try_from((scaled + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn take(pacer: &mut AudioPacer, now: Duration, is_audio: bool) -> Place {
        assert!(pacer.is_due(now));
        pacer.advance(now, is_audio)
    }

    #[test]
    fn an_hour_has_no_gap_and_no_drift() {
        let mut pacer = AudioPacer::new();
        let start = 12_345_679 * Duration::from_nanos(1);
        pacer.wake(start);
        for k in 0..180_000 {
            // As timers do, it comes some time after its deadline.
            let now = pacer.due() + (k % 7) * MS;
            let place = take(&mut pacer, now, true);
            assert_eq!(place.due, start + k * FRAME);
            assert_eq!(place.position, 960 * u64::from(k));
            assert_eq!(place.is_first, k == 0);
        }
        assert_eq!(pacer.due(), start + Duration::from_secs(3_600));
    }

    #[test]
    fn a_lag_of_up_to_200_ms_is_caught_up_and_a_longer_one_is_a_gap() {
        let mut pacer = AudioPacer::new();
        pacer.wake(MS);
        take(&mut pacer, MS, true);
        let now = MS + FRAME + MAX_LAG;
        let mut caught_up = 0;
        while pacer.is_due(now) {
            caught_up += 1;
            assert_eq!(pacer.advance(now, true).position, 960 * caught_up);
        }
        assert_eq!(caught_up, 11);
        let late = pacer.due() + MAX_LAG + MS;
        let place = take(&mut pacer, late, true);
        assert_eq!((place.due, place.is_first), (late, true));
        assert_eq!(place.position, samples_in(late.saturating_sub(MS)));
        assert!(!pacer.is_due(late));
        assert_eq!(pacer.due(), late + FRAME);
    }

    #[test]
    fn it_stands_still_after_twelve_silent_frames() {
        let mut pacer = AudioPacer::new();
        assert!(pacer.is_idle());
        assert_eq!(pacer.wake(60_000 * MS), Duration::ZERO);
        for _ in 0..IDLE_AFTER {
            assert!(!pacer.is_idle());
            let now = pacer.due();
            take(&mut pacer, now, false);
        }
        assert!(pacer.is_idle());
        assert_eq!(pacer.wake(70_000 * MS), 9_780 * MS);
        assert_eq!(take(&mut pacer, 70_000 * MS, true).position, 480_000);
    }

    #[test]
    fn positions_do_not_go_back_where_it_wakes_before_the_next_deadline() {
        let mut pacer = AudioPacer::new();
        pacer.wake(MS);
        for k in 0..IDLE_AFTER {
            take(&mut pacer, MS + k * FRAME, false);
        }
        pacer.wake(2 * MS + 11 * FRAME);
        let place = pacer.advance(2 * MS + 11 * FRAME, true);
        assert_eq!(place.position, 960 * 12);
        assert_eq!(pacer.due(), MS + 13 * FRAME);
    }
}

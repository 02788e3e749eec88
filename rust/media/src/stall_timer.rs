//! The time without audio after which an open turn is over.

use std::time::Duration;

/// The longest time without a packet in which an open turn goes on. A client that sends nothing any
/// more, with a key of push to talk released or a track removed, looks like a network that stands
/// still: shorter would end turns in the stalls of a radio network, which last a second as a rule.
/// Opus sends every 400 ms in any silence (RFC 7587 section 3.1.3).
pub const MAX_STALL: Duration = Duration::from_secs(2);

/// Runs while a turn is open, and finds out that nothing has come for [`MAX_STALL`].
///
/// A packet does not move its deadline, which would cost something for each of them: that is moved
/// when it has come.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::{MAX_STALL, StallTimer};
///
/// let mut timer = StallTimer::default();
/// let last = Some(Duration::from_secs(7));
/// timer.watch(true, last);
/// let deadline = timer.deadline().unwrap();
/// assert_eq!(deadline, Duration::from_secs(7) + MAX_STALL);
/// assert!(timer.has_stalled(deadline, last));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StallTimer {
    deadline: Option<Duration>,
}

impl StallTimer {
    /// Runs on or starts while a turn is open, and stops otherwise.
    ///
    /// # Arguments
    /// `last`: the time at which a packet came last.
    pub fn watch(&mut self, is_open: bool, last: Option<Duration>) {
        let first = last.map(|last| last.saturating_add(MAX_STALL));
        self.deadline = if is_open {
            self.deadline.or(first)
        } else {
            None
        };
    }

    /// The time at which to call [`Self::has_stalled`]; `None` while it does not run.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// True if so much time has passed since the last packet, or since this was true last.
    pub fn has_stalled(&mut self, now: Duration, last: Option<Duration>) -> bool {
        let (Some(deadline), Some(last)) = (self.deadline, last) else {
            return false;
        };
        if now < deadline {
            return false;
        }
        let moved = last.saturating_add(MAX_STALL);
        let has_stalled = moved <= now;
        self.deadline = Some(if has_stalled {
            now.saturating_add(MAX_STALL)
        } else {
            moved
        });
        has_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_runs_while_a_turn_is_open() {
        let mut timer = StallTimer::default();
        timer.watch(false, Some(MS));
        assert_eq!(timer.deadline(), None);
        timer.watch(true, None);
        assert_eq!(timer.deadline(), None);
        timer.watch(true, Some(MS));
        assert_eq!(timer.deadline(), Some(MAX_STALL + MS));
        timer.watch(false, Some(MS));
        assert_eq!(timer.deadline(), None);
        assert!(!timer.has_stalled(2 * MAX_STALL, Some(MS)));
    }

    #[test]
    fn packets_move_the_deadline_once_it_has_come() {
        let mut timer = StallTimer::default();
        timer.watch(true, Some(Duration::ZERO));
        let last = Some(1_500 * MS);
        timer.watch(true, last);
        assert_eq!(timer.deadline(), Some(MAX_STALL));
        assert!(!timer.has_stalled(1_999 * MS, last));
        assert!(!timer.has_stalled(MAX_STALL, last));
        assert_eq!(timer.deadline(), Some(1_500 * MS + MAX_STALL));
        assert!(timer.has_stalled(1_500 * MS + MAX_STALL, last));
    }

    #[test]
    fn a_turn_that_is_still_open_stalls_again() {
        let mut timer = StallTimer::default();
        let last = Some(Duration::ZERO);
        timer.watch(true, last);
        assert!(timer.has_stalled(MAX_STALL + MS, last));
        timer.watch(true, last);
        assert!(!timer.has_stalled(2 * MAX_STALL, last));
        assert!(timer.has_stalled(2 * MAX_STALL + MS, last));
    }
}

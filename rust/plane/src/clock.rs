//! The time of a plane.

use std::time::{Duration, Instant};

/// A monotonic clock: the time since a moment that the caller chose.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// A moment of the machine's monotonic clock.
    pub started: Instant,
    /// The time of this clock at that moment.
    pub at: Duration,
}

impl Clock {
    /// A clock that shows `at` now, to align it with another one.
    #[must_use]
    pub fn showing(at: Duration) -> Self {
        Self {
            started: Instant::now(),
            at,
        }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.at.saturating_add(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_from_the_given_one_on() {
        let clock = Clock::showing(Duration::from_secs(1000));
        let first = clock.now();
        assert!(first >= Duration::from_secs(1000));
        assert!(clock.now() >= first);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        assert_eq!(Clock::showing(Duration::MAX).now(), Duration::MAX);
    }
}

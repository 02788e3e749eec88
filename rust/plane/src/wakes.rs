//! How often the thread wakes.

use std::time::Duration;

/// The least time between two wakes of a busy thread. What comes meanwhile shares one wake of this
/// thread, and one of the event loop: with thirty echoes these are twelve packets and as many frames
/// that are due, a fifth of the work. It is a fifth of a packet of 20 ms that they wait at most.
const LEAST_INTERVAL: Duration = Duration::from_millis(4);

/// The wakes that may come at once: nothing waits where there are a session or two.
const AT_ONCE: u32 = 8;

/// Counts wakes, as a [`TokenBucket`](crate::gate::TokenBucket) counts datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wakes {
    even_at: Duration,
}

impl Wakes {
    /// Notes a wake at `now`.
    ///
    /// A socket that is never empty wakes the thread without a rest, as often as it can: that adds up
    /// to no more than one, or whoever floods it would have all sessions stand still.
    pub fn note(&mut self, now: Duration) {
        let most = now + LEAST_INTERVAL * (AT_ONCE + 1);
        self.even_at = (self.even_at.max(now) + LEAST_INTERVAL).min(most);
    }

    /// Returns for how long the thread leaves what comes to its next wake.
    #[must_use]
    pub fn rest(&self, now: Duration) -> Duration {
        self.even_at.saturating_sub(now + LEAST_INTERVAL * AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    /// The wakes in a second in which something comes every so often.
    fn wakes(interval: Duration) -> u32 {
        let (mut wakes, mut count) = (Wakes::default(), 0);
        let (mut now, mut comes) = (Duration::ZERO, Duration::ZERO);
        while now < Duration::from_secs(1) {
            now = comes.max(now + wakes.rest(now));
            while comes <= now {
                comes += interval;
            }
            wakes.note(now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_busy_thread_wakes_250_times_a_second() {
        for interval in [20, 300, 1_500] {
            let wakes = wakes(interval * US);
            assert!((250..=260).contains(&wakes), "{wakes}");
        }
        assert_eq!(wakes(5_000 * US), 201);
    }

    #[test]
    fn wakes_without_a_rest_between_them_cost_one() {
        let mut flooded = Wakes::default();
        for k in 0..10_000 {
            flooded.note(k * 100 * US);
        }
        assert_eq!(flooded.rest(9_999 * 100 * US), LEAST_INTERVAL);
    }

    #[test]
    fn nothing_waits_where_there_are_two_sessions() {
        let mut few = Wakes::default();
        for k in 0..1_000 {
            // A packet and a frame of each, every 20 ms.
            let now = k / 4 * 20_000 * US + k % 4 * 50 * US;
            assert_eq!(few.rest(now), Duration::ZERO);
            few.note(now);
        }
    }
}

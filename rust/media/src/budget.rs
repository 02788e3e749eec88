//! A limit on the audio that one remote peer may have decoded.

use std::time::Duration;

/// Samples per channel in a second, the clock of RTP for Opus (RFC 7587 section 4.1).
const SAMPLES_PER_S: f64 = 48_000.0;

/// Audio that may come, in seconds a second. More than 1, so that a clock that runs fast and what
/// a network held back are no flood; little more, because a packet of ten bytes may claim 120 ms
/// and have half a second filled in before it.
const RATE: f64 = 1.5;

/// Audio that may come at once when a stream begins, in seconds.
const AT_ONCE_S: f64 = 1.0;

/// Audio that may come at once after a while in which little came, in seconds: what a network held
/// back until a remote peer would be given up comes all at once.
const AFTER_PAUSE_S: f64 = 10.0;

/// A token bucket of audio: 1.5 times real time, with a burst of a second at the beginning and of
/// ten after a pause.
#[derive(Debug)]
pub(crate) struct AudioBudget {
    samples: f64,
    then: Option<Duration>,
}

impl AudioBudget {
    /// A bucket whose time begins with the first call of `take` or `start`.
    pub(crate) fn new() -> Self {
        Self {
            samples: AT_ONCE_S * SAMPLES_PER_S,
            then: None,
        }
    }

    /// Lets time begin before anything comes: a sender that was ready before it was connected sends
    /// at once what it has stored meanwhile.
    pub(crate) fn start(&mut self, now: Duration) {
        self.take(now, 0);
    }

    /// Takes `samples` per channel at 48 kHz, all of them or none; true if there were as many.
    ///
    /// Time that runs backwards counts as none.
    pub(crate) fn take(&mut self, now: Duration, samples: u32) -> bool {
        let then = self.then.unwrap_or(now);
        let earned = RATE * SAMPLES_PER_S * now.saturating_sub(then).as_secs_f64();
        self.samples = (self.samples + earned).min(AFTER_PAUSE_S * SAMPLES_PER_S);
        self.then = Some(now.max(then));
        let is_enough = self.samples >= f64::from(samples);
        if is_enough {
            self.samples -= f64::from(samples);
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u32 = 960;

    /// The frames of 20 ms that are granted at one moment.
    fn granted(budget: &mut AudioBudget, now: Duration) -> u32 {
        (0..10_000)
            .take_while(|_| budget.take(now, FRAME))
            .map(|_| 1)
            .sum()
    }

    #[test]
    fn a_second_may_come_at_once() {
        let mut budget = AudioBudget::new();
        assert_eq!(granted(&mut budget, Duration::from_secs(7)), 50);
    }

    #[test]
    fn what_was_stored_while_a_session_began_may_come_at_once() {
        let mut budget = AudioBudget::new();
        budget.start(Duration::from_secs(7));
        assert_eq!(granted(&mut budget, Duration::from_secs(9)), 200);
    }

    #[test]
    fn one_and_a_half_times_real_time_may_come() {
        let mut budget = AudioBudget::new();
        granted(&mut budget, Duration::ZERO);
        let frames: u32 = (1..=100)
            .map(|tenth| granted(&mut budget, Duration::from_millis(100 * tenth)))
            .sum();
        assert!((749..=750).contains(&frames), "{frames} in ten seconds");
    }

    #[test]
    fn ten_seconds_may_come_after_a_pause() {
        let mut budget = AudioBudget::new();
        granted(&mut budget, Duration::ZERO);
        assert_eq!(granted(&mut budget, Duration::from_secs(3600)), 500);
    }

    #[test]
    fn time_that_runs_backwards_grants_nothing() {
        let mut budget = AudioBudget::new();
        granted(&mut budget, Duration::from_secs(5));
        assert_eq!(granted(&mut budget, Duration::from_secs(1)), 0);
        assert_eq!(granted(&mut budget, Duration::from_secs(5)), 0);
    }
}

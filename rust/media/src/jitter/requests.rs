//! Which missing packets are requested again, and how long their answers are waited for.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest wait for an answer. A longer round trip is not worth a request: a conversation
/// suffers more from the delay than from the loss.
const MAX_ANSWER_WAIT: Duration = Duration::from_millis(100);

/// Requests at one time at most, and the longest run of missing packets that is requested: an
/// outage is not repaired by sending all of it again.
pub(super) const MOST: usize = 16;

/// What comes between three quarters of a round trip after a request, and one and a half and this
/// more, is its answer, and no packet that was late.
const ANSWER_MARGIN: Duration = Duration::from_millis(20);

/// The state of requests (RFC 4585 section 6.2.1): each packet is requested once.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The time of a round trip; `None` if nothing can be requested again.
    pub(super) round_trip: Option<Duration>,
    /// The first sequence number that was not considered.
    pub(super) next: u64,
    /// What is missing before this number was not requested, and is not any more.
    first: u64,
    /// Those of one time, as they were sent.
    pub(super) numbers: Vec<u16>,
}

impl Requests {
    /// True if an answer would come in time.
    pub(super) fn are_useful(&self) -> bool {
        self.round_trip
            .is_some_and(|round_trip| round_trip < MAX_ANSWER_WAIT)
    }

    /// Requests nothing before this sequence number.
    pub(super) fn skip(&mut self, before: u64) {
        self.first = before;
        self.next = before;
    }

    /// True if a missing packet was requested.
    pub(super) fn contains(&self, sequence: u64) -> bool {
        self.are_useful() && (self.first..self.next).contains(&sequence)
    }

    /// The time that an answer is waited for, with a mean deviation in seconds of the path's delay.
    pub(super) fn wait(&self, deviation_s: f64) -> Duration {
        let round_trip = self.round_trip.unwrap_or_default();
        // Of most distributions, 95 % lie within three mean deviations.
        let wait_s = 1.5 * round_trip.as_secs_f64() + 3.0 * deviation_s;
        Duration::from_secs_f64(wait_s.min(MAX_ANSWER_WAIT.as_secs_f64()))
    }

    /// The times after a request in which a packet that comes is its answer.
    pub(super) fn answer_times(&self) -> RangeInclusive<Duration> {
        let round_trip = self.round_trip.unwrap_or_default();
        round_trip * 3 / 4..=round_trip * 3 / 2 + ANSWER_MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn requests(round_trip_ms: u64) -> Requests {
        Requests {
            round_trip: Some(ms(round_trip_ms)),
            next: 20,
            first: 10,
            numbers: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_waited_for_one_and_a_half_round_trips_and_the_jitter() {
        assert_eq!(requests(40).wait(0.0), ms(60));
        assert_eq!(requests(40).wait(0.01), ms(90));
        assert_eq!(requests(40).wait(1e30), ms(100));
        assert_eq!(requests(90).wait(0.0), ms(100));
    }

    #[test]
    fn nothing_is_requested_over_a_path_that_is_too_long() {
        assert!(requests(99).are_useful());
        assert!(!requests(100).are_useful());
        assert!(!Requests::default().are_useful());
    }

    #[test]
    fn what_was_skipped_is_not_requested() {
        let mut requests = requests(40);
        assert!(requests.contains(10) && requests.contains(19));
        assert!(!requests.contains(9) && !requests.contains(20));
        requests.skip(20);
        assert!(!requests.contains(19));
    }
}

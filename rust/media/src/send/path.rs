//! The path to the remote peer, and how long nothing is sent while it is full.

use std::time::Duration;

use super::departures::Departures;
use crate::{PathReport, RemoteReport};

/// The queue from which on nothing is sent until it is shorter. A lower bit rate alone would leave it
/// for seconds: a path of 24 kbit/s takes 5 s for one second of packets of 20 kbit/s.
const HOLD_FROM: Duration = Duration::from_millis(300);

/// What is left of it then, since a report comes later than what it is about.
const LEFT: Duration = Duration::from_millis(100);

/// The longest time in which nothing is sent. A live source has room in our own queue for a second, and
/// is late for good once it had to wait for room.
const MOST_HELD: Duration = Duration::from_millis(900);

/// Measures the path by the reports of the remote peer.
#[derive(Debug, Default)]
pub(super) struct Path {
    departures: Departures,
    held_until: Duration,
    /// True behind a hold that left no queue, or the second one of those that did.
    has_held: bool,
    /// True if the last hold was shorter than the queue.
    is_rest: bool,
}

impl Path {
    /// Notes a packet that is sent now; `bytes` with all headers.
    pub(super) fn note(&mut self, now: Duration, sequence_number: u16, bytes: usize) {
        self.departures.note(now, sequence_number, bytes);
    }

    /// What a report shows. Times of what was sent before a hold are left out: the queue that they
    /// have seen is gone.
    ///
    /// # Arguments
    /// `jitter`, `late`: of what is received from the remote peer, reports included.
    pub(super) fn measure(
        &mut self,
        report: &RemoteReport,
        jitter: Duration,
        late: Duration,
    ) -> PathReport {
        let since_hold = report.at.saturating_sub(self.held_until);
        let rates = self.departures.rates(report.at, report.highest);
        // Without an advance there is nothing that the packets behind it show.
        let behind = rates.and_then(|_| self.departures.behind(report.at, report.highest));
        let behind = behind.filter(|behind| *behind <= since_hold);
        PathReport {
            fraction_lost: report.fraction_lost,
            round_trip: report.round_trip.filter(|_| report.age <= since_hold),
            behind,
            bits_behind: self.departures.bits_behind(report.highest),
            jitter: report.jitter + jitter,
            late,
            arrived_bits_per_s: rates.map(|rates| rates.arrived),
            sent_bits_per_s: rates.map(|rates| rates.sent),
        }
    }

    /// Holds back what would only make a queue longer; returns for how long.
    pub(super) fn hold(&mut self, now: Duration, queue: Duration) -> Option<Duration> {
        // What seems to be a queue right behind a hold is none, or one of too high a bit rate, which
        // falls first.
        if queue < HOLD_FROM || std::mem::take(&mut self.has_held) {
            return None;
        }
        let held = queue.saturating_sub(LEFT).min(MOST_HELD);
        self.held_until = now + held;
        self.has_held = held < MOST_HELD || self.is_rest;
        self.is_rest = !self.has_held;
        Some(held)
    }

    /// The time until which nothing is sent; in the past as a rule.
    pub(super) fn held_until(&self) -> Duration {
        self.held_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn report(at: Duration, highest: u16, round_trip: Option<Duration>) -> RemoteReport {
        RemoteReport {
            fraction_lost: 0.0,
            round_trip,
            age: round_trip.unwrap_or_default() + 300 * MS,
            highest,
            jitter: 2 * MS,
            at,
        }
    }

    fn path() -> Path {
        let mut path = Path::default();
        for number in 0..100_u16 {
            path.note(20 * u32::from(number) * MS, number, 100);
        }
        path
    }

    #[test]
    fn a_report_is_measured_by_what_it_has_not_received_yet() {
        let mut path = path();
        let known = path.measure(&report(2_000 * MS, 79, Some(40 * MS)), MS, 5 * MS);
        assert_eq!(known.round_trip, Some(40 * MS));
        assert_eq!(known.behind, Some(400 * MS));
        assert!((known.bits_behind - 20.0 * 800.0).abs() < 1e-6);
        assert_eq!((known.jitter, known.late), (3 * MS, 5 * MS));
    }

    #[test]
    fn a_long_queue_is_held_back_once() {
        let mut path = path();
        assert_eq!(path.hold(2_000 * MS, 299 * MS), None);
        assert_eq!(path.hold(2_000 * MS, 700 * MS), Some(600 * MS));
        assert_eq!(path.held_until(), 2_600 * MS);
        // What was sent before it has waited in the queue, and proves nothing any more.
        let known = path.measure(&report(3_000 * MS, 90, Some(900 * MS)), MS, MS);
        assert_eq!((known.round_trip, known.behind), (None, None));
        for number in 100..120 {
            path.note(
                2_600 * MS + 20 * (u32::from(number) - 100) * MS,
                number,
                100,
            );
        }
        let known = path.measure(&report(3_300 * MS, 109, Some(90 * MS)), MS, MS);
        assert_eq!(known.round_trip, Some(90 * MS));
        assert_eq!(known.behind, Some(500 * MS));
        assert_eq!(path.hold(3_300 * MS, 400 * MS), None, "right behind a hold");
        assert_eq!(path.hold(4_000 * MS, 60_000 * MS), Some(900 * MS));
        assert_eq!(
            path.hold(6_000 * MS, 60_000 * MS),
            Some(900 * MS),
            "the rest"
        );
        assert_eq!(path.hold(8_000 * MS, 60_000 * MS), None);
    }
}

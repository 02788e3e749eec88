//! What a report of the remote peer shows of the path.

use std::time::Duration;

/// What is known of a path when a report of the remote peer comes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PathReport {
    /// The packets that were lost since the report before, 0 to 1 of those expected.
    pub fraction_lost: f32,
    /// The time there and back; `None` where it was not measured since the report before.
    pub round_trip: Option<Duration>,
    /// For how long the oldest packet that has not arrived is under way, and the report on it.
    pub behind: Option<Duration>,
    /// The bits from that packet on, with headers.
    pub bits_behind: f64,
    /// The mean deviation of such times, both ways.
    pub jitter: Duration,
    /// By how much the slowest packets of the remote peer came later than others of late.
    pub late: Duration,
    /// The bits a second, with headers, that arrived since the report before.
    pub arrived_bits_per_s: Option<f64>,
    /// Those that were sent in that time.
    pub sent_bits_per_s: Option<f64>,
}

impl PathReport {
    /// One that has no more than this.
    #[must_use]
    pub fn new(fraction_lost: f32, round_trip: Option<Duration>) -> Self {
        Self {
            fraction_lost,
            round_trip,
            ..Self::default()
        }
    }

    /// What a full path carries: less than arrived, where it became narrow at some time since the
    /// report before.
    pub(super) fn carried_bits_per_s(&self) -> Option<f64> {
        let arrived = self.arrived_bits_per_s?;
        let share = self.sent_bits_per_s.map_or(1.0, |sent| arrived / sent);
        Some(arrived * share.min(1.0))
    }
}

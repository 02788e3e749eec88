//! How late packets have lately been behind those sent after them.

use std::time::Duration;

/// The shortest wait for a packet whose successor is there.
const LEAST: Duration = Duration::from_millis(20);

/// The longest wait. A packet that is later than this is not waited for, and teaches nothing.
const MOST: Duration = Duration::from_millis(400);

/// The time in which what was measured loses half of its weight.
const HALF_LIFE_S: f32 = 2.0;

/// The weight of a hole in the share of those that were only late.
const OUTCOME_WEIGHT: f32 = 1.0 / 8.0;

/// The weight of a late packet in the usual lateness.
const USUAL_WEIGHT: f32 = 1.0 / 8.0;

/// The share of holes that were only late, from which on the original is waited for although there
/// is a copy of it.
const WORTH_WAITING: f32 = 0.5;

/// The usual lateness, times this, is waited for where there is a copy.
const PATIENCE: f32 = 2.0;

/// Measures the lateness of packets: the time from the first packet sent after it, until it came.
///
/// A packet that keeps its place has none, however long its path was: jitter that keeps the order
/// does not make anything wait.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// The decaying maximum, in seconds, as it was at `at`.
    longest_s: f32,
    /// The mean, in seconds.
    usual_s: f32,
    /// Of the holes of late, the share that was filled by the packet itself, 0 to 1.
    share_late: f32,
    at: Duration,
}

impl Lateness {
    /// Counts a packet that came late, whether it still was of use or not.
    pub(super) fn add(&mut self, now: Duration, late: Duration) {
        if late > MOST {
            return;
        }
        let late_s = late.as_secs_f32();
        self.longest_s = late_s.max(self.longest_s * self.weight(now));
        self.at = self.at.max(now);
        self.usual_s = if self.usual_s == 0.0 {
            late_s
        } else {
            self.usual_s + (late_s - self.usual_s) * USUAL_WEIGHT
        };
        self.share_late += (1.0 - self.share_late) * OUTCOME_WEIGHT;
    }

    /// Counts a packet that has not come.
    pub(super) fn add_missing(&mut self) {
        self.share_late -= self.share_late * OUTCOME_WEIGHT;
    }

    /// The time that a packet is waited for, since one after it came at `since`.
    pub(super) fn wait(&self, since: Duration) -> Duration {
        if self.longest_s == 0.0 {
            return LEAST;
        }
        Duration::from_secs_f32(self.longest_s * self.weight(since)).clamp(LEAST, MOST)
    }

    /// The time that a packet is waited for although there is a copy of it, or it can be requested
    /// again: none unless most holes are packets that are merely late.
    pub(super) fn patience(&self, since: Duration) -> Duration {
        if self.share_late < WORTH_WAITING {
            return Duration::ZERO;
        }
        Duration::from_secs_f32(PATIENCE * self.usual_s).min(self.wait(since))
    }

    /// What is left of a measurement after the time that passed.
    fn weight(&self, now: Duration) -> f32 {
        (-now.saturating_sub(self.at).as_secs_f32() / HALF_LIFE_S).exp2()
    }
}

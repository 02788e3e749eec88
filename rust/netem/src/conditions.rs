//! The faults of a link, and what is refused.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// The longest delay, jitter and queue: longer than anybody waits, and short enough to add up.
const MAX_TIME: Duration = Duration::from_secs(3600);

/// The faults of one direction of a link; none by default.
///
/// Shares are from 0 to 1, and independent of each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// The share of packets that are lost, each for itself.
    pub loss: f64,
    /// The share of packets that are lost in bursts (Gilbert: Capacity of a Burst-Noise Channel,
    /// 1960, with a bad state in which everything is lost).
    pub burst_loss: f64,
    /// The mean length of these bursts, in packets: 1 or more.
    pub burst_packets: f64,
    /// The time that a packet is under way.
    pub delay: Duration,
    /// The standard deviation of that time. It is about normally distributed, within six of these
    /// of [`Self::delay`], and never below 0.
    pub jitter: Duration,
    /// True if jitter never lets a packet overtake another: as in the one queue of a real path. A
    /// late one holds up all behind it then.
    pub keeps_order: bool,
    /// The share of packets that skip [`Self::delay`] and overtake those before them, whatever
    /// [`Self::keeps_order`] is.
    pub reorder: f64,
    /// The share of packets that come twice.
    pub duplicate: f64,
    /// The share of packets in which one bit is flipped.
    pub corrupt: f64,
    /// The narrowest place of the path.
    pub rate: Option<RateCap>,
    /// The times in which everything that is sent is lost, since the origin of the link's time.
    pub blackouts: Vec<Range<Duration>>,
}

/// A place that lets only so much through, with a queue before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateCap {
    /// Bits a second, headers of IPv4 and UDP included; more than 0.
    pub bits_per_s: f64,
    /// The longest time that a packet waits for its turn: one that would wait longer is lost.
    pub queue: Duration,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst_loss: 0.0,
            burst_packets: 1.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            keeps_order: true,
            reorder: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            rate: None,
            blackouts: Vec::new(),
        }
    }
}

/// A condition that no network can meet.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionError {
    name: &'static str,
    expected: &'static str,
    got: String,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            expected,
            got,
        } = self;
        write!(f, "expected {name} {expected}, got {got}")
    }
}

impl std::error::Error for ConditionError {}

impl Conditions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`ConditionError`] for the first one that is out of range.
    pub fn check(&self) -> Result<(), ConditionError> {
        for (name, share) in [
            ("loss", self.loss),
            ("burst_loss", self.burst_loss),
            ("reorder", self.reorder),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ] {
            require((0.0..=1.0).contains(&share), name, "from 0 to 1", share)?;
        }
        let length = self.burst_packets;
        require(
            length.is_finite() && length >= 1.0,
            "burst_packets",
            "of 1 or more",
            length,
        )?;
        require(
            self.burst_chance() <= 1.0,
            "burst_loss",
            "of burst_packets / (burst_packets + 1) at most",
            self.burst_loss,
        )?;
        require(
            self.reorder == 0.0 || !self.delay.is_zero(),
            "delay",
            "of more than 0 with reorder, which lets packets skip it",
            self.delay.as_secs_f64(),
        )?;
        self.check_times()?;
        self.check_blackouts()
    }

    /// The chance that a burst begins after a packet that got through.
    pub(crate) fn burst_chance(&self) -> f64 {
        if self.burst_loss == 0.0 {
            return 0.0;
        }
        // Bursts end after each packet with the chance 1 / burst_packets. The share of time in the
        // bad state is burst_loss for this chance of entering it.
        self.burst_loss / ((1.0 - self.burst_loss) * self.burst_packets)
    }

    fn check_times(&self) -> Result<(), ConditionError> {
        let queue = self.rate.map_or(Duration::ZERO, |rate| rate.queue);
        for (name, time) in [
            ("delay", self.delay),
            ("jitter", self.jitter),
            ("queue", queue),
        ] {
            let seconds = time.as_secs_f64();
            require(time <= MAX_TIME, name, "of an hour at most", seconds)?;
        }
        let Some(RateCap { bits_per_s, .. }) = self.rate else {
            return Ok(());
        };
        require(
            bits_per_s.is_finite() && bits_per_s >= 1.0,
            "bits_per_s",
            "of 1 or more",
            bits_per_s,
        )
    }

    fn check_blackouts(&self) -> Result<(), ConditionError> {
        match self.blackouts.iter().find(|each| each.is_empty()) {
            None => Ok(()),
            Some(empty) => Err(ConditionError {
                name: "a blackout",
                expected: "that ends after it begins",
                got: format!("{:?} to {:?}", empty.start, empty.end),
            }),
        }
    }
}

fn require(
    is_met: bool,
    name: &'static str,
    expected: &'static str,
    got: f64,
) -> Result<(), ConditionError> {
    if is_met {
        return Ok(());
    }
    Err(ConditionError {
        name,
        expected,
        got: got.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(conditions: &Conditions) -> String {
        conditions.check().unwrap_err().to_string()
    }

    #[test]
    fn no_fault_is_a_network_too() {
        assert_eq!(Conditions::default().check(), Ok(()));
    }

    #[test]
    fn shares_are_from_0_to_1() {
        for loss in [-0.1, 1.1, f64::NAN] {
            let conditions = Conditions {
                loss,
                ..Conditions::default()
            };
            assert_eq!(
                refused(&conditions),
                format!("expected loss from 0 to 1, got {loss}")
            );
        }
    }

    #[test]
    fn bursts_leave_room_for_their_own_length() {
        let bursts = |burst_loss, burst_packets| Conditions {
            burst_loss,
            burst_packets,
            ..Conditions::default()
        };
        assert_eq!(bursts(0.75, 3.0).check(), Ok(()));
        assert!(refused(&bursts(0.8, 3.0)).contains("burst_packets / (burst_packets + 1)"));
        assert!(refused(&bursts(1.0, 3.0)).contains("burst_loss"));
        assert!(refused(&bursts(0.1, 0.5)).contains("expected burst_packets of 1 or more"));
    }

    #[test]
    fn packets_can_only_skip_a_delay() {
        let conditions = Conditions {
            reorder: 0.1,
            ..Conditions::default()
        };
        assert!(refused(&conditions).starts_with("expected delay of more than 0 with reorder"));
    }

    #[test]
    fn a_cap_lets_something_through() {
        for bits_per_s in [0.0, f64::INFINITY, f64::NAN] {
            let rate = Some(RateCap {
                bits_per_s,
                queue: Duration::ZERO,
            });
            let conditions = Conditions {
                rate,
                ..Conditions::default()
            };
            assert!(refused(&conditions).contains("expected bits_per_s"));
        }
    }

    #[test]
    fn times_can_be_added() {
        let conditions = Conditions {
            jitter: Duration::MAX,
            ..Conditions::default()
        };
        assert!(refused(&conditions).starts_with("expected jitter of an hour at most"));
    }

    #[test]
    fn a_blackout_ends_after_it_begins() {
        let second = Duration::from_secs(1);
        let conditions = Conditions {
            blackouts: vec![Range {
                start: second,
                end: second,
            }],
            ..Conditions::default()
        };
        assert_eq!(
            refused(&conditions),
            "expected a blackout that ends after it begins, got 1s to 1s"
        );
    }
}

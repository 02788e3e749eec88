//! How late packets have lately been behind those sent after them.

use std::time::Duration;

/// The shortest wait for a packet whose successor is there: one packet of 20 ms, so that two that
/// change places cost nothing.
const LEAST: Duration = Duration::from_millis(20);

/// The longest wait. A packet that is later than this is not waited for, and teaches nothing. With
/// a normal deviation of 200 ms for each packet, 400 keep 91 % of the packets, 300 keep 80 % and
/// 200 keep 65 %; the delay's 95 % quantile beyond the mean path is 280, 208 and 127 ms.
const MOST: Duration = Duration::from_millis(400);

/// The wait, in multiples of the longest lateness. A maximum that decays would otherwise miss the
/// very packets that it was measured from: 97 % instead of 99 % come in time with a normal
/// deviation of 50 ms, and with a constant lateness none.
const MARGIN: f32 = 1.25;

/// The time in which a maximum loses half of its height. Half of it costs 0.7 % of the packets
/// with a normal deviation of 50 ms, twice as much wins as many.
const HALF_LIFE_S: f32 = 2.0;

/// The weight of one hole in the share of those that were only late.
const OUTCOME_WEIGHT: f32 = 1.0 / 8.0;

/// The share of holes that were only late, from which on the original is waited for although there
/// is a copy of it. Always costs 20 ms at each loss, never loses 30 % of the originals with a
/// normal deviation of 50 ms; this does neither.
const WORTH_WAITING: f32 = 0.5;

/// Measures the lateness of packets: the time from the first packet sent after it, until it came.
///
/// A packet that keeps its place has none, however long its path was: jitter that keeps the order
/// makes nothing wait.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// The decaying maximum, in seconds, as it was at `at`.
    longest_s: f32,
    /// Of the last holes, the share that was filled by the packet itself, 0 to 1.
    share_late: f32,
    at: Duration,
}

impl Lateness {
    /// Counts a packet that came late, whether it still was of use or not.
    pub(super) fn add(&mut self, now: Duration, late: Duration) {
        if late > MOST {
            return;
        }
        self.longest_s = late.as_secs_f32().max(self.longest_s * self.weight(now));
        self.at = self.at.max(now);
        self.share_late += (1.0 - self.share_late) * OUTCOME_WEIGHT;
    }

    /// Counts a packet that did not come by itself.
    pub(super) fn add_missing(&mut self) {
        self.share_late -= self.share_late * OUTCOME_WEIGHT;
    }

    /// The time that a packet is waited for, since one after it came at `since`.
    pub(super) fn wait(&self, since: Duration) -> Duration {
        if self.longest_s == 0.0 {
            return LEAST;
        }
        Duration::from_secs_f32(MARGIN * self.longest_s * self.weight(since)).clamp(LEAST, MOST)
    }

    /// The time that a packet is waited for although there is a copy of it: none, unless most
    /// holes are packets that are merely late.
    pub(super) fn patience(&self, since: Duration) -> Duration {
        if self.share_late < WORTH_WAITING {
            Duration::ZERO
        } else {
            self.wait(since)
        }
    }

    /// What is left of a measurement after the time that passed.
    fn weight(&self, now: Duration) -> f32 {
        (-now.saturating_sub(self.at).as_secs_f32() / HALF_LIFE_S).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Of a second, a number without rounding.
    const SIXTEENTH: Duration = Duration::from_micros(62_500);

    #[test]
    fn the_wait_is_short_while_nothing_was_late() {
        let lateness = Lateness::default();
        assert_eq!(lateness.wait(ms(0)), LEAST);
        assert_eq!(lateness.patience(ms(0)), Duration::ZERO);
    }

    #[test]
    fn the_wait_grows_at_once_and_halves_every_two_seconds() {
        let mut lateness = Lateness::default();
        lateness.add(ms(5_000), ms(200));
        assert_eq!(lateness.wait(ms(5_000)), ms(250));
        assert_eq!(lateness.wait(ms(7_000)), ms(125));
        assert_eq!(lateness.wait(ms(60_000)), LEAST);
        assert_eq!(
            lateness.wait(ms(0)),
            ms(250),
            "a hole from before it was measured"
        );
    }

    #[test]
    fn the_longest_counts_until_it_decayed_below_another() {
        let mut lateness = Lateness::default();
        lateness.add(ms(0), ms(160));
        lateness.add(ms(1), SIXTEENTH);
        assert!(lateness.wait(ms(1)) > ms(199));
        lateness.add(ms(6_000), SIXTEENTH);
        assert_eq!(lateness.wait(ms(6_000)), SIXTEENTH * 5 / 4);
    }

    #[test]
    fn the_wait_is_bounded_and_what_is_beyond_it_counts_for_nothing() {
        let mut lateness = Lateness::default();
        lateness.add(ms(0), MOST + ms(1));
        assert_eq!(lateness.wait(ms(0)), LEAST);
        lateness.add(ms(0), MOST);
        assert_eq!(lateness.wait(ms(0)), MOST);
    }

    #[test]
    fn a_copy_is_used_at_once_unless_most_holes_are_late_packets() {
        let mut lateness = Lateness::default();
        for _ in 0..8 {
            lateness.add(ms(0), SIXTEENTH);
        }
        assert_eq!(lateness.patience(ms(0)), SIXTEENTH * 5 / 4);
        for _ in 0..8 {
            lateness.add_missing();
        }
        assert_eq!(lateness.patience(ms(0)), Duration::ZERO);
        assert_eq!(lateness.wait(ms(0)), SIXTEENTH * 5 / 4);
    }
}

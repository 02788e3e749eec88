//! The link: decides what happens to each packet, and keeps those under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::random::Random;
use crate::{ConditionError, Conditions, RateCap};

/// The bytes that a datagram has besides its payload: IPv4 (RFC 791) and UDP (RFC 768).
pub const HEADER_BYTES: usize = 28;

/// The most packets under way; another one is lost. At 1,500 bytes they are a hundred megabytes.
pub const MAX_UNDER_WAY: usize = 1 << 16;

/// The counts of a link, in packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Those that were sent.
    pub sent: u64,
    /// Those lost by chance, each for itself or in bursts.
    pub lost: u64,
    /// Those lost in a blackout.
    pub blacked_out: u64,
    /// Those for which a queue had no room.
    pub overflowed: u64,
    /// Those that overtook others.
    pub reordered: u64,
    /// Those that come twice.
    pub duplicated: u64,
    /// Those with a flipped bit.
    pub corrupted: u64,
    /// Those that came out, copies included.
    pub delivered: u64,
}

/// One direction of a bad network; see the crate's example.
///
/// Each packet takes the same number of random numbers, whatever the conditions are: a seed loses
/// the same packets with and without jitter, and a change of conditions repeats nothing.
#[derive(Debug, Clone)]
pub struct Link {
    conditions: Conditions,
    random: Random,
    now: Duration,
    in_burst: bool,
    /// The time at which the capped place has let everything through that it took.
    free_at: Duration,
    /// The time of the latest packet that others must not overtake.
    last_due: Duration,
    /// The packets under way, the earliest on top, in the order of sending at the same time.
    under_way: BinaryHeap<Reverse<(Duration, u64, Vec<u8>)>>,
    /// The number of packets and copies that were put under way.
    count: u64,
    stats: LinkStats,
}

/// The random numbers for one packet: all of them, needed or not.
struct Chances {
    loss: f64,
    burst: f64,
    reorder: f64,
    duplicate: f64,
    corrupt: f64,
    bit: u64,
    jitter: f64,
}

impl Link {
    /// A link with nothing under way, at time zero.
    ///
    /// # Errors
    /// [`ConditionError`], see [`Conditions::check`].
    pub fn new(conditions: Conditions, seed: u64) -> Result<Self, ConditionError> {
        conditions.check()?;
        Ok(Self {
            conditions,
            random: Random::new(seed),
            now: Duration::ZERO,
            in_burst: false,
            free_at: Duration::ZERO,
            last_due: Duration::ZERO,
            under_way: BinaryHeap::new(),
            count: 0,
            stats: LinkStats::default(),
        })
    }

    /// Changes the conditions for the packets sent from now on.
    ///
    /// Those under way keep their time, and while [`Conditions::keeps_order`] nobody overtakes them.
    ///
    /// # Errors
    /// [`ConditionError`]; the conditions are unchanged then.
    pub fn set_conditions(&mut self, conditions: Conditions) -> Result<(), ConditionError> {
        conditions.check()?;
        self.in_burst &= conditions.burst_loss > 0.0;
        self.conditions = conditions;
        Ok(())
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Sends a packet, `now` after the origin of the link's time. Time never goes back: an earlier
    /// `now` than the last one counts as that.
    pub fn send(&mut self, now: Duration, mut packet: Vec<u8>) {
        self.now = self.now.max(now);
        self.stats.sent += 1;
        let chances = self.draw();
        if self.is_lost(&chances) {
            return;
        }
        let Some(through) = self.pass_cap(packet.len()) else {
            self.stats.overflowed += 1;
            return;
        };
        let due = self.due(through, &chances);
        if chances.corrupt < self.conditions.corrupt && !packet.is_empty() {
            self.stats.corrupted += 1;
            flip(&mut packet, chances.bit);
        }
        if chances.duplicate < self.conditions.duplicate {
            self.stats.duplicated += 1;
            self.put(due, packet.clone());
        }
        self.put(due, packet);
    }

    /// Returns the next packet that is there by `now`, the earliest first; `None` without one.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.now = self.now.max(now);
        if self.deadline()? > self.now {
            return None;
        }
        let Reverse((_, _, packet)) = self.under_way.pop()?;
        self.stats.delivered += 1;
        Some(packet)
    }

    /// The time at which [`Self::poll`] has something next; `None` if nothing is under way.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse((at, _, _))| *at)
    }

    fn draw(&mut self) -> Chances {
        let random = &mut self.random;
        Chances {
            loss: random.uniform(),
            burst: random.uniform(),
            reorder: random.uniform(),
            duplicate: random.uniform(),
            corrupt: random.uniform(),
            bit: random.bits(),
            jitter: random.normal(),
        }
    }

    fn is_lost(&mut self, chances: &Chances) -> bool {
        let conditions = &self.conditions;
        self.in_burst = if self.in_burst {
            chances.burst >= 1.0 / conditions.burst_packets
        } else {
            chances.burst < conditions.burst_chance()
        };
        let (stats, now) = (&mut self.stats, self.now);
        if conditions.blackouts.iter().any(|each| each.contains(&now)) {
            stats.blacked_out += 1;
            return true;
        }
        let is_lost = self.in_burst || chances.loss < conditions.loss;
        stats.lost += u64::from(is_lost);
        is_lost
    }

    /// The time at which a packet has passed the narrowest place; `None` if the queue is too long.
    fn pass_cap(&mut self, bytes: usize) -> Option<Duration> {
        let Some(RateCap { bits_per_s, queue }) = self.conditions.rate else {
            return Some(self.now);
        };
        if self.free_at.saturating_sub(self.now) > queue {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "of a packet")]
        let bits = 8.0 * (bytes + HEADER_BYTES) as f64;
        let takes = Duration::from_secs_f64(bits / bits_per_s);
        self.free_at = self.free_at.max(self.now).saturating_add(takes);
        Some(self.free_at)
    }

    fn due(&mut self, through: Duration, chances: &Chances) -> Duration {
        let conditions = &self.conditions;
        if chances.reorder < conditions.reorder {
            self.stats.reordered += 1;
            return through;
        }
        let late = conditions.jitter.mul_f64(chances.jitter.abs());
        let due = if chances.jitter < 0.0 {
            through.saturating_add(conditions.delay.saturating_sub(late))
        } else {
            through
                .saturating_add(conditions.delay)
                .saturating_add(late)
        };
        if !conditions.keeps_order {
            return due;
        }
        self.last_due = self.last_due.max(due);
        self.last_due
    }

    fn put(&mut self, due: Duration, packet: Vec<u8>) {
        if self.under_way.len() >= MAX_UNDER_WAY {
            self.stats.overflowed += 1;
            return;
        }
        self.under_way.push(Reverse((due, self.count, packet)));
        self.count += 1;
    }
}

fn flip(packet: &mut [u8], chance: u64) {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "less than the bits of the packet"
    )]
    let bit = (chance % (8 * packet.len() as u64)) as usize;
    packet[bit / 8] ^= 1 << (bit % 8);
}

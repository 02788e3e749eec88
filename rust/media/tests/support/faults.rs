use std::time::Duration;

use super::{FRAME, ms};

/// Numbers that look like chance (splitmix64, Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Mean 0, standard deviation 1, by the central limit theorem.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// What happens to packets on their way.
#[derive(Clone, Copy)]
pub struct Faults {
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The mean length of a run of lost packets; 1 loses each for itself.
    pub burst: f64,
    /// The path's delay, and the standard deviation from it.
    pub delay: Duration,
    pub jitter: Duration,
    /// True if a packet never overtakes one sent before it.
    pub keeps_order: bool,
    /// The share that takes no time at all, and overtakes others.
    pub reorder: f64,
    pub duplicate: f64,
    /// Everything is lost from and until these times.
    pub blackout: (Duration, Duration),
}

impl Faults {
    /// A path of 20 ms that does no harm.
    pub const NONE: Self = Self {
        loss: 0.0,
        burst: 1.0,
        delay: ms(20),
        jitter: Duration::ZERO,
        keeps_order: true,
        reorder: 0.0,
        duplicate: 0.0,
        blackout: (Duration::ZERO, Duration::ZERO),
    };
}

/// A path, and the state of its chance.
pub struct Link {
    random: Random,
    is_bad: bool,
    last: Duration,
}

impl Link {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            is_bad: false,
            last: Duration::ZERO,
        }
    }

    /// When the packet sent at `sent` comes: never, once, or twice.
    pub fn pass(&mut self, faults: &Faults, sent: Duration) -> Vec<Duration> {
        let is_out = (faults.blackout.0..faults.blackout.1).contains(&sent);
        if self.is_lost(faults) || is_out {
            return Vec::new();
        }
        let mut delay_s = faults.delay.as_secs_f64();
        delay_s += self.random.normal() * faults.jitter.as_secs_f64();
        if self.random.chance(faults.reorder) {
            delay_s = 0.0;
        }
        let mut received = sent + Duration::from_secs_f64(delay_s.max(0.0));
        if faults.keeps_order && faults.reorder == 0.0 {
            received = received.max(self.last);
            self.last = received;
        }
        let copies = 1 + usize::from(self.random.chance(faults.duplicate));
        (0..copies as u32)
            .map(|k| received + FRAME / 4 * k)
            .collect()
    }

    /// The model of Gilbert (1960): a good state without loss and a bad one with nothing else.
    fn is_lost(&mut self, faults: &Faults) -> bool {
        if faults.burst <= 1.0 {
            return self.random.chance(faults.loss);
        }
        let leave = 1.0 / faults.burst;
        let enter = leave * faults.loss / (1.0 - faults.loss);
        self.is_bad = if self.is_bad {
            !self.random.chance(leave)
        } else {
            self.random.chance(enter)
        };
        self.is_bad
    }
}

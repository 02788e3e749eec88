//! Pauses of a sender that its timestamps show, for somebody who detects them.
//!
//! For everybody else the long ones are left out: what is played on would be late by all of them.

use std::time::Duration;

use super::Packet;

/// Three seconds at 48 kHz: the longest pause that is filled. Longer ones have ended any turn.
const MAX_PAUSE: u32 = 144_000;

/// Samples per channel in a millisecond, the clock of RTP for Opus (RFC 7587 section 4.1).
const SAMPLES_PER_MS: u128 = 48;

/// Decides how much silence may stand for a pause.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// 0 where pauses are left out.
    most: u32,
    /// When the packet came that left last.
    last_received: Duration,
}

impl Pauses {
    /// Keeps pauses from now on.
    pub fn keep(&mut self) {
        self.most = MAX_PAUSE;
    }

    /// True where somebody detects them.
    pub fn are_kept(&self) -> bool {
        self.most > 0
    }

    /// Notes a packet that leaves.
    pub fn note(&mut self, packet: &Packet) {
        self.last_received = packet.received;
    }

    /// The longest pause before a packet, in samples: a sender may also merely count on from
    /// elsewhere, and no time has passed then.
    pub fn before(&self, packet: &Packet) -> u32 {
        let passed = packet.received.saturating_sub(self.last_received);
        let samples = passed.as_millis().saturating_mul(SAMPLES_PER_MS);
        u32::try_from(samples).map_or(self.most, |samples| samples.min(self.most))
    }
}

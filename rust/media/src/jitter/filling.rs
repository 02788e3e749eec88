//! What stands for missing audio: its copy, concealment, or silence.

use super::Packet;
use super::pauses::Pauses;
use super::slots::Step;

/// Samples per channel in 60 ms: what is concealed of a hole at most where turns are detected.
/// Concealment beyond it is an artificial tone that fades, and no speech.
const MAX_CONCEALED_FOR_TURNS: u32 = 2_880;

/// Samples per channel in 100 ms: the same for everybody else. libopus goes on with the last pitch for
/// so long, fainter with each packet, and makes noise behind it (`celt_decode_lost`).
const MAX_CONCEALED: u32 = 4_800;

/// Half a second at 48 kHz. A sender with discontinuous transmission sends every 400 ms at least
/// (RFC 7587 section 3.1.3), so a longer gap is a sender that made a pause, or a session that stood
/// still, and its silence is over: what is played on would be late by all of it.
const MAX_FILLED: u32 = 24_000;

/// Samples in 2.5 ms. Concealment is made in multiples of it.
const CONCEALED_STEP: u32 = 120;

/// What is emitted before the packet at the front, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Filling {
    pub(super) concealed: u32,
    pub(super) silent: u32,
    pub(super) copied: u32,
}

impl Filling {
    /// Decides what stands for a gap of samples before a packet: silence if nothing is missing in
    /// the sequence, and nothing if it is too long, or goes backwards by wrapping.
    ///
    /// # Arguments
    /// `pauses`: decides what stands for a longer gap in which nothing is missing.
    pub(super) fn of(gap: u64, is_hole: bool, packet: &Packet, pauses: &Pauses) -> Self {
        let is_backwards = gap > u64::MAX / 2;
        let gap = u32::try_from(gap).unwrap_or(u32::MAX);
        if gap > MAX_FILLED {
            return Self {
                silent: if is_hole || is_backwards {
                    0
                } else {
                    gap.min(pauses.before(packet))
                },
                ..Self::default()
            };
        }
        if !is_hole {
            return Self {
                silent: gap,
                ..Self::default()
            };
        }
        let copied = if packet.has_fec && packet.samples <= gap {
            packet.samples
        } else {
            0
        };
        let rest = gap - copied;
        let most = if pauses.are_kept() {
            MAX_CONCEALED_FOR_TURNS
        } else {
            MAX_CONCEALED
        };
        let concealed = rest.min(most) / CONCEALED_STEP * CONCEALED_STEP;
        Self {
            concealed,
            silent: rest - concealed,
            copied,
        }
    }

    /// The length of all parts.
    pub(super) fn samples(self) -> u32 {
        self.concealed + self.silent + self.copied
    }

    /// Takes the next part out.
    pub(super) fn step(&mut self) -> Option<Step> {
        if self.concealed > 0 {
            return Some(Step::Conceal(std::mem::take(&mut self.concealed)));
        }
        if self.silent > 0 {
            return Some(Step::Silence(std::mem::take(&mut self.silent)));
        }
        (self.copied > 0).then(|| Step::Copy(std::mem::take(&mut self.copied)))
    }
}

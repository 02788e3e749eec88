//! Packets without voice, kept undecoded while nobody speaks.

use std::collections::VecDeque;

use crate::{OpusPacket, Packet, Slot};

/// Audio without voice after which packets stay undecoded, in samples at 48 kHz: a second, by which
/// a detector of speech has seen the room without a voice. After half a second it began some of the
/// next turns a window late.
const QUIET_BEFORE: u64 = 48_000;

/// Kept audio before the pre-roll, in samples at 48 kHz: 80 ms, in which a decoder converges (RFC
/// 7845 section 4.6).
const CONVERGENCE: u64 = 3_840;

/// Stretches that are kept at most: 1.2 s in packets of 10 ms. Where there are more, they are
/// decoded after all.
const MOST: usize = 128;

/// How much audio without voice may pass undecoded, in samples at 48 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateTerms {
    /// The audio before the first voice that is decoded with it.
    pub pre_roll: u32,
    /// What is older passes in multiples of this; above 0.
    pub step: u32,
}

/// A [`Slot`] that waits.
#[derive(Debug)]
enum Kept {
    Packet(Packet),
    /// True if the packet behind it has a copy of it.
    Missing(u32, bool),
    Silence(u32),
}

impl Kept {
    fn samples(&self) -> u64 {
        match self {
            Self::Packet(packet) => packet.samples.into(),
            Self::Missing(samples, _) | Self::Silence(samples) => (*samples).into(),
        }
    }
}

impl From<Slot<'_>> for Kept {
    fn from(slot: Slot<'_>) -> Self {
        match slot {
            Slot::Packet(packet) => Self::Packet(packet),
            Slot::Missing { samples, copy_in } => Self::Missing(samples, copy_in.is_some()),
            Slot::Silence { samples } => Self::Silence(samples),
        }
    }
}

/// Keeps the last stretches of a silent stream, and lets older ones pass.
///
/// It is open, and keeps nothing, until there are terms and a second without voice; it closes
/// between two calls of [`Self::begin`] only, so that what passes comes before what is decoded.
#[derive(Debug, Default)]
pub(crate) struct SilenceGate {
    terms: Option<GateTerms>,
    is_closed: bool,
    /// Audio without voice until now, in samples at 48 kHz.
    quiet: u64,
    kept: VecDeque<Kept>,
    kept_samples: u64,
    /// Samples that have passed since [`Self::take_passed`].
    passed: u64,
    packets_passed: u64,
}

impl SilenceGate {
    /// Sets what may pass from now on; `None` for nothing.
    pub fn set_terms(&mut self, terms: Option<GateTerms>) {
        self.terms = terms;
    }

    /// Opens or closes, by the terms.
    pub fn begin(&mut self) {
        self.is_closed = self.terms.is_some() && self.quiet >= QUIET_BEFORE;
    }

    /// Opens until [`Self::begin`].
    pub fn open(&mut self) {
        self.is_closed = false;
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Packets that were never decoded.
    pub fn packets_passed(&self) -> u64 {
        self.packets_passed
    }

    /// Returns the samples at 48 kHz that have passed, before all that is kept.
    pub fn take_passed(&mut self) -> u64 {
        std::mem::take(&mut self.passed)
    }

    /// Notes a stretch, and opens where it has voice, or may have some.
    pub fn note(&mut self, slot: &Slot<'_>) {
        // What is missing is judged by its neighbours.
        let Slot::Packet(packet) = slot else { return };
        if is_quiet(&packet.payload) {
            self.quiet = self.quiet.saturating_add(packet.samples.into());
        } else {
            self.quiet = 0;
            self.is_closed = false;
        }
    }

    /// Keeps a stretch while closed; it is to be taken at once where the gate is open behind it.
    pub fn keep(&mut self, slot: Slot<'_>) {
        let kept = Kept::from(slot);
        self.kept_samples += kept.samples();
        self.kept.push_back(kept);
        while self.is_closed && self.pass() {}
        if self.kept.len() > MOST {
            self.is_closed = false;
        }
    }

    /// Takes the oldest stretch that is kept.
    pub fn take(&mut self) -> Option<Slot<'_>> {
        let kept = self.kept.pop_front()?;
        self.kept_samples -= kept.samples();
        Some(match kept {
            Kept::Packet(packet) => Slot::Packet(packet),
            Kept::Silence(samples) => Slot::Silence { samples },
            Kept::Missing(samples, has_copy) => Slot::Missing {
                samples,
                copy_in: match self.kept.front() {
                    Some(Kept::Packet(next)) if has_copy => Some(&next.payload),
                    _ => None,
                },
            },
        })
    }

    /// Lets the oldest stretches pass that are whole steps together; false while there are none.
    fn pass(&mut self) -> bool {
        let Some(GateTerms { pre_roll, step }) = self.terms else {
            return false;
        };
        let needed = u64::from(pre_roll) + CONVERGENCE;
        let excess = self.kept_samples.saturating_sub(needed);
        let step = u64::from(step.max(1));
        if excess < step {
            return false;
        }
        let mut end = 0;
        for index in 0..self.kept.len() {
            let start = end;
            end += self.kept[index].samples();
            let whole = end.min(excess) / step * step;
            // Silence can be cut anywhere, a packet cannot.
            let is_cut = matches!(self.kept[index], Kept::Silence(_)) && whole > start;
            if is_cut || (whole == end && end > start) {
                self.drop_front(index, end - whole);
                self.kept_samples -= whole;
                self.passed += whole;
                return true;
            }
            if end > excess {
                break;
            }
        }
        false
    }

    /// Drops the stretches up to this one, of which so many samples of silence stay.
    fn drop_front(&mut self, index: usize, rest: u64) {
        let dropped = self.kept.drain(..=index);
        let packets = dropped.filter(|kept| matches!(kept, Kept::Packet(_)));
        self.packets_passed += packets.count() as u64;
        if let Ok(rest @ 1..) = u32::try_from(rest) {
            self.kept.push_front(Kept::Silence(rest));
        }
    }
}

/// True if the encoder itself found no voice in a packet.
fn is_quiet(payload: &[u8]) -> bool {
    OpusPacket::read(payload)
        .is_some_and(|packet| packet.is_silence() || packet.has_voice() == Some(false))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 30 ms of pre-roll, and steps of 50 ms.
    const TERMS: GateTerms = GateTerms {
        pre_roll: 1_440,
        step: 2_400,
    };
    const KEPT: u64 = 1_440 + CONVERGENCE;

    /// A packet of 20 ms of the speech codec, or of the transform codec where nothing is known.
    fn packet(has_voice: Option<bool>) -> Slot<'static> {
        let payload = match has_voice {
            Some(true) => vec![9 << 3, 0x80, 0],
            Some(false) => vec![9 << 3, 0, 0],
            None => vec![31 << 3, 0, 0],
        };
        Slot::Packet(Packet {
            sequence: 0,
            timestamp: 0,
            received: Duration::ZERO,
            payload,
            samples: 960,
            has_fec: false,
            is_copy: false,
        })
    }

    fn closed() -> SilenceGate {
        let mut gate = SilenceGate::default();
        gate.set_terms(Some(TERMS));
        for _ in 0..50 {
            gate.begin();
            assert!(!gate.is_closed());
            gate.note(&packet(Some(false)));
        }
        gate.begin();
        assert!(gate.is_closed());
        gate
    }

    fn keep(gate: &mut SilenceGate, slot: Slot<'_>) {
        gate.note(&slot);
        gate.keep(slot);
    }

    fn samples(slot: &Slot<'_>) -> u64 {
        match slot {
            Slot::Packet(packet) => packet.samples.into(),
            Slot::Missing { samples, .. } | Slot::Silence { samples } => (*samples).into(),
        }
    }

    #[test]
    fn old_packets_pass_in_whole_steps() {
        let mut gate = closed();
        for _ in 0..100 {
            keep(&mut gate, packet(Some(false)));
        }
        let passed = gate.take_passed();
        // Five packets are two steps.
        assert_eq!(passed % 4_800, 0);
        assert_eq!(gate.packets_passed(), passed / 960);
        assert!((KEPT..KEPT + 4_800).contains(&(96_000 - passed)));
        let mut left = 0;
        while let Some(slot) = gate.take() {
            left += samples(&slot);
        }
        assert_eq!(passed + left, 96_000);
    }

    #[test]
    fn voice_and_what_may_be_voice_open() {
        for has_voice in [Some(true), None] {
            let mut gate = closed();
            keep(&mut gate, packet(has_voice));
            assert!(!gate.is_closed());
            gate.begin();
            assert!(!gate.is_closed());
        }
    }

    #[test]
    fn it_is_open_without_terms() {
        let mut gate = closed();
        gate.set_terms(None);
        gate.begin();
        assert!(!gate.is_closed());
    }

    #[test]
    fn silence_is_cut_and_holes_pass() {
        let mut gate = closed();
        let missing = Slot::Missing {
            samples: 1_920,
            copy_in: Some(&[]),
        };
        gate.keep(missing);
        keep(&mut gate, packet(Some(false)));
        gate.keep(Slot::Silence { samples: 48_000 });
        let passed = gate.take_passed();
        assert_eq!(passed % 2_400, 0);
        assert_eq!(gate.packets_passed(), 1);
        let first = gate.take().unwrap();
        assert!(
            matches!(first, Slot::Silence { samples } if u64::from(samples) + passed == 50_880)
        );
        assert!(gate.take().is_none());
    }

    #[test]
    fn a_hole_keeps_the_copy_in_the_next_packet() {
        let mut gate = closed();
        let missing = Slot::Missing {
            samples: 960,
            copy_in: Some(&[]),
        };
        gate.keep(missing);
        keep(&mut gate, packet(Some(true)));
        let Some(Slot::Missing { copy_in, .. }) = gate.take() else {
            panic!("expected the hole first");
        };
        assert_eq!(copy_in, Some(&[9 << 3, 0x80, 0][..]));
    }

    #[test]
    fn too_many_stretches_open() {
        let mut gate = closed();
        gate.set_terms(Some(GateTerms {
            pre_roll: 480_000,
            ..TERMS
        }));
        for _ in 0..=MOST {
            assert!(gate.is_closed());
            keep(&mut gate, packet(Some(false)));
        }
        assert!(!gate.is_closed());
    }
}

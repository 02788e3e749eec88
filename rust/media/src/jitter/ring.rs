//! The places of a jitter buffer, one a sequence number.

use std::time::Duration;

use super::Packet;

/// The places at the beginning: 640 ms of the usual 20 ms.
const FEWEST: usize = 32;

/// The places at most.
pub(super) const MOST: u64 = 256;

/// The state of one packet of the sequence.
#[derive(Debug)]
pub(super) enum Place {
    /// Nothing: it was not expected yet, or that is long ago.
    Unknown,
    /// One after it came, first at this time.
    Missing(Duration),
    Held(Packet),
    /// Emitted.
    Taken,
    /// No longer waited for; it was missing since this time.
    GivenUp(Duration),
}

/// Places by sequence number, those of the last packets behind the front included.
///
/// Grows when packets are further apart, and never beyond `MOST`.
#[derive(Debug)]
pub(super) struct Ring {
    places: Vec<(u64, Place)>,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            places: empty(FEWEST),
        }
    }

    pub(super) fn place(&self, sequence: u64) -> &Place {
        match &self.places[self.index(sequence)] {
            (found, place) if *found == sequence => place,
            _ => &Place::Unknown,
        }
    }

    pub(super) fn held(&self, sequence: u64) -> Option<&Packet> {
        match self.place(sequence) {
            Place::Held(packet) => Some(packet),
            _ => None,
        }
    }

    /// Replaces what is at a place; `front` is the first sequence number that matters.
    pub(super) fn set(&mut self, front: u64, sequence: u64, place: Place) {
        let span = usize::try_from(sequence.saturating_sub(front)).unwrap_or(usize::MAX);
        if span >= self.places.len() {
            self.grow(span + 1);
        }
        let index = self.index(sequence);
        self.places[index] = (sequence, place);
    }

    /// Takes the packet from a place that holds one.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Packet> {
        let index = self.index(sequence);
        let (found, place) = &mut self.places[index];
        if *found != sequence || !matches!(place, Place::Held(_)) {
            return None;
        }
        match std::mem::replace(place, Place::Taken) {
            Place::Held(packet) => Some(packet),
            _ => None,
        }
    }

    fn index(&self, sequence: u64) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "the mask has few bits")]
        let index = sequence as usize & (self.places.len() - 1);
        index
    }

    fn grow(&mut self, span: usize) {
        let grown = empty(span.next_power_of_two());
        for (sequence, place) in std::mem::replace(&mut self.places, grown) {
            if !matches!(place, Place::Unknown) {
                let index = self.index(sequence);
                self.places[index] = (sequence, place);
            }
        }
    }
}

fn empty(count: usize) -> Vec<(u64, Place)> {
    (0..count).map(|_| (0, Place::Unknown)).collect()
}

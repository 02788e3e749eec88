//! Redundant copies of packets (RFC 2198): the places that they belong in.
//!
//! A copy has a time and no number. Its sender may have used numbers for what is no audio, as events
//! and padding are, so a missing number alone is no missing audio: only the timestamps around it are.

use std::time::Duration;

use super::ring::Place;
use super::slots::read;
use super::{Insertion, JitterBuffer, MAX_HELD_BYTES, Packet};
use crate::OpusPacket;

impl JitterBuffer {
    /// Receives the copy of a packet that came with a later one (RFC 2198), before that one itself
    /// or after it. A copy of what is there already, or has left, is dropped.
    ///
    /// `sequence_number` is the highest that the packet may have had: as many before the later one as
    /// the copy's audio is. It gets the next one below where its audio is missing.
    pub fn insert_redundant(
        &mut self,
        now: Duration,
        sequence_number: u16,
        timestamp: u32,
        payload: &[u8],
    ) {
        self.stats.fec_packets_received += 1;
        if !self.hold_copy(now, sequence_number, timestamp, payload) {
            self.stats.fec_packets_discarded += 1;
        }
    }

    /// Puts a copy where its audio is missing, if it is; without an allocation if not.
    fn hold_copy(
        &mut self,
        now: Duration,
        sequence_number: u16,
        timestamp: u32,
        payload: &[u8],
    ) -> bool {
        if self.is_new || self.is_renumbered {
            return false;
        }
        let last = self.extend(sequence_number);
        let Some(last) = last.filter(|last| *last >= self.front) else {
            return false;
        };
        let timestamp = self.extend_timestamp(timestamp);
        let hole = OpusPacket::read(payload)
            .and_then(|packet| self.hole(last, timestamp, packet.samples()));
        let Some(sequence) = hole else {
            return false;
        };
        let copy = Packet {
            is_copy: true,
            ..read(now, sequence, timestamp, payload.to_vec())
        };
        self.hold(now, copy) == Insertion::Held
    }

    /// Takes the copy out of a place whose packet came after all.
    pub(super) fn take_copy(&mut self, sequence: u64) -> Option<Packet> {
        let copy = self.ring.take(sequence)?;
        self.held_bytes -= copy.payload.len();
        let missing = Place::Missing(copy.received);
        self.ring.set(self.front, sequence, missing);
        Some(copy)
    }

    /// Puts a copy back where its audio is missing: before the packet that came in its place, if it
    /// was the copy of another one.
    pub(super) fn put_back(&mut self, copy: Packet) {
        let bytes = self.held_bytes + copy.payload.len();
        match self.hole(copy.sequence, copy.timestamp, copy.samples) {
            Some(sequence) if bytes <= MAX_HELD_BYTES => {
                self.held_bytes = bytes;
                let copy = Packet { sequence, ..copy };
                self.ring.set(self.front, sequence, Place::Held(copy));
            }
            _ => self.stats.fec_packets_discarded += 1,
        }
    }

    /// Drops the copy at the front, whose audio has left: the packet itself came, with a lower number
    /// than the copy got. So nothing is missing here.
    pub(super) fn drop_copy(&mut self) {
        if let Some(copy) = self.ring.take(self.front) {
            self.held_bytes -= copy.payload.len();
            self.stats.fec_packets_discarded += 1 + u64::from(copy.has_fec);
        }
        self.front += 1;
    }

    /// Returns the highest missing number up to `last` where this audio is missing: it begins after
    /// all that has left and that waits below, and ends before what waits above.
    fn hole(&self, last: u64, timestamp: u64, samples: u32) -> Option<u64> {
        let end = timestamp.wrapping_add(u64::from(samples));
        let mut hole = None;
        for sequence in (self.front..=last.max(self.highest)).rev() {
            match self.ring.place(sequence) {
                Place::Held(packet) if packet.samples == 0 => {}
                Place::Held(packet) if packet.timestamp >= end => hole = None,
                Place::Held(packet) => {
                    let packet_end = packet.timestamp.wrapping_add(u64::from(packet.samples));
                    return hole.filter(|_| packet_end <= timestamp);
                }
                Place::Missing(_) | Place::Unknown if sequence <= last => {
                    hole = hole.or(Some(sequence));
                }
                _ => {}
            }
        }
        hole.filter(|_| timestamp >= self.next_timestamp)
    }
}

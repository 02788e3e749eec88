//! Whatever comes, in whatever order: what leaves the jitter buffer has no gap and nothing twice.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::time::Duration;

use gradio_webrtc_media::{JitterBuffer, Slot};
use proptest::prelude::*;
use support::{SAMPLES, ms, number, payload};

/// More than any deadline after the last packet.
const LONG_AFTER: Duration = ms(1_000);

/// A packet's way: its number is its place in the list.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// How often it comes: never, once, twice.
    times: u32,
    /// How much later than it was sent.
    delay: Duration,
    has_fec: bool,
    /// Silence before it, in samples.
    pause: u32,
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    let times = prop_oneof![8 => Just(1), 2 => Just(0), 1 => Just(2)];
    let pause = prop_oneof![20 => Just(0), 1 => 1..24_000_u32];
    let way =
        (times, 0..150_u64, any::<bool>(), pause).prop_map(|(times, delay, has_fec, pause)| Way {
            times,
            delay: ms(delay),
            has_fec,
            pause,
        });
    prop::collection::vec(way, 1..150)
}

/// Packets of a sender with a clock, in the order in which they come.
struct Sent {
    at: Duration,
    number: u64,
    timestamp: u64,
    has_fec: bool,
}

fn send(ways: &[Way]) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut timestamp = 0;
    for (number, way) in (0..).zip(ways) {
        timestamp += u64::from(way.pause);
        let now = Duration::from_micros(timestamp * 125 / 6);
        for copy in 0..way.times {
            sent.push(Sent {
                at: now + way.delay + ms(7) * copy,
                number,
                timestamp,
                has_fec: way.has_fec,
            });
        }
        timestamp += u64::from(SAMPLES);
    }
    sent.sort_by_key(|packet| packet.at);
    sent
}

/// What left the buffer.
#[derive(Default)]
struct Taken {
    numbers: Vec<u64>,
    /// The samples before each of these packets.
    places: Vec<u64>,
    samples: u64,
    /// The concealed samples in a row.
    row: u32,
    longest_row: u32,
}

impl Taken {
    fn take(&mut self, buffer: &mut JitterBuffer, now: Duration) {
        while let Some(slot) = buffer.next(now) {
            self.row = match slot {
                Slot::Missing {
                    samples,
                    copy_in: None,
                } => self.row + samples,
                _ => 0,
            };
            self.longest_row = self.longest_row.max(self.row);
            self.samples += u64::from(match slot {
                Slot::Packet(packet) => {
                    self.numbers.push(number(&packet.payload));
                    self.places.push(self.samples);
                    packet.samples
                }
                Slot::Missing { samples, .. } | Slot::Silence { samples } => samples,
            });
        }
    }
}

proptest! {
    #[test]
    fn nothing_leaves_twice_out_of_order_or_out_of_its_place(
        ways in ways(),
        first_sequence in any::<u16>(),
        first_timestamp in any::<u32>(),
        round_trip in prop::option::of(0..200_u64),
    ) {
        let sent = send(&ways);
        let mut buffer = JitterBuffer::new();
        buffer.set_round_trip(round_trip.map(ms));
        let mut taken = Taken::default();
        let mut timestamps = Vec::new();
        timestamps.resize(ways.len(), None);
        for packet in &sent {
            while let Some(at) = buffer.deadline().filter(|at| *at <= packet.at) {
                taken.take(&mut buffer, at);
                buffer.nacks(at);
                prop_assert!(buffer.deadline().is_none_or(|next| next > at), "{at:?} comes again");
            }
            timestamps[usize::try_from(packet.number).unwrap()] = Some(packet.timestamp);
            let sequence = first_sequence.wrapping_add(u16::try_from(packet.number).unwrap());
            let timestamp = first_timestamp.wrapping_add(u32::try_from(packet.timestamp).unwrap());
            buffer.insert(packet.at, sequence, timestamp, payload(packet.number, packet.has_fec));
            taken.take(&mut buffer, packet.at);
            buffer.nacks(packet.at);
        }
        let Some(last) = sent.last() else { return Ok(()) };
        let end = last.at + LONG_AFTER;
        taken.take(&mut buffer, end);
        prop_assert_eq!(buffer.deadline(), None);

        prop_assert!(taken.numbers.is_sorted_by(|a, b| a < b), "{:?}", taken.numbers);
        prop_assert!(taken.longest_row <= 4_800, "{} in a row", taken.longest_row);
        // Each in its place, unless a gap was too long to be filled.
        let at = |k: usize| timestamps[usize::try_from(taken.numbers[k]).unwrap()].unwrap();
        for k in 1..taken.numbers.len() {
            let (sent, left) = (at(k) - at(k - 1), taken.places[k] - taken.places[k - 1]);
            let gap = sent - u64::from(SAMPLES);
            let expected = if gap > 24_000 { u64::from(SAMPLES) } else { sent };
            prop_assert_eq!(left, expected);
        }
        let stats = buffer.stats();
        let left = taken.numbers.len() as u64;
        prop_assert_eq!(stats.total_samples_received, taken.samples);
        prop_assert_eq!(
            stats.packets_received,
            left + stats.packets_repeated + stats.packets_discarded
        );
    }

    #[test]
    fn nothing_panics_or_leaves_out_of_order_whatever_comes(
        packets in prop::collection::vec(
            (
                any::<u16>(),
                any::<u32>(),
                prop::collection::vec(any::<u8>(), 0..4),
                prop_oneof![5 => 0..100_u64, 1 => any::<u64>()],
                any::<bool>(),
            ),
            0..300,
        ),
        near in prop::option::of(1..40_u16),
    ) {
        let mut buffer = JitterBuffer::new();
        buffer.set_round_trip(Some(ms(30)));
        let mut before = 0;
        for (sequence, timestamp, bytes, time, is_copy) in packets {
            let now = Duration::from_millis(time);
            let sequence = near.map_or(sequence, |near| sequence % near);
            if is_copy {
                buffer.insert_redundant(now, sequence, timestamp, &bytes);
            } else {
                buffer.insert(now, sequence, timestamp, bytes);
            }
            std::hint::black_box(buffer.deadline());
            buffer.nacks(now);
            while let Some(slot) = buffer.next(now) {
                match slot {
                    Slot::Packet(packet) => {
                        prop_assert!(packet.sequence > before);
                        before = packet.sequence;
                    }
                    Slot::Missing { samples, .. } => {
                        prop_assert!(samples > 0 && samples <= 5_760 && samples % 120 == 0);
                    }
                    Slot::Silence { samples } => prop_assert!((1..=24_000).contains(&samples)),
                }
            }
        }
        let stats = buffer.stats();
        prop_assert!(stats.fec_packets_discarded <= stats.fec_packets_received);
        prop_assert!(stats.silent_concealed_samples <= stats.concealed_samples);
        prop_assert!(stats.concealed_samples <= stats.total_samples_received);
    }
}

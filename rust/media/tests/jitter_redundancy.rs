//! Redundant copies in the jitter buffer, which have a time and no number: wherever a sender uses
//! numbers for something else than audio, no audio leaves twice.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::ops::RangeInclusive;
use std::time::Duration;

use gradio_webrtc_media::{Insertion, JitterBuffer, Slot};
use proptest::prelude::*;
use support::{SAMPLES, ms, number, payload};

/// More than any deadline after the last packet.
const LONG_AFTER: Duration = ms(1_000);

/// A packet of redundant audio, by its place among those with audio.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    is_lost: bool,
    /// True if only the copies in it are good.
    is_empty: bool,
    delay: Duration,
    /// Numbers before it that its sender used for something else.
    foreign: u16,
    /// Silence before it, in samples.
    pause: u32,
}

/// A sender whose packets carry so many before them, and a receiver.
struct Stream {
    ways: Vec<Way>,
    redundancy: usize,
    first_sequence: u16,
    first_timestamp: u32,
    buffer: JitterBuffer,
    /// The numbers of the packets that left, and the samples before each.
    left: Vec<(u64, u64)>,
    samples: u64,
}

impl Stream {
    fn new(ways: Vec<Way>, redundancy: usize) -> Self {
        Self {
            ways,
            redundancy,
            first_sequence: 0,
            first_timestamp: 0,
            buffer: JitterBuffer::new(),
            left: Vec::new(),
            samples: 0,
        }
    }

    /// Samples from the first packet to this one.
    fn offset(&self, at: usize) -> u32 {
        let pauses: u32 = self.ways[1..=at].iter().map(|way| way.pause).sum();
        u32::try_from(at).unwrap() * SAMPLES + pauses
    }

    fn timestamp(&self, at: usize) -> u32 {
        self.first_timestamp.wrapping_add(self.offset(at))
    }

    fn sequence(&self, at: usize) -> u16 {
        let foreign: u16 = self.ways[1..=at].iter().map(|way| way.foreign).sum();
        let count = u16::try_from(at).unwrap() + foreign;
        self.first_sequence.wrapping_add(count)
    }

    /// Those that a packet carries and that have a number by it.
    fn carried(&self, at: usize) -> std::ops::Range<usize> {
        let mut first = at;
        while first > 0 && at - first < self.redundancy && self.ways[first].pause == 0 {
            first -= 1;
        }
        first..at
    }

    /// Receives a packet as `AudioReceiver` does.
    fn insert(&mut self, now: Duration, at: usize) {
        let sequence = self.sequence(at);
        let own = payload(at as u64, false);
        if !self.ways[at].is_empty {
            let timestamp = self.timestamp(at);
            self.buffer.insert(now, sequence, timestamp, own);
        }
        for (behind, copy) in (1..).zip(self.carried(at).rev()) {
            let sequence = sequence.wrapping_sub(behind);
            let payload = payload(copy as u64, false);
            let timestamp = self.timestamp(copy);
            self.buffer
                .insert_redundant(now, sequence, timestamp, &payload);
        }
    }

    fn take(&mut self, now: Duration) {
        while let Some(slot) = self.buffer.next(now) {
            self.samples += u64::from(match slot {
                Slot::Packet(packet) => {
                    self.left.push((number(&packet.payload), self.samples));
                    packet.samples
                }
                Slot::Missing { samples, .. } | Slot::Silence { samples } => samples,
            });
        }
    }

    fn run(&mut self) {
        let sent = |at| Duration::from_micros(u64::from(self.offset(at)) * 125 / 6);
        let mut order: Vec<_> = (0..self.ways.len())
            .filter(|&at| !self.ways[at].is_lost)
            .map(|at| (sent(at) + self.ways[at].delay, at))
            .collect();
        order.sort_unstable();
        let last = order[order.len() - 1].0;
        for (now, at) in order {
            while let Some(due) = self.buffer.deadline().filter(|due| *due <= now) {
                self.take(due);
                self.buffer.nacks(due);
            }
            self.insert(now, at);
            self.take(now);
        }
        self.take(last + LONG_AFTER);
    }

    /// Each that left is there once, after those before it and as far behind them as it was sent.
    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.left.is_sorted_by(|a, b| a.0 < b.0), "{:?}", self.left);
        for &(number, before) in &self.left {
            let offset = self.offset(usize::try_from(number).unwrap());
            prop_assert_eq!(before, u64::from(offset), "{} in {:?}", number, self.left);
        }
        Ok(())
    }
}

fn ways(delay: RangeInclusive<u64>) -> impl Strategy<Value = Vec<Way>> {
    let foreign = prop_oneof![6 => Just(0), 1 => 1..4_u16];
    let pause = prop_oneof![12 => Just(0), 1 => 1..2_000_u32];
    let (is_lost, is_empty) = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    let way = (is_lost, is_empty, delay, foreign, pause).prop_map(
        |(is_lost, is_empty, delay, foreign, pause)| Way {
            is_lost,
            is_empty,
            delay: ms(delay),
            foreign,
            pause,
        },
    );
    // The first one comes, and comes first.
    prop::collection::vec(way, 1..80).prop_map(|mut ways| {
        ways[0] = Way::default();
        ways
    })
}

/// The packets of a second in order, some numbers of which were used for something else.
fn with_foreign(redundancy: usize) -> Stream {
    let foreign = |at: usize| [0, 0, 1, 0, 3, 0, 0][at % 7];
    let way = |at| Way {
        foreign: foreign(at),
        ..Way::default()
    };
    Stream::new((0..50).map(way).collect(), redundancy)
}

#[test]
fn what_comes_without_a_loss_leaves_once_whatever_numbers_are_missing() {
    for redundancy in 0..=9 {
        for first_sequence in [0, 65_500] {
            let mut stream = with_foreign(redundancy);
            stream.first_sequence = first_sequence;
            stream.first_timestamp = u32::MAX - 20 * SAMPLES;
            stream.run();
            stream.check().unwrap();
            assert_eq!((stream.left.len(), stream.samples), (50, 50 * 960));
            assert_eq!(stream.buffer.stats().concealed_samples, 0);
        }
    }
}

#[test]
fn a_copy_of_what_has_left_takes_no_place() {
    let mut buffer = JitterBuffer::new();
    buffer.insert(ms(0), 0, 0, payload(0, false));
    assert!(buffer.next(ms(0)).is_some());
    // 1 is something else.
    buffer.insert(ms(20), 2, 960, payload(1, false));
    buffer.insert_redundant(ms(20), 1, 0, &payload(0, false));
    assert_eq!(buffer.stats().fec_packets_discarded, 1);
    let late = buffer.insert(ms(21), 1, 960, payload(1, false));
    assert_eq!(late, Insertion::Held);
    assert_eq!(buffer.stats().fec_packets_discarded, 1);
}

#[test]
fn a_copy_is_found_a_place_beyond_a_number_without_audio() {
    // 0, 1 and 2 are audio, 3 something else, 4 audio that carries 1 and 2.
    let mut buffer = JitterBuffer::new();
    buffer.insert(ms(0), 0, 0, payload(0, false));
    assert!(buffer.next(ms(0)).is_some());
    buffer.insert(ms(60), 4, 2_880, payload(3, false));
    buffer.insert(ms(61), 2, 1_920, payload(2, false));
    buffer.insert_redundant(ms(61), 3, 1_920, &payload(2, false));
    buffer.insert_redundant(ms(61), 2, 960, &payload(1, false));
    assert_eq!(buffer.stats().fec_packets_discarded, 1);
    for expected in 1..=3 {
        let Some(Slot::Packet(packet)) = buffer.next(ms(81)) else {
            panic!("{expected} is missing");
        };
        assert_eq!(number(&packet.payload), expected);
    }
    assert_eq!(buffer.stats().concealed_samples, 0);
}

#[test]
fn a_packet_moves_the_copy_in_its_place_and_the_one_of_itself_is_dropped() {
    let mut buffer = JitterBuffer::new();
    buffer.insert(ms(0), 0, 0, payload(0, false));
    assert!(buffer.next(ms(0)).is_some());
    // 1 and 2 are audio that comes late, 3 something else.
    buffer.insert(ms(60), 4, 2_880, payload(3, false));
    buffer.insert_redundant(ms(60), 3, 1_920, &payload(2, false));
    buffer.insert_redundant(ms(60), 2, 960, &payload(1, false));
    let late = buffer.insert(ms(61), 2, 1_920, payload(2, false));
    assert_eq!(late, Insertion::Held);
    let left = std::iter::from_fn(|| match buffer.next(ms(61)) {
        Some(Slot::Packet(packet)) => Some((number(&packet.payload), packet.is_copy)),
        _ => None,
    });
    let left: Vec<_> = left.collect();
    assert_eq!(left, [(1, true), (2, false), (3, false)]);
    assert_eq!(buffer.stats().fec_packets_discarded, 1);
    assert_eq!(buffer.stats().concealed_samples, 0);
}

#[test]
fn a_pause_that_follows_a_dropped_copy_is_none_of_a_hole() {
    let mut buffer = JitterBuffer::new();
    buffer.insert(ms(0), 0, 0, payload(0, false));
    assert!(buffer.next(ms(0)).is_some());
    // 1 comes late, 2 is something else.
    buffer.insert(ms(40), 3, 1_920, payload(2, false));
    buffer.insert_redundant(ms(40), 2, 960, &payload(1, false));
    buffer.insert(ms(41), 1, 960, payload(1, false));
    buffer.insert(ms(41), 4, 3_840, payload(3, false));
    let mut slots = Vec::new();
    while let Some(slot) = buffer.next(ms(41)) {
        slots.push(match slot {
            Slot::Packet(packet) => number(&packet.payload),
            Slot::Silence { samples } => u64::from(samples),
            Slot::Missing { .. } => panic!("a hole"),
        });
    }
    assert_eq!(slots, [1, 2, 960, 3]);
}

proptest! {
    #[test]
    fn no_audio_leaves_twice_or_out_of_its_place(
        ways in ways(0..=120),
        redundancy in 0..=9_usize,
        first_sequence in any::<u16>(),
        first_timestamp in any::<u32>(),
        round_trip in prop::option::of(0..200_u64),
    ) {
        let mut stream = Stream::new(ways, redundancy);
        (stream.first_sequence, stream.first_timestamp) = (first_sequence, first_timestamp);
        stream.buffer.set_round_trip(round_trip.map(ms));
        stream.run();
        stream.check()?;
    }

    #[test]
    fn in_order_all_leaves_that_came_or_was_carried(
        ways in ways(0..=0),
        redundancy in 0..=9_usize,
        first_sequence in any::<u16>(),
        first_timestamp in any::<u32>(),
    ) {
        let mut stream = Stream::new(ways, redundancy);
        (stream.first_sequence, stream.first_timestamp) = (first_sequence, first_timestamp);
        stream.run();
        stream.check()?;
        let came = |at: usize| !stream.ways[at].is_lost;
        let is_there = |at: usize| {
            let itself = came(at) && !stream.ways[at].is_empty;
            itself || (at + 1..stream.ways.len()).any(|later| came(later) && stream.carried(later).contains(&at))
        };
        let expected: Vec<_> = (0..stream.ways.len()).filter(|&at| is_there(at)).map(|at| at as u64).collect();
        let left: Vec<_> = stream.left.iter().map(|&(number, _)| number).collect();
        prop_assert_eq!(left, expected);
    }
}

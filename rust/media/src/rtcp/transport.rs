//! When each packet of a transport was received
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! Packets are those of all streams, under the numbers that their sender gave them in a header
//! extension. Each has one of three states: not received, or received with a delta of one or of two
//! bytes to the one before; chunks of two bytes describe the states, and the deltas follow.

use std::time::Duration;

/// What precedes the chunks: first number, count, time and number of the feedback.
const FIXED_BYTES: usize = 8;

/// The unit of deltas, in microseconds.
const DELTA_US: i64 = 250;

/// The unit of the reference time, in microseconds and in deltas.
const REFERENCE_US: i64 = 64_000;
const REFERENCE_DELTAS: i64 = REFERENCE_US / DELTA_US;

/// The number of states in a chunk of one bit, and of two bits each.
const ONE_BIT_STATES: usize = 14;
const TWO_BIT_STATES: usize = 7;

/// The largest number of equal states in a chunk: 13 bits.
const MAX_RUN: usize = (1 << 13) - 1;

/// The largest number of packets in one written feedback: with two bytes for each delta and a chunk
/// for seven of them it has about 950 bytes, less than a datagram everywhere.
const MAX_WRITTEN: usize = 400;

/// States of packets.
const LOST: u8 = 0;
const SMALL_DELTA: u8 = 1;
const LARGE_DELTA: u8 = 2;

/// When the packets of a transport were received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The receiver.
    pub sender_ssrc: u32,
    /// One of the streams.
    pub media_ssrc: u32,
    /// The number of this feedback, which increases by one each time and wraps around.
    pub feedback_count: u8,
    packets: PacketReceptions<'a>,
}

/// A packet of a transport, and whether it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketReception {
    /// The packet's transport-wide number.
    pub sequence_number: u16,
    /// The time on the receiver's clock in microseconds; `None` where it was not received. The clock
    /// starts anywhere, and wraps around after 298 hours.
    pub received_us: Option<i64>,
}

impl<'a> TransportFeedback<'a> {
    /// Reads what follows the two streams; `None` where chunks or deltas are missing.
    pub(super) fn read(sender_ssrc: u32, media_ssrc: u32, bytes: &'a [u8]) -> Option<Self> {
        let (&[n0, n1, c0, c1, r0, r1, r2, feedback_count], rest) =
            bytes.split_first_chunk::<FIXED_BYTES>()?;
        // The shift carries the sign of 24 bits.
        let reference = i32::from_be_bytes([r0, r1, r2, 0]) >> 8;
        let mut packets = PacketReceptions {
            next: u16::from_be_bytes([n0, n1]),
            left: u16::from_be_bytes([c0, c1]),
            time_us: i64::from(reference) * REFERENCE_US,
            states: States::default(),
            chunks: rest,
            deltas: &[],
        };
        let (mut states, mut described) = (0, 0);
        let mut chunks = rest;
        while described < usize::from(packets.left) {
            let (chunk, rest) = chunks.split_first_chunk()?;
            let chunk = States::read(*chunk);
            let used = chunk.count.min(usize::from(packets.left) - described);
            described += used;
            states += chunk.delta_bytes(used);
            chunks = rest;
        }
        packets.chunks = &rest[..rest.len() - chunks.len()];
        packets.deltas = chunks.get(..states)?;
        Some(Self {
            sender_ssrc,
            media_ssrc,
            feedback_count,
            packets,
        })
    }

    /// The packets in the order of their numbers, up to 65,535.
    #[must_use]
    pub fn packets(&self) -> PacketReceptions<'a> {
        self.packets.clone()
    }
}

/// The states of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct States {
    /// The states in rows of equal width, the first one in the highest bits.
    bits: u16,
    /// The width of a state, or 0 where all are the same.
    width: u32,
    count: usize,
}

impl States {
    fn read(chunk: [u8; 2]) -> Self {
        let bits = u16::from_be_bytes(chunk);
        let (width, count) = match bits >> 14 {
            // A run: its state in two bits, its length in 13.
            0 | 1 => (0, usize::from(bits) & MAX_RUN),
            2 => (1, ONE_BIT_STATES),
            _ => (2, TWO_BIT_STATES),
        };
        let bits = if width == 0 { bits << 1 } else { bits << 2 };
        Self { bits, width, count }
    }

    /// Takes the next state.
    fn next(&mut self) -> Option<u8> {
        self.count = self.count.checked_sub(1)?;
        let [high, _] = self.bits.to_be_bytes();
        let state = high >> if self.width == 1 { 7 } else { 6 };
        self.bits <<= self.width;
        Some(state)
    }

    /// The number of bytes that the deltas of the first states have.
    fn delta_bytes(mut self, count: usize) -> usize {
        if self.width == 0 {
            return self.next().map_or(0, delta_bytes) * count;
        }
        let states = std::iter::from_fn(|| self.next()).take(count);
        states.map(delta_bytes).sum()
    }
}

/// The length of a state's delta; 0 for the state that is reserved.
fn delta_bytes(state: u8) -> usize {
    match state {
        SMALL_DELTA => 1,
        LARGE_DELTA => 2,
        _ => 0,
    }
}

/// The packets of a [`TransportFeedback`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketReceptions<'a> {
    next: u16,
    left: u16,
    time_us: i64,
    states: States,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl PacketReceptions<'_> {
    fn next_state(&mut self) -> Option<u8> {
        loop {
            if let Some(state) = self.states.next() {
                return Some(state);
            }
            let (chunk, rest) = self.chunks.split_first_chunk()?;
            self.states = States::read(*chunk);
            self.chunks = rest;
        }
    }

    /// Takes the delta of a state; `None` for a packet that was not received.
    fn next_delta(&mut self, state: u8) -> Option<i64> {
        let (delta, rest) = self.deltas.split_at_checked(delta_bytes(state))?;
        self.deltas = rest;
        match *delta {
            [small] => Some(small.into()),
            [high, low] => Some(i16::from_be_bytes([high, low]).into()),
            _ => None,
        }
    }
}

impl Iterator for PacketReceptions<'_> {
    type Item = PacketReception;

    fn next(&mut self) -> Option<PacketReception> {
        self.left = self.left.checked_sub(1)?;
        let state = self.next_state()?;
        let sequence_number = self.next;
        self.next = sequence_number.wrapping_add(1);
        let received_us = self.next_delta(state).map(|delta| {
            self.time_us += delta * DELTA_US;
            self.time_us
        });
        Some(PacketReception {
            sequence_number,
            received_us,
        })
    }
}

/// Appends what follows the two streams, up to a whole word; returns the number of packets in it.
///
/// Nothing is appended where none of them was received: a feedback has no time then.
pub(super) fn write(
    first: u16,
    feedback_count: u8,
    received: &[Option<Duration>],
    out: &mut Vec<u8>,
) -> usize {
    let received = &received[..received.len().min(MAX_WRITTEN)];
    let times = received.iter().map(|time| time.map(deltas_since_start));
    let Some(start) = times.clone().flatten().next() else {
        return received.len();
    };
    let reference = start.div_euclid(REFERENCE_DELTAS);
    let (states, deltas) = encode(times, reference * REFERENCE_DELTAS);
    out.extend_from_slice(&first.to_be_bytes());
    let [.., high, low] = states.len().to_be_bytes();
    out.extend_from_slice(&[high, low]);
    let [.., r0, r1, r2] = reference.to_be_bytes();
    out.extend_from_slice(&[r0, r1, r2, feedback_count]);
    let mut rest = &states[..];
    while !rest.is_empty() {
        let (chunk, used) = next_chunk(rest);
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = &rest[used..];
    }
    out.extend_from_slice(&deltas);
    states.len()
}

fn deltas_since_start(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX) / DELTA_US
}

/// The states of the packets and the bytes of their deltas, up to the first delta that has more
/// than 16 bits.
fn encode(times: impl Iterator<Item = Option<i64>>, mut before: i64) -> (Vec<u8>, Vec<u8>) {
    let (mut states, mut deltas) = (Vec::new(), Vec::new());
    for time in times {
        let Some(time) = time else {
            states.push(LOST);
            continue;
        };
        if let Ok(delta) = u8::try_from(time - before) {
            states.push(SMALL_DELTA);
            deltas.push(delta);
        } else if let Ok(delta) = i16::try_from(time - before) {
            states.push(LARGE_DELTA);
            deltas.extend_from_slice(&delta.to_be_bytes());
        } else {
            break;
        }
        before = time;
    }
    (states, deltas)
}

/// Returns the chunk that describes the most of the next states, and their number.
fn next_chunk(states: &[u8]) -> (u16, usize) {
    let first = states.first().copied().unwrap_or(LOST);
    let run = states.iter().take_while(|&&state| state == first).count();
    let run = run.min(MAX_RUN);
    let narrow = states.iter().take(ONE_BIT_STATES);
    let narrow_count = narrow.take_while(|&&state| state < LARGE_DELTA).count();
    // A chunk has all its states, except for the last one, where they have no meaning.
    let is_narrow = narrow_count == states.len().min(ONE_BIT_STATES);
    let (bits, width, count) = if is_narrow {
        (0x8000, 1, ONE_BIT_STATES)
    } else {
        (0xc000, 2, TWO_BIT_STATES)
    };
    if run >= count.min(states.len()) {
        let [.., high, low] = run.to_be_bytes();
        return (
            u16::from(first) << 13 | u16::from_be_bytes([high, low]),
            run,
        );
    }
    let used = &states[..states.len().min(count)];
    let chunk = used.iter().zip(1..).fold(bits, |bits, (&state, at)| {
        bits | u16::from(state) << (14 - at * width)
    });
    (chunk, used.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and times of a feedback with these bytes behind the two streams.
    fn read(bytes: &[u8]) -> Option<Vec<(u16, Option<i64>)>> {
        let feedback = TransportFeedback::read(1, 2, bytes)?;
        let packets = feedback.packets();
        Some(
            packets
                .map(|each| (each.sequence_number, each.received_us))
                .collect(),
        )
    }

    /// Times in milliseconds.
    fn ms<const N: usize>(times: [Option<u64>; N]) -> [Option<Duration>; N] {
        times.map(|time| time.map(Duration::from_millis))
    }

    #[test]
    fn a_run_describes_equal_states() {
        // Three packets from 0xffff on, each 1 ms after the other, at 64 ms.
        let bytes = [0xff, 0xff, 0, 3, 0, 0, 1, 9, 0x20, 3, 4, 4, 4];
        let expected = [(0xffff, 65_000), (0, 66_000), (1, 67_000)];
        let expected = expected.map(|(number, time)| (number, Some(time)));
        assert_eq!(read(&bytes), Some(expected.into()));
    }

    #[test]
    fn one_bit_describes_received_and_lost() {
        // Of the 14 states only five are packets; the count leaves the others out.
        let bytes = [0, 7, 0, 5, 0, 0, 0, 0, 0b1010_1100, 0, 0, 1, 2, 99];
        let expected = [(7, None), (8, None), (9, None), (10, None), (11, None)];
        let mut expected = expected.to_vec();
        (expected[0].1, expected[2].1, expected[3].1) = (Some(0), Some(250), Some(750));
        // 1, 0, 1, 1, 0
        assert_eq!(read(&bytes), Some(expected));
    }

    #[test]
    fn two_bits_describe_deltas_of_either_sign() {
        // Small, large, lost, large; at -64 ms.
        let chunk = [0b1101_1000, 0b1000_0000];
        let bytes = [&[0, 1, 0, 4, 0xff, 0xff, 0xff, 0][..], &chunk, &[1, 1, 0]].concat();
        let bytes = [&bytes[..], &[0xff, 0xff]].concat();
        let expected = vec![(1, Some(-63_750)), (2, Some(250)), (3, None), (4, Some(0))];
        assert_eq!(read(&bytes), Some(expected));
    }

    #[test]
    fn missing_chunks_and_deltas_are_no_feedback() {
        let whole = [0, 0, 0, 20, 0, 0, 0, 0, 0x20, 18, 0x40, 2];
        let whole = [&whole[..], &[0; 22]].concat();
        assert_eq!(read(&whole).map(|packets| packets.len()), Some(20));
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        // A run of none describes nothing, and the next chunk counts.
        let bytes = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x20, 1, 5];
        assert_eq!(read(&bytes), Some(vec![(0, Some(1_250))]));
    }

    #[test]
    fn what_was_written_is_read() {
        let times = [
            Some(100),
            None,
            Some(101),
            Some(99),
            Some(5_000),
            None,
            Some(5_000),
        ];
        let mut bytes = Vec::new();
        assert_eq!(write(65_534, 3, &ms(times), &mut bytes), 7);
        let packets = read(&bytes).unwrap();
        let numbers: Vec<u16> = packets.iter().map(|each| each.0).collect();
        assert_eq!(numbers, [65_534, 65_535, 0, 1, 2, 3, 4]);
        let received: Vec<_> = packets.iter().map(|each| each.1).collect();
        let expected = times.map(|time| time.map(|time| time.cast_signed() * 1_000));
        assert_eq!(received, expected);
    }

    #[test]
    fn the_shortest_chunks_are_written() {
        let chunks = |states: &[u8]| {
            let (mut rest, mut chunks) = (states, Vec::new());
            while !rest.is_empty() {
                let (chunk, used) = next_chunk(rest);
                chunks.push((chunk, used));
                rest = &rest[used..];
            }
            chunks
        };
        assert_eq!(chunks(&[1; 30]), [(0x201e, 30)]);
        assert_eq!(chunks(&[2; 3]), [(0x4003, 3)]);
        assert_eq!(chunks(&[0; 9_000]), [(8_191, 8_191), (809, 809)]);
        let alternating: Vec<u8> = (0..16).map(|at| at % 2).collect();
        assert_eq!(chunks(&alternating), [(0x9555, 14), (0x9000, 2)]);
        assert_eq!(
            chunks(&[1, 2, 0, 0, 0, 0, 0, 1]),
            [(0xd800, 7), (0x2001, 1)]
        );
    }

    #[test]
    fn a_gap_of_more_than_8_seconds_ends_the_feedback() {
        let times = ms([0, 8_191, 16_383, 16_384].map(Some));
        assert_eq!(write(0, 0, &times, &mut Vec::new()), 2);
        assert_eq!(write(0, 0, &times[2..], &mut Vec::new()), 2);
    }

    #[test]
    fn packets_none_of_which_came_are_no_feedback() {
        let mut bytes = Vec::new();
        assert_eq!(write(0, 0, &[None; 9], &mut bytes), 9);
        assert_eq!(bytes, []);
    }

    #[test]
    fn a_feedback_is_shorter_than_a_datagram() {
        // Deltas of two bytes between lost packets: the longest form.
        let times: Vec<_> = (0..1_000)
            .map(|at| Some(Duration::from_millis(at % 2 * 5_000)))
            .collect();
        let mut bytes = Vec::new();
        assert_eq!(write(0, 0, &times, &mut bytes), 400);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
    }
}

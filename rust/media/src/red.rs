//! Redundant audio (RFC 2198): a packet that also carries those before it, as Chromium sends
//! `red/48000/2`.

use std::collections::VecDeque;
use std::fmt;

use crate::{OpusPacket, PayloadTypes};

/// The largest number of redundant blocks in a packet, as many as are kept and read. Chromium sends
/// one unless an experiment is on, and then up to nine.
pub const MAX_REDUNDANT_BLOCKS: usize = 9;

/// The header of a redundant block: a bit, a payload type, 14 bits of time and 10 of length.
const HEADER_BYTES: usize = 4;

/// The bit of a header that another one follows.
const FOLLOWED: u8 = 0x80;

/// The largest difference of timestamps and the largest length that a header has room for.
const MAX_TIMESTAMP_OFFSET: u32 = (1 << 14) - 1;
const MAX_BLOCK_BYTES: usize = (1 << 10) - 1;

/// The length of a written payload, in bytes, up to which redundancy is attached: with the headers of
/// RTP, SRTP, UDP and IPv6 it fits into 1,280 bytes, which each path carries (RFC 8200 section 5).
const MAX_PAYLOAD_BYTES: usize = 1_150;

/// A payload that is not redundant audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedError {
    /// A payload that ends within its headers or its blocks.
    Truncated {
        /// The number of bytes that it requires.
        expected: usize,
        /// The number of bytes there.
        got: usize,
    },
    /// More redundant blocks than [`MAX_REDUNDANT_BLOCKS`].
    TooManyBlocks,
}

impl fmt::Display for RedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, got } => {
                write!(
                    f,
                    "expected a redundant payload of {expected} bytes, got {got}"
                )
            }
            Self::TooManyBlocks => {
                write!(
                    f,
                    "expected at most {MAX_REDUNDANT_BLOCKS} redundant blocks, got more"
                )
            }
        }
    }
}

impl std::error::Error for RedError {}

/// The payload of one packet, as it would be without redundancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// The format of the data, as negotiated for packets of their own.
    pub payload_type: u8,
    /// The time of the first sample.
    pub timestamp: u32,
    /// True if another packet carried it or will carry it: only the last block is not redundant.
    pub is_redundant: bool,
    /// The payload.
    pub data: &'a [u8],
}

/// The blocks of a redundant payload in the order of sending: the oldest first, the packet's own
/// last.
#[derive(Debug, Clone)]
pub struct RedBlocks<'a> {
    timestamp: u32,
    headers: &'a [u8],
    data: &'a [u8],
}

impl<'a> RedBlocks<'a> {
    /// Reads a payload; `timestamp` is that of its packet.
    ///
    /// # Errors
    /// The payload ends within its headers or its blocks, or has too many.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::RedBlocks;
    ///
    /// // Two bytes of payload type 111 from 960 samples before, and three more.
    /// let payload = [0x80 | 111, 0x0f, 0x00, 2, 111, b'a', b'b', b'c', b'd', b'e'];
    /// let blocks: Vec<_> = RedBlocks::read(&payload, 4_800).unwrap().collect();
    /// assert_eq!((blocks[0].timestamp, blocks[0].data), (3_840, &b"ab"[..]));
    /// assert_eq!((blocks[1].timestamp, blocks[1].data), (4_800, &b"cde"[..]));
    /// ```
    pub fn read(payload: &'a [u8], timestamp: u32) -> Result<Self, RedError> {
        let (mut at, mut redundant_bytes) = (0, 0);
        while payload.get(at).is_some_and(|first| first & FOLLOWED != 0) {
            if at == MAX_REDUNDANT_BLOCKS * HEADER_BYTES {
                return Err(RedError::TooManyBlocks);
            }
            let header = payload.get(at..).and_then(<[u8]>::first_chunk);
            redundant_bytes += header.map_or(0, |header| split_header(*header).1);
            at += HEADER_BYTES;
        }
        let expected = at + 1 + redundant_bytes;
        if payload.len() < expected {
            let got = payload.len();
            return Err(RedError::Truncated { expected, got });
        }
        let (headers, data) = payload.split_at(at + 1);
        Ok(Self {
            timestamp,
            headers,
            data,
        })
    }
}

impl<'a> Iterator for RedBlocks<'a> {
    type Item = RedBlock<'a>;

    fn next(&mut self) -> Option<RedBlock<'a>> {
        let first = *self.headers.first()?;
        let is_redundant = first & FOLLOWED != 0;
        let (mut offset, mut bytes, mut header_bytes) = (0, self.data.len(), 1);
        if is_redundant {
            (offset, bytes) = split_header(*self.headers.first_chunk()?);
            header_bytes = HEADER_BYTES;
        }
        let (data, rest) = self.data.split_at_checked(bytes)?;
        (self.headers, self.data) = (&self.headers[header_bytes..], rest);
        Some(RedBlock {
            payload_type: first & !FOLLOWED,
            timestamp: self.timestamp.wrapping_sub(offset),
            is_redundant,
            data,
        })
    }
}

/// The difference of timestamps and the length in a header.
fn split_header([_, high, middle, low]: [u8; HEADER_BYTES]) -> (u32, usize) {
    let bits = u32::from_be_bytes([0, high, middle, low]);
    let bytes = usize::from(u16::from_be_bytes([middle & 3, low]));
    (bits >> 10, bytes)
}

/// A redundant payload of Opus.
#[derive(Debug, Clone)]
pub(crate) struct RedPacket<'a> {
    /// The packet itself.
    pub(crate) own: &'a [u8],
    timestamp: u32,
    formats: PayloadTypes,
    /// The newest at the end.
    redundant: Vec<RedBlock<'a>>,
}

impl<'a> RedPacket<'a> {
    /// Reads a payload; `None` if it is none, or if the packet itself has another format than one of
    /// `formats`.
    pub(crate) fn read(payload: &'a [u8], timestamp: u32, formats: PayloadTypes) -> Option<Self> {
        let mut redundant: Vec<_> = RedBlocks::read(payload, timestamp).ok()?.collect();
        let own = redundant.pop()?;
        formats.contains(own.payload_type).then_some(Self {
            own: own.data,
            timestamp,
            formats,
            redundant,
        })
    }

    /// True if the packet itself is there, and Opus.
    pub(crate) fn has_audio(&self) -> bool {
        OpusPacket::read(self.own).is_some()
    }

    /// The packets before this one, the newest first, each with how many before it was, at least.
    ///
    /// A block has a time, and no sequence number: numbers in between may have been used for what is
    /// no audio. What is behind a gap is left out, since packets may have been sent in it, or not; so
    /// is what has another format.
    pub(crate) fn copies(&self) -> impl Iterator<Item = (u16, RedBlock<'a>)> {
        let mut next = self.timestamp;
        (1..)
            .zip(self.redundant.iter().rev())
            .map_while(move |(behind, block)| {
                let samples = OpusPacket::read(block.data)?.samples();
                let is_next = self.formats.contains(block.payload_type)
                    && block.timestamp.wrapping_add(samples) == next;
                next = block.timestamp;
                is_next.then_some((behind, *block))
            })
    }
}

/// Writes redundant payloads of Opus: each packet with as many of those before it as are worth their bytes.
///
/// A packet is attached while it is among the last `redundancy`, has audio, is at most 16,383 samples
/// old and 1,023 bytes long, and fits with the newer ones: a path that loses packets is not sent
/// longer ones than it carries. The newest come first, because a loss is most often of one packet.
#[derive(Debug, Clone)]
pub struct RedEncoder {
    payload_type: u8,
    redundancy: usize,
    /// The last packets, the newest at the end; as many as may be needed next.
    history: VecDeque<SentPacket>,
}

#[derive(Debug, Clone, Default)]
struct SentPacket {
    timestamp: u32,
    payload: Vec<u8>,
}

impl RedEncoder {
    /// An encoder of blocks of this payload type, 0 to 127, with no redundancy yet.
    #[must_use]
    pub fn new(payload_type: u8) -> Self {
        Self {
            payload_type: payload_type & !FOLLOWED,
            redundancy: 0,
            history: VecDeque::with_capacity(MAX_REDUNDANT_BLOCKS),
        }
    }

    /// Sets how many packets before it each packet carries, at most nine. One repairs a single loss,
    /// two repair two in a row, and each costs the bit rate once more.
    pub fn set_redundancy(&mut self, packets: usize) {
        self.redundancy = packets.min(MAX_REDUNDANT_BLOCKS);
    }

    /// Appends the payload of a packet, with redundancy, and stores it for the next ones.
    pub fn encode(&mut self, timestamp: u32, payload: &[u8], out: &mut Vec<u8>) {
        let attached = self.attached(timestamp, payload.len());
        let start = self.history.len() - attached;
        for packet in self
            .history
            .range(start..)
            .filter(|packet| packet.has_audio())
        {
            let offset = timestamp.wrapping_sub(packet.timestamp);
            // Both fit: `attached` leaves out what does not.
            let bytes = u32::try_from(packet.payload.len()).unwrap_or(0);
            let [_, high, middle, low] = (offset << 10 | bytes).to_be_bytes();
            out.extend_from_slice(&[FOLLOWED | self.payload_type, high, middle, low]);
        }
        out.push(self.payload_type);
        for packet in self
            .history
            .range(start..)
            .filter(|packet| packet.has_audio())
        {
            out.extend_from_slice(&packet.payload);
        }
        out.extend_from_slice(payload);
        self.store(timestamp, payload);
    }

    /// The number of packets at the end of the history that this one carries.
    fn attached(&self, timestamp: u32, bytes: usize) -> usize {
        let mut total = 1 + bytes;
        let fits = |packet: &&SentPacket| {
            if packet.has_audio() {
                total += HEADER_BYTES + packet.payload.len();
            }
            timestamp.wrapping_sub(packet.timestamp) <= MAX_TIMESTAMP_OFFSET
                && packet.payload.len() <= MAX_BLOCK_BYTES
                && total <= MAX_PAYLOAD_BYTES
        };
        let newest = self.history.iter().rev().take(self.redundancy);
        newest.take_while(fits).count()
    }

    /// Stores a packet in the memory of the oldest.
    fn store(&mut self, timestamp: u32, payload: &[u8]) {
        let mut packet = if self.history.len() < MAX_REDUNDANT_BLOCKS {
            SentPacket::default()
        } else {
            self.history.pop_front().unwrap_or_default()
        };
        packet.timestamp = timestamp;
        packet.payload.clear();
        packet.payload.extend_from_slice(payload);
        self.history.push_back(packet);
    }
}

impl SentPacket {
    /// True if the packet is worth a repair: silence is what a receiver plays anyway.
    fn has_audio(&self) -> bool {
        OpusPacket::read(&self.payload).is_some_and(|packet| !packet.is_silence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of Opus, 20 ms, with this content.
    fn opus(content: u8, bytes: usize) -> Vec<u8> {
        let mut packet = vec![content; bytes];
        packet[0] = 9 << 3;
        packet
    }

    fn encoder(redundancy: usize) -> RedEncoder {
        let mut encoder = RedEncoder::new(111);
        encoder.set_redundancy(redundancy);
        encoder
    }

    fn encoded(encoder: &mut RedEncoder, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.encode(timestamp, payload, &mut out);
        out
    }

    /// The timestamps and the first content byte of the blocks.
    fn blocks(payload: &[u8], timestamp: u32) -> Vec<(u32, u8)> {
        let blocks = RedBlocks::read(payload, timestamp).unwrap();
        blocks
            .map(|block| (block.timestamp, block.data[1]))
            .collect()
    }

    #[test]
    fn a_packet_carries_the_one_before_it() {
        let mut encoder = encoder(1);
        let first = encoded(&mut encoder, 0, &opus(1, 3));
        assert_eq!(first, [111, 0x48, 1, 1]);
        let second = encoded(&mut encoder, 960, &opus(2, 2 + 1));
        // 960 in 14 bits and 3 in 10: 0000_1111 0000_0000 0000_0011.
        let expected = [0xef, 0x0f, 0x00, 0x03, 0x6f, 0x48, 1, 1, 0x48, 2, 2];
        assert_eq!(second, expected);
        let third = encoded(&mut encoder, 1_920, &opus(3, 3));
        assert_eq!(blocks(&third, 1_920), [(960, 2), (1_920, 3)]);
    }

    #[test]
    fn redundancy_may_change_and_has_nine_packets_at_most() {
        let mut encoder = encoder(0);
        for (number, redundancy) in (0..).zip([0, 0, 2, 2, 0, 1, 20, 20, 20, 20, 20, 20]) {
            encoder.set_redundancy(redundancy);
            let timestamp = 960 * u32::from(number);
            let payload = encoded(&mut encoder, timestamp, &opus(number, 9));
            let expected = redundancy.min(9).min(number.into());
            assert_eq!(blocks(&payload, timestamp).len(), expected + 1);
        }
    }

    #[test]
    fn silence_is_not_carried_and_what_precedes_it_is() {
        let mut encoder = encoder(2);
        encoded(&mut encoder, 0, &opus(1, 9));
        encoded(&mut encoder, 960, &opus(2, 2));
        let payload = encoded(&mut encoder, 1_920, &opus(3, 9));
        assert_eq!(blocks(&payload, 1_920), [(0, 1), (1_920, 3)]);
    }

    #[test]
    fn what_is_too_old_or_too_long_is_not_carried() {
        for (timestamp, expected) in [(16_383, 2), (16_384, 1)] {
            let mut encoder = encoder(1);
            encoded(&mut encoder, 0, &opus(1, 9));
            let payload = encoded(&mut encoder, timestamp, &opus(2, 9));
            assert_eq!(blocks(&payload, timestamp).len(), expected);
        }
        for (bytes, expected) in [(1_023, 2), (1_024, 1)] {
            let mut encoder = encoder(1);
            encoded(&mut encoder, 0, &opus(1, bytes));
            let payload = encoded(&mut encoder, 960, &opus(2, 9));
            assert_eq!(blocks(&payload, 960).len(), expected);
        }
    }

    #[test]
    fn the_newest_are_carried_that_fit_into_a_datagram() {
        let mut encoder = encoder(3);
        for number in 0..3_u8 {
            encoded(&mut encoder, 960 * u32::from(number), &opus(number, 400));
        }
        // Another 400 would be 1,209 bytes with their headers.
        let payload = encoded(&mut encoder, 2_880, &opus(3, 400));
        assert_eq!(blocks(&payload, 2_880), [(1_920, 2), (2_880, 3)]);
        // A packet that does not fit itself is sent alone.
        let payload = encoded(&mut encoder, 3_840, &opus(4, 1_200));
        assert_eq!(payload.len(), 1_201);
    }

    /// How many packets before it each copy in a payload was, and its first content byte.
    fn copies(payload: &[u8], timestamp: u32) -> Vec<(u16, u8)> {
        let packet = RedPacket::read(payload, timestamp, PayloadTypes::from_iter([111])).unwrap();
        let copies = packet.copies();
        copies
            .map(|(behind, copy)| (behind, copy.data[1]))
            .collect()
    }

    #[test]
    fn copies_are_the_packets_before_one() {
        let mut encoder = encoder(3);
        let mut payload = Vec::new();
        for number in 0..5_u8 {
            let timestamp = (960 * u32::from(number)).wrapping_sub(1_920);
            payload = encoded(&mut encoder, timestamp, &opus(number, 9));
        }
        assert_eq!(copies(&payload, 1_920), [(1, 3), (2, 2), (3, 1)]);
    }

    #[test]
    fn copies_from_before_a_gap_have_no_number() {
        let mut encoder = encoder(3);
        encoded(&mut encoder, 0, &opus(1, 9));
        // Twice as far as the packet is long.
        encoded(&mut encoder, 1_920, &opus(2, 9));
        let payload = encoded(&mut encoder, 2_880, &opus(3, 9));
        assert_eq!(blocks(&payload, 2_880).len(), 3);
        assert_eq!(copies(&payload, 2_880), [(1, 2)]);
    }

    #[test]
    fn copies_of_any_length_follow_each_other() {
        // 60 ms in SILK, before 20 ms.
        let long = [&[11 << 3, 7][..], &[0; 7]].concat();
        let payload = [&[0xef, 0x2d, 0, 9, 111][..], &long, &opus(2, 9)].concat();
        assert_eq!(copies(&payload, 5_000), [(1, 7)]);
        // The same from 20 ms before.
        let payload = [&[0xef, 0x0f, 0, 9, 111][..], &long, &opus(2, 9)].concat();
        assert_eq!(copies(&payload, 5_000), []);
    }

    #[test]
    fn other_formats_are_no_copies_and_no_packets() {
        let opus = PayloadTypes::from_iter([111]);
        let copy = [&[0x80, 0x0f, 0, 2, 111, 0x48, 1][..], &[0x48, 2]].concat();
        assert_eq!(copies(&copy, 960), []);
        for payload in [&[][..], &[0x6f | 0x80, 0, 0], &[0, 0x48, 1]] {
            assert!(RedPacket::read(payload, 0, opus).is_none());
        }
    }

    #[test]
    fn timestamps_wrap_around() {
        let mut encoder = encoder(1);
        encoded(&mut encoder, u32::MAX - 959, &opus(1, 9));
        let payload = encoded(&mut encoder, 0, &opus(2, 9));
        assert_eq!(blocks(&payload, 0), [(u32::MAX - 959, 1), (0, 2)]);
    }

    #[test]
    fn a_payload_that_ends_early_is_an_error() {
        let whole = [0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 2, 3];
        assert_eq!(RedBlocks::read(&whole, 0).unwrap().count(), 2);
        // The packet's own block may be empty.
        assert_eq!(RedBlocks::read(&whole[..7], 0).unwrap().count(), 2);
        for end in 0..7 {
            let error = RedBlocks::read(&whole[..end], 0).unwrap_err();
            assert!(matches!(error, RedError::Truncated { got, .. } if got == end));
        }
    }

    #[test]
    fn more_than_nine_redundant_blocks_are_an_error() {
        for count in [9, 10, 300] {
            let payload = [[0x80, 0, 0, 0].repeat(count), vec![0]].concat();
            let read = RedBlocks::read(&payload, 0).map(Iterator::count);
            let expected = if count == 9 {
                Ok(10)
            } else {
                Err(RedError::TooManyBlocks)
            };
            assert_eq!(read, expected);
        }
    }
}

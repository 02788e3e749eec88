//! What goes into a jitter buffer, and what leaves it.

use std::time::Duration;

use crate::OpusPacket;

/// A packet of Opus, in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The sequence number without its wrapping. A sender that begins again continues behind the
    /// highest one that came before.
    pub sequence: u64,
    /// Samples at 48 kHz, without its wrapping.
    pub timestamp: u64,
    /// When it came.
    pub received: Duration,
    /// One packet of Opus.
    pub payload: Vec<u8>,
    /// The length of its audio in samples per channel at 48 kHz.
    pub samples: u32,
    /// True if it has a copy of the packet before it.
    pub has_fec: bool,
    /// True if it came as another packet's redundancy (RFC 2198).
    pub is_copy: bool,
}

/// What happened to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It waits for its turn, which may be now.
    Held,
    /// It came twice.
    Repeated,
    /// It had been given up.
    Late,
    /// Its sequence number is far from the others. The next one in sequence proves that the sender
    /// began again, and nothing is lost then.
    Strayed,
    /// The buffer is full. What is missing in it is no longer waited for.
    Full,
}

/// A stretch of audio. Its samples are per channel, at 48 kHz.
#[derive(Debug, PartialEq, Eq)]
pub enum Slot<'a> {
    /// A packet to decode.
    Packet(Packet),
    /// Audio that is missing, to be concealed.
    Missing {
        /// A multiple of 2.5 ms; at most 100 ms of one hole in a row, and 60 where turns are detected.
        samples: u32,
        /// The packet of Opus that has a copy of exactly these samples, if there is one: to be
        /// decoded for its redundancy, and to come again as the next slot.
        copy_in: Option<&'a [u8]>,
    },
    /// Time in which nothing was sent, or the rest of a hole that is too long to be concealed.
    Silence {
        /// The length.
        samples: u32,
    },
}

/// A decision, without what it borrows.
pub(super) enum Step {
    Packet(Packet),
    Conceal(u32),
    Silence(u32),
    Copy(u32),
}

/// A packet with the contents of its header; one that is no Opus has no samples.
pub(super) fn read(received: Duration, sequence: u64, timestamp: u64, payload: Vec<u8>) -> Packet {
    let (samples, has_fec) = OpusPacket::read(&payload)
        .map_or((0, false), |packet| (packet.samples(), packet.has_fec()));
    Packet {
        sequence,
        timestamp,
        received,
        payload,
        samples,
        has_fec,
        is_copy: false,
    }
}

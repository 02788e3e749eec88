//! RTCP: compound packets (RFC 3550 section 6), read as borrowed parts and written.
//!
//! Reports about media and requests to its sender (RFC 4585, RFC 5104), and the feedback that steers
//! the bit rate. What a part contains is bounded by its bytes; a part whose bytes do not fit its
//! type is [`RtcpPart::Other`], and does not keep the others from being read.

mod feedback;
mod report;
mod statistics;
mod transport;
mod writer;

use std::fmt;

pub use feedback::{FirRequests, LostNumbers, Remb, SdesChunks, Ssrcs};
pub(crate) use report::from_units;
pub use report::{NtpTime, ReportBlock, ReportBlocks, SenderInfo, round_trip};
pub use statistics::ReceptionStatistics;
pub use transport::{PacketReception, PacketReceptions, TransportFeedback};
pub use writer::RtcpWriter;

/// The first word of each part: version, padding, count or format, type and length.
const HEADER_BYTES: usize = 4;

/// Types of parts (RFC 3550 section 12.1, RFC 4585 section 6.1).
mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const GOODBYE: u8 = 203;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Formats of feedback (RFC 4585 section 6, RFC 5104 section 4.3.1,
/// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
mod format {
    pub const NACK: u8 = 1;
    pub const TRANSPORT_WIDE: u8 = 15;
    pub const PLI: u8 = 1;
    pub const FIR: u8 = 4;
    pub const APPLICATION: u8 = 15;
}

/// A compound packet that cannot be read, or a part that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtcpError {
    /// A part that ends behind the packet, or a packet without parts.
    Truncated {
        /// The number of bytes that the part requires.
        expected: usize,
        /// The number of bytes there.
        got: usize,
    },
    /// A version other than 2.
    Version {
        /// The actual version.
        got: u8,
    },
    /// A padding of no bytes, of no whole words, or of more than the part has.
    Padding {
        /// The padding as the last byte states it, in bytes.
        got: u8,
    },
    /// A canonical name of more than 255 bytes.
    Name {
        /// The actual length in bytes.
        got: usize,
    },
}

impl fmt::Display for RtcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, got } => {
                write!(f, "expected an RTCP part of {expected} bytes, got {got}")
            }
            Self::Version { got } => write!(f, "expected RTCP version 2, got {got}"),
            Self::Padding { got } => {
                write!(f, "expected a padding within the part, got {got} bytes")
            }
            Self::Name { got } => {
                write!(f, "expected a name of at most 255 bytes, got {got}")
            }
        }
    }
}

impl std::error::Error for RtcpError {}

/// One part of a compound packet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RtcpPart<'a> {
    /// What a sender sent, and what it received (RFC 3550 section 6.4.1).
    SenderReport {
        /// The sender.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        reports: ReportBlocks<'a>,
    },
    /// What one who sends nothing received (section 6.4.2).
    ReceiverReport {
        /// The receiver.
        ssrc: u32,
        /// What it received.
        reports: ReportBlocks<'a>,
    },
    /// Names of streams (section 6.5).
    SourceDescription(SdesChunks<'a>),
    /// Streams that end (section 6.6).
    Goodbye(Ssrcs<'a>),
    /// Packets that are missing (RFC 4585 section 6.2.1).
    Nack {
        /// The receiver.
        sender_ssrc: u32,
        /// The stream.
        media_ssrc: u32,
        /// The missing packets.
        lost: LostNumbers<'a>,
    },
    /// A request for a key frame, because video cannot be decoded (RFC 4585 section 6.3.1).
    Pli {
        /// The receiver.
        sender_ssrc: u32,
        /// The stream.
        media_ssrc: u32,
    },
    /// Requests for key frames (RFC 5104 section 4.3.1).
    Fir {
        /// The receiver.
        sender_ssrc: u32,
        /// The streams.
        requests: FirRequests<'a>,
    },
    /// The bit rate that a receiver can take (draft-alvestrand-rmcat-remb-03).
    Remb(Remb<'a>),
    /// When each packet of the transport was received.
    TransportFeedback(TransportFeedback<'a>),
    /// A part of another type, or whose bytes do not fit its type.
    Other {
        /// The type, 0 to 255.
        packet_type: u8,
        /// The count or format in the first byte, 0 to 31.
        format: u8,
    },
}

/// The parts of a compound packet, in their order.
#[derive(Debug, Clone)]
pub struct RtcpParts<'a> {
    rest: &'a [u8],
}

/// A part before its type is looked at.
struct RawPart<'a> {
    packet_type: u8,
    format: u8,
    /// What follows the header, without padding.
    body: &'a [u8],
}

impl<'a> RtcpParts<'a> {
    /// Checks that a compound packet is a row of whole parts.
    ///
    /// The first need not be a report: feedback is sent alone (RFC 5506).
    ///
    /// # Errors
    /// There is no part, or one has another version, ends behind the packet, or has an impossible
    /// padding.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::{RtcpPart, RtcpParts, RtcpWriter};
    ///
    /// let mut bytes = Vec::new();
    /// RtcpWriter::new(&mut bytes).nack(1, 2, &[7, 9]);
    /// for part in RtcpParts::read(&bytes).unwrap() {
    ///     let RtcpPart::Nack { lost, .. } = part else { panic!() };
    ///     assert_eq!(lost.collect::<Vec<_>>(), [7, 9]);
    /// }
    /// ```
    pub fn read(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        loop {
            (_, rest) = split_part(rest)?;
            if rest.is_empty() {
                return Ok(Self { rest: bytes });
            }
        }
    }
}

impl<'a> Iterator for RtcpParts<'a> {
    type Item = RtcpPart<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (part, rest) = split_part(self.rest).ok()?;
        self.rest = rest;
        let (packet_type, format) = (part.packet_type, part.format);
        Some(part.read().unwrap_or(RtcpPart::Other {
            packet_type,
            format,
        }))
    }
}

/// Takes the first part.
fn split_part(bytes: &[u8]) -> Result<(RawPart<'_>, &[u8]), RtcpError> {
    let truncated = |expected| RtcpError::Truncated {
        expected,
        got: bytes.len(),
    };
    let Some(&[first, packet_type, l0, l1]) = bytes.first_chunk() else {
        return Err(truncated(HEADER_BYTES));
    };
    if first >> 6 != 2 {
        return Err(RtcpError::Version { got: first >> 6 });
    }
    let end = HEADER_BYTES + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    let (part, rest) = bytes.split_at_checked(end).ok_or(truncated(end))?;
    let mut body = &part[HEADER_BYTES..];
    if first & 0x20 != 0 {
        let padding = body.last().copied().unwrap_or(0);
        let length = body.len().checked_sub(padding.into());
        let length = length.filter(|_| padding > 0 && padding.is_multiple_of(4));
        body = &body[..length.ok_or(RtcpError::Padding { got: padding })?];
    }
    let format = first & 31;
    Ok((
        RawPart {
            packet_type,
            format,
            body,
        },
        rest,
    ))
}

impl<'a> RawPart<'a> {
    /// Reads the part by its type; `None` where it is not familiar, or too short.
    fn read(self) -> Option<RtcpPart<'a>> {
        let count = usize::from(self.format);
        match (self.packet_type, self.format) {
            (packet_type::SENDER_REPORT, _) => {
                let (ssrc, rest) = split_u32(self.body)?;
                let (info, rest) = SenderInfo::split(rest)?;
                let reports = ReportBlocks::read(rest, count)?;
                Some(RtcpPart::SenderReport {
                    ssrc,
                    info,
                    reports,
                })
            }
            (packet_type::RECEIVER_REPORT, _) => {
                let (ssrc, rest) = split_u32(self.body)?;
                let reports = ReportBlocks::read(rest, count)?;
                Some(RtcpPart::ReceiverReport { ssrc, reports })
            }
            (packet_type::SOURCE_DESCRIPTION, _) => Some(RtcpPart::SourceDescription(
                SdesChunks::new(self.body, count),
            )),
            // A reason may follow.
            (packet_type::GOODBYE, _) => Some(RtcpPart::Goodbye(Ssrcs::read(self.body, count)?)),
            (packet_type::TRANSPORT_FEEDBACK | packet_type::PAYLOAD_FEEDBACK, _) => {
                self.read_feedback()
            }
            _ => None,
        }
    }

    /// Reads feedback, which starts with two streams (RFC 4585 section 6.1).
    fn read_feedback(self) -> Option<RtcpPart<'a>> {
        let (sender_ssrc, rest) = split_u32(self.body)?;
        let (media_ssrc, rest) = split_u32(rest)?;
        match (self.packet_type, self.format) {
            (packet_type::TRANSPORT_FEEDBACK, format::NACK) => Some(RtcpPart::Nack {
                sender_ssrc,
                media_ssrc,
                lost: LostNumbers::read(rest)?,
            }),
            (packet_type::TRANSPORT_FEEDBACK, format::TRANSPORT_WIDE) => {
                let feedback = TransportFeedback::read(sender_ssrc, media_ssrc, rest)?;
                Some(RtcpPart::TransportFeedback(feedback))
            }
            (packet_type::PAYLOAD_FEEDBACK, format::PLI) => Some(RtcpPart::Pli {
                sender_ssrc,
                media_ssrc,
            }),
            (packet_type::PAYLOAD_FEEDBACK, format::FIR) => Some(RtcpPart::Fir {
                sender_ssrc,
                requests: FirRequests::read(rest)?,
            }),
            (packet_type::PAYLOAD_FEEDBACK, format::APPLICATION) => {
                Some(RtcpPart::Remb(Remb::read(sender_ssrc, rest)?))
            }
            _ => None,
        }
    }
}

/// Takes a number of four bytes.
fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<RtcpPart<'_>> {
        RtcpParts::read(bytes).unwrap().collect()
    }

    #[test]
    fn parts_are_read_in_their_order() {
        let mut bytes = Vec::new();
        let mut writer = RtcpWriter::new(&mut bytes);
        writer.receiver_report(1, &[]);
        writer.pli(1, 2);
        bytes.extend_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 9]);
        let parts = read(&bytes);
        assert_eq!(parts.len(), 3);
        assert!(matches!(parts[0], RtcpPart::ReceiverReport { ssrc: 1, .. }));
        assert!(matches!(
            parts[1],
            RtcpPart::Pli {
                sender_ssrc: 1,
                media_ssrc: 2
            }
        ));
        let RtcpPart::Goodbye(streams) = &parts[2] else {
            panic!("{parts:?}");
        };
        assert_eq!(streams.clone().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn unfamiliar_and_short_parts_leave_the_others_readable() {
        let bytes = [
            // Of an application; an extended report; a sender report without its numbers; NACK of
            // one byte less than two streams.
            &[0x80, 204, 0, 1, 1, 2, 3, 4][..],
            &[0x80, 207, 0, 0],
            &[0x80, 200, 0, 1, 0, 0, 0, 1],
            &[0x81, 205, 0, 1, 0, 0, 0, 1],
            &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
        ]
        .concat();
        let parts = read(&bytes);
        let others: Vec<_> = parts[..4]
            .iter()
            .map(|part| match part {
                RtcpPart::Other {
                    packet_type,
                    format,
                } => (*packet_type, *format),
                part => panic!("{part:?}"),
            })
            .collect();
        assert_eq!(others, [(204, 0), (207, 0), (200, 0), (205, 1)]);
        assert!(matches!(parts[4], RtcpPart::Pli { .. }));
    }

    #[test]
    fn a_row_that_does_not_end_with_a_part_is_an_error() {
        let whole = [0x80, 201, 0, 1, 0, 0, 0, 1];
        for end in 0..8 {
            let error = RtcpParts::read(&whole[..end]).unwrap_err();
            let expected = if end < 4 { 4 } else { 8 };
            assert_eq!(error, RtcpError::Truncated { expected, got: end });
        }
        let error = RtcpParts::read(&[&whole[..], &[0x80]].concat()).unwrap_err();
        let expected = HEADER_BYTES;
        assert_eq!(error, RtcpError::Truncated { expected, got: 1 });
        for first in [0, 0x40, 0xc0] {
            let error = RtcpParts::read(&[first, 201, 0, 0]).unwrap_err();
            assert_eq!(error, RtcpError::Version { got: first >> 6 });
        }
    }

    #[test]
    fn padding_is_not_read() {
        // A second stream that ends, if the padding counted.
        let padded = [0xa2, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4];
        assert!(matches!(read(&padded)[0], RtcpPart::Other { .. }));
        let padded = [0xa1, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4];
        assert!(matches!(read(&padded)[0], RtcpPart::Goodbye(_)));
        for got in [0, 3, 12] {
            let padded = [0xa1, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, got];
            let error = RtcpParts::read(&padded).unwrap_err();
            assert_eq!(error, RtcpError::Padding { got });
        }
    }
}

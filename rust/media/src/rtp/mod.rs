//! RTP packets (RFC 3550 section 5.1) and their header extensions (RFC 8285), read and written.
//!
//! Reading borrows nothing: an [`RtpPacket`] has numbers and ranges, so that the bytes can be
//! decrypted in place between two looks at them.

mod extensions;
#[cfg(test)]
mod samples;

use std::fmt;
use std::ops::Range;

use extensions::ONE_BYTE_PROFILE;
pub use extensions::{AudioLevel, ExtensionElements, ExtensionIds, RtpExtensions};

/// The header without contributing sources and extensions, in bytes.
const FIXED_BYTES: usize = 12;

/// The largest payload type: seven bits.
const MAX_PAYLOAD_TYPE: u8 = 127;

/// A packet that cannot be read, or a header that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RtpError {
    /// Fewer bytes than the packet's own numbers require.
    Truncated {
        /// The number of bytes that it requires.
        expected: usize,
        /// The number of bytes there.
        got: usize,
    },
    /// A version other than 2.
    Version {
        /// The actual version.
        got: u8,
    },
    /// A padding of no bytes, or of more than follow the header.
    Padding {
        /// The padding as the last byte states it, in bytes.
        got: u8,
    },
    /// A payload type above 127.
    PayloadType {
        /// The actual number.
        got: u8,
    },
    /// A header extension that a one-byte header cannot describe.
    Extension {
        /// The identifier; 1 to 14 are possible.
        id: u8,
        /// The length of the value in bytes; 1 to 16 are possible.
        bytes: usize,
    },
}

impl fmt::Display for RtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, got } => {
                write!(f, "expected an RTP packet of {expected} bytes, got {got}")
            }
            Self::Version { got } => write!(f, "expected RTP version 2, got {got}"),
            Self::Padding { got } => {
                write!(f, "expected a padding within the payload, got {got} bytes")
            }
            Self::PayloadType { got } => {
                write!(f, "expected a payload type up to 127, got {got}")
            }
            Self::Extension { id, bytes } => write!(
                f,
                "expected an extension with an identifier from 1 to 14 and 1 to 16 bytes, \
                 got identifier {id} and {bytes} bytes"
            ),
        }
    }
}

impl std::error::Error for RtpError {}

/// The numbers of a packet that change from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The format of the payload, 0 to 127.
    pub payload_type: u8,
    /// In audio: the first packet after a silence; in video: the last packet of a frame.
    pub marker: bool,
    /// Increases by one a packet, and wraps around.
    pub sequence_number: u16,
    /// The time of the first sample, on the clock of the payload format; wraps around.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Appends the header to `out`, with those extensions that have an identifier.
    ///
    /// # Errors
    /// The payload type has more than seven bits, an identifier is not in 1 to 14, or `mid` has
    /// not 1 to 16 bytes. `out` is unchanged then.
    pub fn write(
        &self,
        ids: ExtensionIds,
        extensions: &RtpExtensions<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RtpError> {
        if self.payload_type > MAX_PAYLOAD_TYPE {
            let got = self.payload_type;
            return Err(RtpError::PayloadType { got });
        }
        let (elements, count) = extensions.encode(ids)?;
        let has_extension = u8::from(count > 0);
        out.push(0x80 | has_extension << 4);
        out.push(u8::from(self.marker) << 7 | self.payload_type);
        out.extend_from_slice(&self.sequence_number.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if count > 0 {
            let words = count.div_ceil(4);
            out.extend_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
            out.extend_from_slice(&[0, words.to_le_bytes()[0]]);
            // Zero bytes behind the elements are padding.
            out.extend_from_slice(&elements[..4 * words]);
        }
        Ok(())
    }
}

/// A packet's header and the places of its parts: numbers only, no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket {
    header: RtpHeader,
    csrc_bytes: usize,
    /// The profile of the extensions, and where their elements start.
    extension: Option<(u16, usize)>,
    has_padding: bool,
    header_bytes: usize,
    payload_end: usize,
}

impl RtpPacket {
    /// Reads a packet that is not encrypted; its padding is not part of the payload.
    ///
    /// # Errors
    /// The bytes are no RTP packet of version 2, or end within the header or the padding.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::{ExtensionIds, RtpExtensions, RtpHeader, RtpPacket};
    ///
    /// let header = RtpHeader {
    ///     payload_type: 111,
    ///     marker: false,
    ///     sequence_number: 7,
    ///     timestamp: 960,
    ///     ssrc: 0xcafe,
    /// };
    /// let mut bytes = Vec::new();
    /// header.write(ExtensionIds::default(), &RtpExtensions::default(), &mut bytes).unwrap();
    /// bytes.extend_from_slice(b"opus");
    ///
    /// let packet = RtpPacket::read(&bytes).unwrap();
    /// assert_eq!(packet.header(), &header);
    /// assert_eq!(&bytes[packet.payload()], b"opus");
    /// ```
    pub fn read(bytes: &[u8]) -> Result<Self, RtpError> {
        Self::read_header(bytes)?.with_payload_end(bytes, bytes.len())
    }

    /// Reads the header alone; all bytes behind it are the payload.
    ///
    /// An encrypted packet has its padding, and the length of that, among the encrypted bytes.
    ///
    /// # Errors
    /// The bytes are no RTP packet of version 2, or end within the header.
    pub fn read_header(bytes: &[u8]) -> Result<Self, RtpError> {
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
            return Err(truncated(FIXED_BYTES, bytes));
        };
        let [first, second, n0, n1, t0, t1, t2, t3, ssrc @ ..] = *fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Version { got: first >> 6 });
        }
        let csrc_bytes = 4 * usize::from(first & 15);
        let (mut header_bytes, mut extension) = (FIXED_BYTES + csrc_bytes, None);
        if first & 0x10 != 0 {
            let Some([p0, p1, w0, w1]) = bytes
                .get(header_bytes..)
                .and_then(<[u8]>::first_chunk::<4>)
                .copied()
            else {
                return Err(truncated(header_bytes + 4, bytes));
            };
            header_bytes += 4;
            extension = Some((u16::from_be_bytes([p0, p1]), header_bytes));
            header_bytes += 4 * usize::from(u16::from_be_bytes([w0, w1]));
        }
        if bytes.len() < header_bytes {
            return Err(truncated(header_bytes, bytes));
        }
        Ok(Self {
            header: RtpHeader {
                payload_type: second & MAX_PAYLOAD_TYPE,
                marker: second & 0x80 != 0,
                sequence_number: u16::from_be_bytes([n0, n1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                ssrc: u32::from_be_bytes(ssrc),
            },
            csrc_bytes,
            extension,
            has_padding: first & 0x20 != 0,
            header_bytes,
            payload_end: bytes.len(),
        })
    }

    /// The packet once its first `end` bytes are readable: its payload ends before the padding.
    pub(crate) fn with_payload_end(self, bytes: &[u8], end: usize) -> Result<Self, RtpError> {
        let Some(readable) = bytes.get(..end) else {
            return Err(truncated(end, bytes));
        };
        let mut payload_end = end;
        if self.has_padding {
            let padding = readable.last().copied().unwrap_or(0);
            payload_end = end
                .checked_sub(padding.into())
                .filter(|&rest| padding > 0 && rest >= self.header_bytes)
                .ok_or(RtpError::Padding { got: padding })?;
        }
        Ok(Self {
            payload_end,
            ..self
        })
    }

    /// The numbers of the header.
    #[must_use]
    pub fn header(&self) -> &RtpHeader {
        &self.header
    }

    /// The length of the header with sources and extensions, in bytes.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// The place of the payload.
    #[must_use]
    pub fn payload(&self) -> Range<usize> {
        self.header_bytes..self.payload_end
    }

    /// The contributing sources: whom a mixer mixed into this packet, up to 15.
    ///
    /// `bytes` are those of this packet, encrypted or not.
    pub fn csrcs<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let list = bytes.get(FIXED_BYTES..FIXED_BYTES + self.csrc_bytes);
        let (csrcs, _) = list.unwrap_or_default().as_chunks::<4>();
        csrcs.iter().copied().map(u32::from_be_bytes)
    }
}

fn truncated(expected: usize, bytes: &[u8]) -> RtpError {
    let got = bytes.len();
    RtpError::Truncated { expected, got }
}

#[cfg(test)]
mod tests {
    use super::samples::{HEADER, IDS, packet};
    use super::*;

    #[test]
    fn the_fixed_header_is_read() {
        let bytes = packet(0x80, b"abc");
        let read = RtpPacket::read(&bytes).unwrap();
        assert_eq!(read.header(), &HEADER);
        assert_eq!((read.header_bytes(), read.payload()), (12, 12..15));
        assert_eq!(read.csrcs(&bytes).count(), 0);
        assert_eq!(read.elements(&bytes).count(), 0);
    }

    #[test]
    fn a_written_header_is_the_one_of_the_standard() {
        let mut bytes = Vec::new();
        let none = RtpExtensions::default();
        HEADER.write(IDS, &none, &mut bytes).unwrap();
        assert_eq!(bytes, packet(0x80, &[]));
    }

    #[test]
    fn contributing_sources_precede_the_extension() {
        let rest = [
            0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x10, 0x7f, 0, 0, b'x',
        ];
        let bytes = packet(0x92, &rest);
        let read = RtpPacket::read(&bytes).unwrap();
        assert_eq!(read.csrcs(&bytes).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(&bytes[read.payload()], b"x");
        let level = read.extensions(&bytes, IDS).audio_level.unwrap();
        assert_eq!((level.has_voice, level.below_full_scale_db), (false, 127));
    }

    #[test]
    fn padding_is_not_payload() {
        let bytes = packet(0xa0, &[b'x', 0, 0, 3]);
        assert_eq!(RtpPacket::read(&bytes).unwrap().payload(), 12..13);
        // A packet of padding only, as probes of the bandwidth are.
        let bytes = packet(0xa0, &[0, 2]);
        assert_eq!(RtpPacket::read(&bytes).unwrap().payload(), 12..12);
        // Encrypted, the last byte is any.
        let bytes = packet(0xa0, &[9, 9, 9, 200]);
        assert_eq!(RtpPacket::read_header(&bytes).unwrap().payload(), 12..16);
        for (rest, got) in [(&[1, 0][..], 0), (&[1, 3], 3), (&[], 0xef)] {
            let bytes = packet(0xa0, rest);
            assert_eq!(RtpPacket::read(&bytes), Err(RtpError::Padding { got }));
        }
    }

    #[test]
    fn a_packet_that_ends_early_is_an_error() {
        let whole = packet(
            0x91,
            &[0, 0, 0, 1, 0xbe, 0xde, 0, 2, 0x10, 1, 0, 0, 0, 0, 0, 0],
        );
        assert_eq!(RtpPacket::read(&whole).unwrap().payload(), 28..28);
        for end in 0..whole.len() {
            let error = RtpPacket::read(&whole[..end]).unwrap_err();
            assert!(
                matches!(error, RtpError::Truncated { got, expected } if got == end && expected > end)
            );
        }
    }

    #[test]
    fn another_version_is_an_error() {
        for first in [0, 0x40, 0xc0] {
            let error = RtpPacket::read(&packet(first, &[])).unwrap_err();
            assert_eq!(error, RtpError::Version { got: first >> 6 });
        }
    }

    #[test]
    fn messages_name_the_expected_and_the_actual_value() {
        let error = RtpError::Truncated {
            expected: 12,
            got: 3,
        };
        let message = error.to_string();
        assert_eq!(message, "expected an RTP packet of 12 bytes, got 3");
    }
}

//! Header extensions (RFC 8285): elements of either form, and the three that WebRTC audio uses.

use super::{RtpError, RtpPacket};

/// The profile of one-byte extension headers (RFC 8285 section 4.2).
pub(super) const ONE_BYTE_PROFILE: u16 = 0xbede;

/// The profile of two-byte extension headers, without its four application bits (section 4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;

/// The largest identifier of a one-byte header; 15 ends the list (section 4.2).
const MAX_ONE_BYTE_ID: u8 = 14;

/// The longest value of a one-byte header (section 4.2).
const MAX_ONE_BYTE_VALUE: usize = 16;

/// The largest number of bytes of three values with their headers, a multiple of four.
const MAX_WRITTEN_EXTENSIONS: usize = 24;

/// The identifiers of header extensions, as negotiated; `None` for those that were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`.
    pub audio_level: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`.
    pub mid: Option<u8>,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    pub transport_sequence_number: Option<u8>,
}

/// The loudness of a packet's audio, as its sender measured it (RFC 6464).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// True if the sender detected voice; senders that do not detect it have true always.
    pub has_voice: bool,
    /// The level below full scale in dB: 0 is the loudest, 127 is silence.
    pub below_full_scale_db: u8,
}

/// The values of header extensions in one packet; `None` for those that it does not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpExtensions<'a> {
    /// The level of the audio.
    pub audio_level: Option<AudioLevel>,
    /// The name of the media section (RFC 8843 section 15).
    pub mid: Option<&'a str>,
    /// A number that counts the packets of all streams of the transport.
    pub transport_sequence_number: Option<u16>,
}

impl RtpExtensions<'_> {
    /// Returns the elements as one-byte headers with their values, and their length.
    pub(super) fn encode(
        &self,
        ids: ExtensionIds,
    ) -> Result<([u8; MAX_WRITTEN_EXTENSIONS], usize), RtpError> {
        let level = self
            .audio_level
            .map(|level| [u8::from(level.has_voice) << 7 | level.below_full_scale_db.min(127)]);
        let number = self.transport_sequence_number.map(u16::to_be_bytes);
        let values: [(Option<u8>, Option<&[u8]>); 3] = [
            (ids.audio_level, level.as_ref().map(|value| &value[..])),
            (ids.mid, self.mid.map(str::as_bytes)),
            (
                ids.transport_sequence_number,
                number.as_ref().map(|value| &value[..]),
            ),
        ];
        let (mut elements, mut count) = ([0; MAX_WRITTEN_EXTENSIONS], 0);
        for (id, value) in values {
            let (Some(id), Some(value)) = (id, value) else {
                continue;
            };
            let bytes = value.len();
            if !(1..=MAX_ONE_BYTE_ID).contains(&id) || !(1..=MAX_ONE_BYTE_VALUE).contains(&bytes) {
                return Err(RtpError::Extension { id, bytes });
            }
            elements[count] = id << 4 | (bytes - 1).to_le_bytes()[0];
            elements[count + 1..][..bytes].copy_from_slice(value);
            count += 1 + bytes;
        }
        Ok((elements, count))
    }
}

impl RtpPacket {
    /// The elements of the header extension, of either form; none for another profile.
    ///
    /// `bytes` are those of this packet, encrypted or not.
    #[must_use]
    pub fn elements<'a>(&self, bytes: &'a [u8]) -> ExtensionElements<'a> {
        let (profile, start) = self.extension.unwrap_or_default();
        let is_one_byte = profile == ONE_BYTE_PROFILE;
        let is_two_byte = profile & 0xfff0 == TWO_BYTE_PROFILE;
        let rest = bytes
            .get(start..self.header_bytes)
            .filter(|_| is_one_byte || is_two_byte);
        ExtensionElements {
            rest: rest.unwrap_or_default(),
            is_one_byte,
        }
    }

    /// Returns the values of those extensions that have an identifier.
    ///
    /// A value of an unfamiliar length is `None`. `bytes` are those of this packet, encrypted or
    /// not.
    #[must_use]
    pub fn extensions<'a>(&self, bytes: &'a [u8], ids: ExtensionIds) -> RtpExtensions<'a> {
        let mut extensions = RtpExtensions::default();
        for (id, value) in self.elements(bytes) {
            let id = Some(id);
            if id == ids.audio_level {
                // Further bytes are allowed in two-byte headers (RFC 6464 section 3).
                extensions.audio_level = value.first().map(|&byte| AudioLevel {
                    has_voice: byte & 0x80 != 0,
                    below_full_scale_db: byte & 0x7f,
                });
            } else if id == ids.mid {
                extensions.mid = str::from_utf8(value).ok();
            } else if id == ids.transport_sequence_number {
                let number = value.first_chunk().copied();
                extensions.transport_sequence_number = number.map(u16::from_be_bytes);
            }
        }
        extensions
    }
}

/// The elements of a header extension: identifiers with their values.
#[derive(Debug, Clone)]
pub struct ExtensionElements<'a> {
    rest: &'a [u8],
    is_one_byte: bool,
}

impl ExtensionElements<'_> {
    /// Takes the header of the next element: its identifier and the length of its value.
    fn next_header(&mut self) -> Option<(u8, usize)> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            self.rest = rest;
            if first == 0 {
                // Padding, a byte of its own in both forms.
                continue;
            }
            if self.is_one_byte {
                let (id, bytes) = (first >> 4, usize::from(first & 15) + 1);
                // Both end the list (RFC 8285 section 4.2): 15, and 0 with a length.
                return (1..=MAX_ONE_BYTE_ID).contains(&id).then_some((id, bytes));
            }
            let (&bytes, rest) = self.rest.split_first()?;
            self.rest = rest;
            return Some((first, bytes.into()));
        }
    }
}

impl<'a> Iterator for ExtensionElements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.next_header().and_then(|(id, bytes)| {
            let (value, rest) = self.rest.split_at_checked(bytes)?;
            self.rest = rest;
            Some((id, value))
        });
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::super::RtpHeader;
    use super::super::samples::{HEADER, IDS, packet};
    use super::*;

    #[test]
    fn written_extensions_are_one_byte_headers() {
        let extensions = RtpExtensions {
            audio_level: Some(AudioLevel {
                has_voice: true,
                below_full_scale_db: 0x28,
            }),
            mid: Some("0"),
            transport_sequence_number: Some(0x0102),
        };
        let mut bytes = Vec::new();
        HEADER.write(IDS, &extensions, &mut bytes).unwrap();
        let elements = [0x10, 0xa8, 0x40, b'0', 0x31, 1, 2, 0];
        let expected = packet(0x90, &[&[0xbe, 0xde, 0, 2][..], &elements].concat());
        assert_eq!(bytes, expected);
        let read = RtpPacket::read(&bytes).unwrap();
        assert_eq!(read.extensions(&bytes, IDS), extensions);
        // Those that were not negotiated are not written.
        bytes.clear();
        let none = ExtensionIds::default();
        HEADER.write(none, &extensions, &mut bytes).unwrap();
        assert_eq!(bytes, packet(0x80, &[]));
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_leaves_the_buffer() {
        let mut bytes = vec![1];
        let mid = |mid| RtpExtensions {
            mid: Some(mid),
            ..RtpExtensions::default()
        };
        let id = |id| ExtensionIds {
            mid: Some(id),
            ..ExtensionIds::default()
        };
        for (id_of_mid, text) in [(0, "0"), (15, "0"), (4, ""), (4, "seventeen letters")] {
            let error = HEADER.write(id(id_of_mid), &mid(text), &mut bytes);
            let expected = RtpError::Extension {
                id: id_of_mid,
                bytes: text.len(),
            };
            assert_eq!(error, Err(expected));
        }
        let wide = RtpHeader {
            payload_type: 128,
            ..HEADER
        };
        let error = wide.write(IDS, &RtpExtensions::default(), &mut bytes);
        assert_eq!(error, Err(RtpError::PayloadType { got: 128 }));
        assert_eq!(bytes, [1]);
    }

    #[test]
    fn the_longest_extensions_fit() {
        let extensions = RtpExtensions {
            audio_level: Some(AudioLevel {
                has_voice: false,
                below_full_scale_db: 127,
            }),
            mid: Some("sixteen letters!"),
            transport_sequence_number: Some(u16::MAX),
        };
        let mut bytes = Vec::new();
        HEADER.write(IDS, &extensions, &mut bytes).unwrap();
        let read = RtpPacket::read(&bytes).unwrap();
        assert_eq!(read.extensions(&bytes, IDS), extensions);
        assert_eq!(read.payload().len(), 0);
    }

    #[test]
    fn two_byte_headers_are_read() {
        let elements = [1, 1, 0x85, 0, 4, 0, 3, 2, 1, 2, 200, 1];
        let bytes = packet(0x90, &[&[0x10, 0x05, 0, 3][..], &elements].concat());
        let read = RtpPacket::read(&bytes).unwrap();
        let extensions = read.extensions(&bytes, IDS);
        assert_eq!(extensions.audio_level.unwrap().below_full_scale_db, 5);
        assert_eq!(extensions.mid, Some(""));
        assert_eq!(extensions.transport_sequence_number, Some(0x0102));
        // The last element ends behind the extension.
        assert_eq!(read.elements(&bytes).count(), 3);
    }

    #[test]
    fn reserved_identifiers_end_the_list() {
        for end in [0xf0, 0x01] {
            let elements = [0x10, 1, end, 9, 0x10, 2, 0, 0];
            let bytes = packet(0x90, &[&[0xbe, 0xde, 0, 2][..], &elements].concat());
            let read = RtpPacket::read(&bytes).unwrap();
            let found: Vec<_> = read.elements(&bytes).collect();
            assert_eq!(found, [(1, &[1][..])]);
        }
    }

    #[test]
    fn another_profile_has_no_elements() {
        let bytes = packet(0x90, &[0xab, 0xac, 0, 1, 0x10, 1, 0, 0]);
        let read = RtpPacket::read(&bytes).unwrap();
        assert_eq!(read.elements(&bytes).count(), 0);
        assert_eq!(read.header_bytes(), 20);
    }
}

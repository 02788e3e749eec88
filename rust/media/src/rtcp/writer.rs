//! Compound packets, written part by part.

use std::time::Duration;

use super::feedback::CNAME;
use super::report::{ReportBlock, SenderInfo};
use super::{HEADER_BYTES, RtcpError, format, packet_type, transport};

/// The largest number of blocks in a report: five bits (RFC 3550 section 6.4.1).
const MAX_BLOCKS: usize = 31;

/// The largest number of entries of a NACK: about a thousand bytes, less than a datagram.
const MAX_NACK_ENTRIES: usize = 250;

/// The number of packets that an entry of a NACK names besides its first (RFC 4585 section 6.2.1).
const NACK_MASK_BITS: u16 = 16;

/// Appends parts to a compound packet.
///
/// The first must be a report, and the name of its sender belongs to it (RFC 3550 section 6.1),
/// unless packets of reduced size were negotiated (RFC 5506).
#[derive(Debug)]
pub struct RtcpWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> RtcpWriter<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends what we sent and received; blocks beyond 31 follow in receiver reports.
    pub fn sender_report(&mut self, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
        let (blocks, further) = blocks.split_at(blocks.len().min(MAX_BLOCKS));
        let start = self.begin(packet_type::SENDER_REPORT, blocks.len(), &[ssrc]);
        info.write(self.out);
        self.end_report(start, blocks);
        if !further.is_empty() {
            self.receiver_report(ssrc, further);
        }
    }

    /// Appends what we received; blocks beyond 31 follow in further reports.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) {
        let mut rest = blocks;
        loop {
            let (blocks, further) = rest.split_at(rest.len().min(MAX_BLOCKS));
            let start = self.begin(packet_type::RECEIVER_REPORT, blocks.len(), &[ssrc]);
            self.end_report(start, blocks);
            rest = further;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Appends the canonical name of a stream's participant (RFC 7022).
    ///
    /// # Errors
    /// The name has more than 255 bytes. Nothing is appended then.
    pub fn name(&mut self, ssrc: u32, name: &str) -> Result<(), RtcpError> {
        let got = name.len();
        let bytes = u8::try_from(got).map_err(|_| RtcpError::Name { got })?;
        let start = self.begin(packet_type::SOURCE_DESCRIPTION, 1, &[ssrc]);
        self.out.extend_from_slice(&[CNAME, bytes]);
        self.out.extend_from_slice(name.as_bytes());
        // The end of the items, which may be up to four zeros.
        self.out.push(0);
        self.end(start);
        Ok(())
    }

    /// Appends a request for missing packets, best in the order of their numbers; returns how many
    /// of them are in it, which are fewer than all where they fill more than 250 entries.
    pub fn nack(&mut self, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) -> usize {
        let (mut rest, mut entries) = (lost, 0);
        if lost.is_empty() {
            return 0;
        }
        let streams = [sender_ssrc, media_ssrc];
        let start = self.begin(
            packet_type::TRANSPORT_FEEDBACK,
            format::NACK.into(),
            &streams,
        );
        while let Some((&first, behind)) = rest.split_first()
            && entries < MAX_NACK_ENTRIES
        {
            let (mut mask, mut named) = (0_u16, 0);
            for number in behind {
                // The number itself once more is far behind it.
                let at = number.wrapping_sub(first).wrapping_sub(1);
                if at >= NACK_MASK_BITS {
                    break;
                }
                mask |= 1 << at;
                named += 1;
            }
            self.out.extend_from_slice(&first.to_be_bytes());
            self.out.extend_from_slice(&mask.to_be_bytes());
            rest = &behind[named..];
            entries += 1;
        }
        self.end(start);
        lost.len() - rest.len()
    }

    /// Appends a request for a key frame (RFC 4585 section 6.3.1).
    pub fn pli(&mut self, sender_ssrc: u32, media_ssrc: u32) {
        let streams = [sender_ssrc, media_ssrc];
        let start = self.begin(packet_type::PAYLOAD_FEEDBACK, format::PLI.into(), &streams);
        self.end(start);
    }

    /// Appends when the packets of the transport from the number `first` on were received, `None`
    /// where one was not; returns how many of them are in it.
    ///
    /// Those are up to 400, and fewer than that before a gap of more than eight seconds; the others
    /// belong into the next feedback, whose `feedback_count` is one higher. Where none of them was
    /// received, nothing is appended.
    pub fn transport_feedback(
        &mut self,
        (sender_ssrc, media_ssrc): (u32, u32),
        feedback_count: u8,
        first: u16,
        received: &[Option<Duration>],
    ) -> usize {
        let streams = [sender_ssrc, media_ssrc];
        let format = format::TRANSPORT_WIDE.into();
        let start = self.begin(packet_type::TRANSPORT_FEEDBACK, format, &streams);
        let empty = self.out.len();
        let written = transport::write(first, feedback_count, received, self.out);
        if self.out.len() == empty {
            self.out.truncate(start);
        } else {
            self.end(start);
        }
        written
    }

    /// Appends a header without its length, and streams; returns the part's start.
    fn begin(&mut self, packet_type: u8, count: usize, streams: &[u32]) -> usize {
        let start = self.out.len();
        let count = count.to_le_bytes()[0];
        self.out
            .extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
        for ssrc in streams {
            self.out.extend_from_slice(&ssrc.to_be_bytes());
        }
        start
    }

    fn end_report(&mut self, start: usize, blocks: &[ReportBlock]) {
        for block in blocks {
            block.write(self.out);
        }
        self.end(start);
    }

    /// Fills the part up to a whole word, and writes its length into its header.
    fn end(&mut self, start: usize) {
        while !(self.out.len() - start).is_multiple_of(4) {
            self.out.push(0);
        }
        let words = (self.out.len() - start - HEADER_BYTES) / 4;
        let [.., high, low] = words.to_be_bytes();
        self.out[start + 2..start + HEADER_BYTES].copy_from_slice(&[high, low]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NtpTime, RtcpPart, RtcpParts};
    use super::*;

    fn written(write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut RtcpWriter::new(&mut bytes));
        bytes
    }

    #[test]
    fn a_report_with_a_name_is_the_one_of_the_standard() {
        let info = SenderInfo {
            ntp_time: NtpTime(0x0102_0304_0506_0708),
            rtp_timestamp: 9,
            packets: 10,
            payload_bytes: 11,
        };
        let bytes = written(|writer| {
            writer.sender_report(0x0a0b_0c0d, &info, &[]);
            writer.name(0x0a0b_0c0d, "abc").unwrap();
        });
        let expected = [
            &[0x80, 200, 0, 6, 10, 11, 12, 13, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 11],
            &[
                0x81, 202, 0, 3, 10, 11, 12, 13, 1, 3, b'a', b'b', b'c', 0, 0, 0,
            ],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn blocks_beyond_31_follow_in_receiver_reports() {
        let blocks: Vec<_> = (0..70)
            .map(|ssrc| ReportBlock {
                ssrc,
                ..ReportBlock::default()
            })
            .collect();
        let bytes = written(|writer| writer.sender_report(1, &SenderInfo::default(), &blocks));
        let mut read = Vec::new();
        for part in RtcpParts::read(&bytes).unwrap() {
            let (RtcpPart::SenderReport { ssrc, reports, .. }
            | RtcpPart::ReceiverReport { ssrc, reports }) = part
            else {
                panic!("{part:?}");
            };
            assert_eq!(ssrc, 1);
            read.push(reports.collect::<Vec<_>>());
        }
        assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [31, 31, 8]);
        assert_eq!(read.concat(), blocks);
    }

    #[test]
    fn names_have_up_to_255_bytes() {
        for length in 0..=255 {
            let name = "n".repeat(length);
            let bytes = written(|writer| writer.name(5, &name).unwrap());
            let mut parts = RtcpParts::read(&bytes).unwrap();
            let Some(RtcpPart::SourceDescription(chunks)) = parts.next() else {
                panic!("{bytes:?}");
            };
            assert_eq!(chunks.collect::<Vec<_>>(), [(5, Some(&name[..]))]);
        }
        let mut bytes = Vec::new();
        let error = RtcpWriter::new(&mut bytes).name(5, &"n".repeat(256));
        assert_eq!(error, Err(RtcpError::Name { got: 256 }));
        assert_eq!(bytes, []);
    }

    #[test]
    fn missing_packets_share_entries() {
        let bytes = written(|writer| {
            assert_eq!(writer.nack(1, 2, &[0xffff, 0, 15, 16, 40]), 5);
        });
        let expected = [
            &[0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2][..],
            &[0xff, 0xff, 0x80, 0x01, 0, 16, 0, 0, 0, 40, 0, 0],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_request_has_at_most_250_entries() {
        let lost: Vec<u16> = (0..300).map(|number| number * 100).collect();
        let bytes = written(|writer| assert_eq!(writer.nack(1, 2, &lost), 250));
        assert_eq!(bytes.len(), 12 + 1_000);
        let bytes = written(|writer| assert_eq!(writer.nack(1, 2, &[]), 0));
        assert_eq!(bytes, []);
    }

    #[test]
    fn feedback_without_a_received_packet_is_none() {
        let bytes = written(|writer| {
            let written = writer.transport_feedback((1, 2), 0, 0, &[None, None]);
            assert_eq!(written, 2);
            writer.pli(1, 2);
        });
        assert_eq!(bytes, [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    }

    #[test]
    fn feedback_is_filled_up_to_a_word() {
        let bytes = written(|writer| {
            let received = [Some(Duration::from_millis(1)), None];
            writer.transport_feedback((1, 2), 7, 5, &received);
        });
        let expected = [
            &[0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2][..],
            &[0, 5, 0, 2, 0, 0, 0, 7, 0xa0, 0, 4, 0],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }
}

//! Reports of what was sent and received, and the time in them (RFC 3550 sections 4 and 6.4).

use std::time::Duration;

use super::split_u32;

/// Units of the times in report blocks: 1/65,536 of a second.
const UNITS_PER_SECOND: u128 = 1 << 16;

/// Nanoseconds of a second.
const NANOSECONDS: u128 = 1_000_000_000;

/// A time of day: seconds since 1900, with 32 bits before and behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The time of day at `now` on a clock whose zero was `start` after the beginning of 1900.
    ///
    /// Seconds wrap around in 2036, as all of NTP does.
    #[must_use]
    pub fn at(now: Duration, start: Duration) -> Self {
        let since_1900 = now.saturating_add(start);
        let fraction = (u64::from(since_1900.subsec_nanos()) << 32) / 1_000_000_000;
        Self(since_1900.as_secs() << 32 | fraction)
    }

    /// The time since the beginning of 1900, or of 2036.
    #[must_use]
    pub fn since_1900(self) -> Duration {
        let nanoseconds = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        Duration::from_secs(self.0 >> 32) + Duration::from_nanos(nanoseconds)
    }

    /// The middle 32 bits, as reports refer to a time: 1/65,536 s, which wraps around after 18
    /// hours.
    #[must_use]
    pub fn middle(self) -> u32 {
        let [_, _, a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// What a sender sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// When it reported this.
    pub ntp_time: NtpTime,
    /// The same time on the clock of the stream.
    pub rtp_timestamp: u32,
    /// The number of packets; wraps around.
    pub packets: u32,
    /// The number of bytes in their payloads; wraps around.
    pub payload_bytes: u32,
}

impl SenderInfo {
    /// Takes the 20 bytes behind the SSRC.
    pub(super) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (ntp, rest) = bytes.split_first_chunk()?;
        let (rtp_timestamp, rest) = split_u32(rest)?;
        let (packets, rest) = split_u32(rest)?;
        let (payload_bytes, rest) = split_u32(rest)?;
        let ntp_time = NtpTime(u64::from_be_bytes(*ntp));
        let info = Self {
            ntp_time,
            rtp_timestamp,
            packets,
            payload_bytes,
        };
        Some((info, rest))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ntp_time.0.to_be_bytes());
        for number in [self.rtp_timestamp, self.packets, self.payload_bytes] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// What was received of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Packets lost since the last report, in 1/256 of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the stream started, 24 bits; less than 0 where packets came twice.
    pub packets_lost: i32,
    /// The highest sequence number, below the number of times that it wrapped around.
    pub highest_sequence_number: u32,
    /// The mean deviation of the packets' spacing, on the clock of the stream.
    pub jitter: u32,
    /// The middle of the time in the last sender report; 0 where there was none.
    pub last_sender_report: u32,
    /// The time since that one was received, in 1/65,536 s.
    pub delay_since_report: u32,
}

/// The least and the largest number of 24 bits with a sign.
const LOST_RANGE: std::ops::RangeInclusive<i32> = -0x80_0000..=0x7f_ffff;

impl ReportBlock {
    pub(super) const BYTES: usize = 24;

    fn read(bytes: &[u8; Self::BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| u32::from_be_bytes(words[at]);
        // The shifts carry the sign of 24 bits to 32.
        let packets_lost = (word(1) << 8).cast_signed() >> 8;
        Self {
            ssrc: word(0),
            fraction_lost: words[1][0],
            packets_lost,
            highest_sequence_number: word(2),
            jitter: word(3),
            last_sender_report: word(4),
            delay_since_report: word(5),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let lost = self.packets_lost;
        let [_, lost @ ..] = lost
            .clamp(*LOST_RANGE.start(), *LOST_RANGE.end())
            .to_be_bytes();
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.push(self.fraction_lost);
        out.extend_from_slice(&lost);
        for number in [
            self.highest_sequence_number,
            self.jitter,
            self.last_sender_report,
            self.delay_since_report,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// The blocks of a report, up to 31.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [[u8; ReportBlock::BYTES]]);

impl<'a> ReportBlocks<'a> {
    /// Reads that many; `None` where there are fewer.
    pub(super) fn read(bytes: &'a [u8], count: usize) -> Option<Self> {
        let (all, _) = bytes.as_chunks();
        Some(Self(all.get(..count)?))
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(ReportBlock::read(first))
    }
}

/// Returns the time that a packet takes to the remote peer and back (RFC 3550 section 6.4.1), when
/// its report on our stream is received at `now`; `None` while it has received no sender report.
///
/// Two clocks take part, so that a short time can appear negative: it is zero then.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::{NtpTime, ReportBlock, round_trip};
///
/// // The example of the standard: the report leaves the remote peer 5.25 s after ours came.
/// let block = ReportBlock {
///     last_sender_report: 0xb705_2000,
///     delay_since_report: 0x0005_4000,
///     ..ReportBlock::default()
/// };
/// let trip = round_trip(NtpTime(0xb710_8000 << 16), &block);
/// assert_eq!(trip, Some(Duration::from_millis(6_125)));
/// ```
#[must_use]
pub fn round_trip(now: NtpTime, block: &ReportBlock) -> Option<Duration> {
    if block.last_sender_report == 0 {
        return None;
    }
    let since = now.middle().wrapping_sub(block.last_sender_report);
    let trip = since.wrapping_sub(block.delay_since_report).cast_signed();
    let trip = u64::try_from(trip).unwrap_or(0);
    Some(Duration::from_nanos((trip * 1_000_000_000) >> 16))
}

/// A time as report blocks have it, in 1/65,536 s; the largest number from 18 hours on.
pub(super) fn to_units(time: Duration) -> u32 {
    let units = time.as_nanos() * UNITS_PER_SECOND / NANOSECONDS;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The time of a number of [`to_units`].
pub(crate) fn from_units(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_a_time_since_1900() {
        let time = Duration::new(3_900_000_000, 500_000_000);
        assert_eq!(NtpTime::at(time, Duration::ZERO).since_1900(), time);
    }

    #[test]
    fn a_block_is_24_bytes_with_a_signed_loss() {
        for packets_lost in [0, 1, -1, 0x7f_ffff, -0x80_0000] {
            let block = ReportBlock {
                ssrc: 1,
                fraction_lost: 255,
                packets_lost,
                highest_sequence_number: 0x0002_ffff,
                jitter: 3,
                last_sender_report: 4,
                delay_since_report: 5,
            };
            let mut bytes = Vec::new();
            block.write(&mut bytes);
            let mut blocks = ReportBlocks::read(&bytes, 1).unwrap();
            assert_eq!((blocks.next(), blocks.next()), (Some(block), None));
        }
        assert_eq!(ReportBlocks::read(&[0; 47], 2), None);
    }

    #[test]
    fn a_loss_beyond_24_bits_is_the_largest() {
        for (packets_lost, expected) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000)] {
            let mut bytes = Vec::new();
            let block = ReportBlock {
                packets_lost,
                ..ReportBlock::default()
            };
            block.write(&mut bytes);
            let read = ReportBlocks::read(&bytes, 1).unwrap().next().unwrap();
            assert_eq!(read.packets_lost, expected);
        }
    }

    #[test]
    fn the_time_of_day_has_a_fraction_of_32_bits() {
        let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
        let time = NtpTime::at(hour + Duration::from_millis(250), day);
        assert_eq!(time, NtpTime(90_000 << 32 | 1 << 30));
        assert_eq!(time.middle(), 0x5f90_4000);
    }

    #[test]
    fn the_round_trip_wraps_around_and_is_not_negative() {
        let block = |last_sender_report, delay_since_report| ReportBlock {
            last_sender_report,
            delay_since_report,
            ..ReportBlock::default()
        };
        let now = NtpTime(0x8000 << 16);
        let trip = |block| round_trip(now, &block);
        assert_eq!(trip(block(0, 0)), None);
        assert_eq!(trip(block(u32::MAX, 1)), Some(Duration::from_millis(500)));
        assert_eq!(trip(block(0x7000, 0x1001)), Some(Duration::ZERO));
    }

    #[test]
    fn times_of_blocks_are_65536ths_of_a_second() {
        assert_eq!(to_units(Duration::from_millis(5_250)), 0x0005_4000);
        assert_eq!(from_units(0x0005_4000), Duration::from_millis(5_250));
        assert_eq!(to_units(Duration::from_secs(86_400)), u32::MAX);
    }
}

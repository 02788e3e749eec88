//! The reports of a remote peer, as far as audio needs them.

use std::time::Duration;

use crate::rtcp::from_units;
use crate::{NtpTime, ReportBlock, RtcpError, RtcpPart, RtcpParts, round_trip};

/// Of the timestamps of Opus (RFC 7587 section 4.1), in which a report has the jitter.
const CLOCK_HZ: u32 = 48_000;

/// A longer round trip results from a clock that was set, or from a report that is wrong.
const MOST_ROUND_TRIP: Duration = Duration::from_secs(10);

/// What the remote peer reported last of the stream that we send.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RemoteReport {
    /// The packets that it has lost since its report before, 0 to 1 of those expected.
    pub fraction_lost: f32,
    /// The time that a packet takes there and back; `None` where it has no report of ours, or the
    /// same one as before.
    pub round_trip: Option<Duration>,
    /// For how long our report was under way and with the remote peer, if there is a round trip.
    pub age: Duration,
    /// The highest sequence number that it has received.
    pub highest: u16,
    /// The mean deviation of what it receives.
    pub jitter: Duration,
    /// When it came.
    pub at: Duration,
}

impl RemoteReport {
    /// Reads a block that was received at `now`, which is that time of day; `measured` is the report
    /// of ours that the last round trip was measured by.
    pub(crate) fn read(
        block: &ReportBlock,
        now: Duration,
        ntp_time: NtpTime,
        measured: &mut u32,
    ) -> Self {
        let last = block.last_sender_report;
        let is_new = std::mem::replace(measured, last) != last;
        let trip = round_trip(ntp_time, block).filter(|_| is_new);
        let round_trip = trip.filter(|trip| *trip <= MOST_ROUND_TRIP);
        let [.., high, low] = block.highest_sequence_number.to_be_bytes();
        Self {
            fraction_lost: f32::from(block.fraction_lost) / 256.0,
            round_trip,
            age: round_trip.unwrap_or_default() + from_units(block.delay_since_report),
            highest: u16::from_be_bytes([high, low]),
            jitter: Duration::from_secs(block.jitter.into()) / CLOCK_HZ,
            at: now,
        }
    }
}

/// Reads compound packets, and keeps the newest report on one stream.
#[derive(Debug)]
pub struct RemoteReports {
    ssrc: u32,
    clock_start: Duration,
    newest: Option<RemoteReport>,
    /// The report of ours that the last round trip was measured by.
    measured: u32,
}

impl RemoteReports {
    /// Those on the stream `ssrc`, by a clock that began so long after the beginning of 1900.
    pub fn new(ssrc: u32, clock_start: Duration) -> Self {
        Self {
            ssrc,
            clock_start,
            newest: None,
            measured: 0,
        }
    }

    /// Takes the newest report out, if there is one.
    pub fn take(&mut self) -> Option<RemoteReport> {
        self.newest.take()
    }

    /// Reads a compound packet that was received at `now`; true if nothing in it is left for others.
    ///
    /// `on_sender` gets the stream and the time of each report of a sender.
    ///
    /// # Errors
    /// The bytes are no RTCP.
    pub fn read(
        &mut self,
        bytes: &[u8],
        now: Duration,
        mut on_sender: impl FnMut(u32, NtpTime),
    ) -> Result<bool, RtcpError> {
        let mut is_all = true;
        for part in RtcpParts::read(bytes)? {
            match part {
                RtcpPart::SenderReport {
                    ssrc,
                    info,
                    reports,
                } => {
                    on_sender(ssrc, info.ntp_time);
                    self.note(reports, now);
                }
                RtcpPart::ReceiverReport { reports, .. } => self.note(reports, now),
                RtcpPart::SourceDescription(_) => {}
                _ => is_all = false,
            }
        }
        Ok(is_all)
    }

    fn note(&mut self, blocks: impl Iterator<Item = ReportBlock>, now: Duration) {
        let ntp_time = NtpTime::at(now, self.clock_start);
        for block in blocks.filter(|block| block.ssrc == self.ssrc) {
            let report = RemoteReport::read(&block, now, ntp_time, &mut self.measured);
            self.newest = Some(report);
        }
    }
}

//! The times and the content of a sender's reports.

use std::time::Duration;

use crate::{ReportBlock, RtcpError, RtcpWriter, SenderInfo};

/// The mean interval between reports. The least that RFC 3550 section 6.2 suggests is 5 s, or less
/// as long as reports are a small part of the traffic: whoever sends to us adapts by them.
const INTERVAL: Duration = Duration::from_secs(1);

/// When reports are due, and the name in them.
#[derive(Debug)]
pub struct Reporter {
    ssrc: u32,
    name: String,
    due: Duration,
    random: u32,
}

impl Reporter {
    /// Reports of a stream from now on; `seed` makes their times different from those of others.
    ///
    /// # Errors
    /// The name has more than 255 bytes.
    pub fn new(now: Duration, ssrc: u32, name: String, seed: u32) -> Result<Self, RtcpError> {
        RtcpWriter::new(&mut Vec::new()).name(ssrc, &name)?;
        let mut reporter = Self {
            ssrc,
            name,
            due: now,
            random: seed,
        };
        reporter.schedule(now);
        Ok(reporter)
    }

    pub fn due(&self) -> Duration {
        self.due
    }

    /// Has a report be due at once, as RFC 3550 section 6.2 allows for the first one between two: what
    /// comes behind the first packet measures the path before that has a queue.
    pub fn begin(&mut self, now: Duration) {
        self.due = now;
    }

    /// Writes the report that is due, and schedules the next one; empty where there is nothing to
    /// report.
    pub fn write(
        &mut self,
        now: Duration,
        info: Option<SenderInfo>,
        received: Option<ReportBlock>,
    ) -> Vec<u8> {
        self.schedule(now);
        let mut bytes = Vec::new();
        let mut writer = RtcpWriter::new(&mut bytes);
        match info {
            Some(info) => writer.sender_report(self.ssrc, &info, received.as_slice()),
            None if received.is_some() => writer.receiver_report(self.ssrc, received.as_slice()),
            None => return bytes,
        }
        // The name fits, as `new` has seen.
        let _ = writer.name(self.ssrc, &self.name);
        bytes
    }

    /// Half an interval to one and a half, evenly spread, so that reports of many senders that began
    /// together do not stay together (RFC 3550 section 6.3.5).
    fn schedule(&mut self, now: Duration) {
        // Numerical Recipes' linear congruential generator: its upper bits are random enough.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let part = f64::from(self.random >> 16) / f64::from(1 << 16);
        self.due = now + INTERVAL.mul_f64(0.5 + part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NtpTime, RtcpPart, RtcpParts};

    fn reporter() -> Reporter {
        Reporter::new(Duration::ZERO, 7, "us".to_owned(), 1).unwrap()
    }

    fn kinds(bytes: &[u8]) -> Vec<&'static str> {
        let parts = RtcpParts::read(bytes).unwrap();
        parts
            .map(|part| match part {
                RtcpPart::SenderReport {
                    ssrc: 7, reports, ..
                } => ["sender", "both"][reports.count()],
                RtcpPart::ReceiverReport { ssrc: 7, .. } => "receiver",
                RtcpPart::SourceDescription(_) => "name",
                _ => "other",
            })
            .collect()
    }

    #[test]
    fn reports_have_what_there_is() {
        let info = SenderInfo {
            ntp_time: NtpTime(1),
            rtp_timestamp: 2,
            packets: 3,
            payload_bytes: 4,
        };
        let block = ReportBlock::default();
        for (info, block, expected) in [
            (Some(info), Some(block), vec!["both", "name"]),
            (Some(info), None, vec!["sender", "name"]),
            (None, Some(block), vec!["receiver", "name"]),
            (None, None, vec![]),
        ] {
            let bytes = reporter().write(Duration::ZERO, info, block);
            if expected.is_empty() {
                assert!(bytes.is_empty());
            } else {
                assert_eq!(kinds(&bytes), expected);
            }
        }
    }

    #[test]
    fn they_are_a_second_apart_on_the_average_and_never_together() {
        let (mut reporter, mut intervals) = (reporter(), Vec::new());
        for _ in 0..1_000 {
            let due = reporter.due();
            reporter.write(due, None, None);
            intervals.push(reporter.due().saturating_sub(due).as_secs_f64());
        }
        let mean = intervals.iter().sum::<f64>() / 1_000.0;
        assert!((0.95..1.05).contains(&mean), "{mean}");
        assert!(intervals.iter().all(|it| (0.5..1.5).contains(it)));
        assert!(Reporter::new(Duration::ZERO, 7, "x".repeat(256), 1).is_err());
    }
}

//! What a receiver reports about a stream (RFC 3550 appendices A.1, A.3 and A.8).

use std::time::Duration;

use super::report::{NtpTime, ReportBlock, to_units};
use crate::least::RecentLeast;

/// A step forward from which on the sequence has started again (appendix A.1).
const MAX_DROPOUT: u16 = 3_000;

/// A step back up to which a packet is late, and not of a sequence that has started again.
const MAX_MISORDER: u16 = 100;

/// The time in which the fastest packet is looked for, at least; at most it is twice as long. The
/// clocks of two machines differ by up to 100 ppm, 1 ms in 10 s.
const FASTEST_WINDOW: Duration = Duration::from_secs(10);

/// The time in which the slowest one is looked for: packets that were held up come at once, the first
/// one with the longest delay, and a report is one of them.
const SLOWEST_WINDOW: Duration = Duration::from_millis(500);

/// The reception of one stream.
///
/// Counts every packet that comes, also one that comes twice; packets are authenticated, so that the
/// first one counts at once.
#[derive(Debug, Clone)]
pub struct ReceptionStatistics {
    clock_rate_hz: u32,
    sequence: Option<Sequence>,
    /// The time on the way of the newest packet, on the clock of the stream with any offset.
    transit: Option<u32>,
    /// The transits of the first packet, and of the fastest of late as a difference from it.
    first_transit: u32,
    fastest: RecentLeast<i32>,
    /// The same of the slowest, with the other sign.
    slowest: RecentLeast<i32>,
    /// 16 times the jitter.
    jitter: u64,
    /// The middle of the last sender report's time, and when it was received.
    sender_report: Option<(u32, Duration)>,
}

/// The sequence numbers since the first, or since the sender started again.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    first: u32,
    /// With the number of times that it wrapped around above 16 bits.
    highest: u32,
    received: u32,
    /// Those expected and received by the last report.
    expected_before: u32,
    received_before: u32,
    /// The number that would show that the sender has started again.
    restart: Option<u16>,
}

impl Sequence {
    fn new(number: u16) -> Self {
        Self {
            first: number.into(),
            highest: number.into(),
            received: 1,
            expected_before: 0,
            received_before: 0,
            restart: None,
        }
    }

    /// Counts a packet.
    fn receive(&mut self, number: u16) {
        let [.., high, low] = self.highest.to_be_bytes();
        let step = number.wrapping_sub(u16::from_be_bytes([high, low]));
        if step < MAX_DROPOUT {
            self.highest = self.highest.wrapping_add(step.into());
        } else if step <= u16::MAX - MAX_MISORDER + 1 {
            if self.restart != Some(number) {
                // One packet far away may be a stray; the next one decides.
                self.restart = Some(number.wrapping_add(1));
                return;
            }
            *self = Self::new(number);
            return;
        }
        self.restart = None;
        self.received = self.received.wrapping_add(1);
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.first).wrapping_add(1)
    }

    /// Those lost in all; less than 0 where packets came twice.
    fn lost(&self) -> i32 {
        self.expected().wrapping_sub(self.received).cast_signed()
    }

    /// Those lost since the last call in 1/256 of those expected.
    fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_before);
        let received = self.received.wrapping_sub(self.received_before);
        (self.expected_before, self.received_before) = (self.expected(), self.received);
        let lost = u64::from(expected.saturating_sub(received));
        let fraction = (lost << 8).checked_div(expected.into()).unwrap_or(0);
        u8::try_from(fraction).unwrap_or(u8::MAX)
    }
}

impl ReceptionStatistics {
    /// The statistics of a stream before its first packet; `clock_rate_hz` is that of its
    /// timestamps, 48,000 for Opus.
    #[must_use]
    pub fn new(clock_rate_hz: u32) -> Self {
        Self {
            clock_rate_hz,
            sequence: None,
            transit: None,
            first_transit: 0,
            fastest: RecentLeast::new(FASTEST_WINDOW),
            slowest: RecentLeast::new(SLOWEST_WINDOW),
            jitter: 0,
            sender_report: None,
        }
    }

    /// Counts a packet that was received at `now`.
    pub fn receive(&mut self, sequence_number: u16, timestamp: u32, now: Duration) {
        match &mut self.sequence {
            Some(sequence) => sequence.receive(sequence_number),
            None => self.sequence = Some(Sequence::new(sequence_number)),
        }
        let transit = self.on_clock(now).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let deviation = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            self.jitter += u64::from(deviation);
            self.jitter -= (self.jitter - u64::from(deviation) + 8) >> 4;
        } else {
            self.first_transit = transit;
        }
        let since_first = self.since_first(transit);
        self.fastest.add(now, since_first);
        self.slowest.add(now, since_first.saturating_neg());
    }

    /// Stores the time of the sender's report that was received at `now`.
    pub fn receive_sender_report(&mut self, ntp_time: NtpTime, now: Duration) {
        self.sender_report = Some((ntp_time.middle(), now));
    }

    /// Returns the block about this stream, and starts the next interval of `fraction_lost`; `None`
    /// before the first packet.
    pub fn report(&mut self, ssrc: u32, now: Duration) -> Option<ReportBlock> {
        let sequence = self.sequence.as_mut()?;
        let fraction_lost = sequence.take_fraction_lost();
        let (packets_lost, highest_sequence_number) = (sequence.lost(), sequence.highest);
        let (last_sender_report, delay_since_report) =
            self.sender_report.map_or((0, 0), |(middle, received)| {
                (middle, to_units(now.saturating_sub(received)))
            });
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            packets_lost,
            highest_sequence_number,
            jitter: self.jitter_units(),
            last_sender_report,
            delay_since_report,
        })
    }

    /// The mean deviation of the packets' spacing from that of their timestamps.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        let nanoseconds = u64::from(self.jitter_units()) * 1_000_000_000;
        let rate = u64::from(self.clock_rate_hz);
        Duration::from_nanos(nanoseconds.checked_div(rate).unwrap_or(0))
    }

    /// For how much longer than the fastest packet of the last 10 to 20 s the slowest one of the last
    /// 0.5 to 1 s was under way.
    #[must_use]
    pub fn late(&self) -> Duration {
        let (Some(fastest), Some(slowest)) = (self.fastest.get(), self.slowest.get()) else {
            return Duration::ZERO;
        };
        let late = slowest.saturating_neg().saturating_sub(fastest);
        let rate = self.clock_rate_hz.max(1);
        Duration::from_secs(u64::try_from(late).unwrap_or(0)) / rate
    }

    fn since_first(&self, transit: u32) -> i32 {
        transit.wrapping_sub(self.first_transit).cast_signed()
    }

    /// The packets lost since the stream started; less than 0 where packets came twice.
    #[must_use]
    pub fn packets_lost(&self) -> i32 {
        self.sequence.map_or(0, |sequence| sequence.lost())
    }

    fn jitter_units(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// A time on the clock of the stream, which wraps around.
    fn on_clock(&self, time: Duration) -> u32 {
        let rate = u64::from(self.clock_rate_hz);
        let whole = time.as_secs().wrapping_mul(rate);
        let rest = u64::from(time.subsec_nanos()) * rate / 1_000_000_000;
        let [.., a, b, c, d] = whole.wrapping_add(rest).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Receives packets of 20 ms at their times.
    fn statistics(numbers: impl IntoIterator<Item = u16>) -> ReceptionStatistics {
        let mut statistics = ReceptionStatistics::new(48_000);
        for number in numbers {
            let at = u32::from(number);
            statistics.receive(number, at * 960, ms(u64::from(at) * 20));
        }
        statistics
    }

    fn report(statistics: &mut ReceptionStatistics) -> ReportBlock {
        statistics.report(1, ms(0)).unwrap()
    }

    #[test]
    fn packets_are_late_by_the_slowest_of_a_short_time_and_the_fastest_of_a_long_one() {
        let mut statistics = statistics(0..50);
        assert_eq!(statistics.late(), ms(0));
        // Held up for 200 ms, the packets come at once.
        for number in 50..60_u16 {
            statistics.receive(number, u32::from(number) * 960, ms(1_200));
        }
        assert_eq!(statistics.late(), ms(200));
        for number in 60..120_u16 {
            let at = u32::from(number);
            statistics.receive(number, at * 960, ms(u64::from(at) * 20 + 10));
        }
        assert_eq!(statistics.late(), ms(10));
    }

    #[test]
    fn nothing_is_reported_before_the_first_packet() {
        let mut statistics = ReceptionStatistics::new(48_000);
        statistics.receive_sender_report(NtpTime(1), ms(1));
        assert_eq!(statistics.report(1, ms(2)), None);
    }

    #[test]
    fn losses_are_counted_in_all_and_since_the_last_report() {
        let mut statistics = statistics((0..100).filter(|number| number % 4 != 1));
        let block = report(&mut statistics);
        assert_eq!((block.fraction_lost, block.packets_lost), (64, 25));
        assert_eq!(block.highest_sequence_number, 99);
        for number in 100..200 {
            statistics.receive(number, 0, ms(0));
        }
        let block = report(&mut statistics);
        assert_eq!((block.fraction_lost, block.packets_lost), (0, 25));
        // No packet is expected in this interval.
        assert_eq!(report(&mut statistics).fraction_lost, 0);
        statistics.receive(2_000, 0, ms(0));
        let block = report(&mut statistics);
        assert_eq!((block.fraction_lost, block.packets_lost), (255, 1_825));
    }

    #[test]
    fn packets_that_come_late_and_twice_are_received() {
        let mut statistics = statistics([10, 12, 11, 13, 13, 13]);
        let block = report(&mut statistics);
        assert_eq!((block.fraction_lost, block.packets_lost), (0, -2));
        assert_eq!(statistics.packets_lost(), -2);
    }

    #[test]
    fn numbers_wrap_around() {
        let mut statistics = statistics([65_534, 65_535, 1, 0, 2]);
        let block = report(&mut statistics);
        assert_eq!(block.highest_sequence_number, 0x1_0002);
        assert_eq!(block.packets_lost, 0);
    }

    #[test]
    fn a_stray_number_does_not_count_and_two_in_a_row_start_again() {
        let mut statistics = statistics([10, 11, 30_000, 12]);
        assert_eq!(report(&mut statistics).highest_sequence_number, 12);
        for number in [30_000, 30_001, 30_003] {
            statistics.receive(number, 0, ms(0));
        }
        let block = report(&mut statistics);
        assert_eq!(block.highest_sequence_number, 30_003);
        assert_eq!(block.packets_lost, 1);
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_its_deviation() {
        let mut statistics = statistics(0..100);
        assert_eq!(statistics.jitter(), Duration::ZERO);
        // Every second packet comes 10 ms late: the spacing deviates by 10 ms each time.
        for number in 100..400_u32 {
            let late = u64::from(number % 2 * 10);
            let number_16 = u16::try_from(number).unwrap();
            statistics.receive(number_16, number * 960, ms(u64::from(number) * 20 + late));
        }
        let jitter = statistics.jitter();
        assert!(jitter > ms(9) && jitter <= ms(10), "{jitter:?}");
        assert_eq!(
            u128::from(report(&mut statistics).jitter / 48),
            jitter.as_millis()
        );
    }

    #[test]
    fn the_first_deviation_counts_a_sixteenth() {
        // Appendix A.8: a sixteenth of the difference is added each time.
        let mut statistics = ReceptionStatistics::new(8_000);
        statistics.receive(0, 0, ms(0));
        statistics.receive(1, 160, ms(40));
        assert_eq!(report(&mut statistics).jitter, 160 / 16);
        statistics.receive(2, 320, ms(60));
        assert_eq!(report(&mut statistics).jitter, 9);
    }

    #[test]
    fn the_clock_wraps_around_without_jitter() {
        let mut statistics = ReceptionStatistics::new(48_000);
        let day = Duration::from_secs(86_400);
        for number in 0..3 {
            let timestamp = u32::MAX.wrapping_add(u32::from(number) * 960);
            statistics.receive(number, timestamp, day + ms(u64::from(number) * 20));
        }
        assert_eq!(statistics.jitter(), Duration::ZERO);
    }

    #[test]
    fn the_last_sender_report_and_its_age_are_reported() {
        let mut statistics = statistics([1]);
        statistics.receive_sender_report(NtpTime(0x1234_5678_9abc_def0), ms(1_000));
        let block = statistics.report(1, ms(1_500)).unwrap();
        assert_eq!(block.last_sender_report, 0x5678_9abc);
        assert_eq!(block.delay_since_report, 0x8000);
    }
}

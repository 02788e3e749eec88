//! Inbound audio as it is on the network: protected packets in, audio out.

use std::ops::Range;
use std::time::Duration;

use crate::former_streams::{FormerStream, FormerStreams};
use crate::remote_reports::RemoteReports;
use crate::{
    AudioReceiver, Protocol, ReceiveStats, ReceptionStatistics, RemoteReport, ReportBlock,
    RtpPacket, SrtpError, SrtpReceiver,
};

/// The clock of RTP for Opus, in Hz (RFC 7587 section 4.1).
const CLOCK_HZ: u32 = 48_000;

/// The bytes of a datagram: from a header of RTP (RFC 3550 section 5.1) to the MTU of Ethernet; a
/// packet of 20 ms has some hundred.
const SIZES: Range<usize> = 12..1_501;

/// The payload types of RTP that are taken: seven bits (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadTypes(u128);

impl PayloadTypes {
    /// True if the type is one of them.
    #[must_use]
    pub fn contains(self, payload_type: u8) -> bool {
        payload_type < 128 && self.0 >> payload_type & 1 == 1
    }
}

impl FromIterator<u8> for PayloadTypes {
    /// Types above 127 do not exist, and are left out.
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> Self {
        let bits = types.into_iter().filter(|it| *it < 128);
        Self(bits.fold(0, |bits, it| bits | 1 << it))
    }
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It is no audio of this track: somebody else's, and unchanged.
    Foreign,
    /// It was dropped: forged, repeated, too late, or of a stream that gave way to another.
    Refused,
    /// It was received.
    Received,
}

/// What a [`SecureReceiver`] counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SecureStats {
    /// Of the audio.
    pub audio: ReceiveStats,
    /// The packets of all streams that were authenticated.
    pub packets_received: u64,
    /// Those that never came, of all streams.
    pub packets_lost: u64,
    /// Those that were [`Reception::Refused`].
    pub packets_refused: u64,
    /// The mean deviation of the packets' spacing, in samples at 48 kHz.
    pub jitter: u32,
    /// The time of the last packet that was authenticated; `None` before the first one.
    pub last: Option<Duration>,
}

/// The stream that is received.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    statistics: ReceptionStatistics,
}

/// Receives one track of audio, encrypted: an [`AudioReceiver`] behind SRTP.
///
/// A track has one stream at a time. Whoever sends may begin another one, which takes the place of
/// the one before, or go on with an earlier one; only a packet that is authenticated can do so, and
/// one that was not received before.
pub struct SecureReceiver {
    srtp: SrtpReceiver,
    receiver: AudioReceiver,
    payload_types: PayloadTypes,
    /// The payload type of redundant audio; `None` where there is none.
    red_type: Option<u8>,
    stream: Option<Stream>,
    former: FormerStreams,
    stats: SecureStats,
    /// The last report, of the current stream.
    report: Option<ReportBlock>,
    /// `None` where all reports are [`Reception::Foreign`].
    reports: Option<RemoteReports>,
}

impl SecureReceiver {
    /// A receiver of packets with these payload types; `receiver` may have received packets already
    /// that were decrypted elsewhere.
    #[must_use]
    pub fn new(srtp: SrtpReceiver, receiver: AudioReceiver, payload_types: PayloadTypes) -> Self {
        Self {
            srtp,
            receiver,
            payload_types,
            red_type: None,
            stream: None,
            former: FormerStreams::default(),
            stats: SecureStats::default(),
            report: None,
            reports: None,
        }
    }

    /// Has packets of this payload type read as redundant audio (RFC 2198) in the other ones.
    pub fn set_red(&mut self, payload_type: u8) {
        self.red_type = Some(payload_type);
    }

    /// Has the reports of the remote peer read, which were somebody else's until now.
    ///
    /// # Arguments
    /// `ssrc`: the stream that we send, on which it reports.
    /// `clock_start`: the time between the beginning of 1900 and that of the clock, by which
    /// [`NtpTime::at`](crate::NtpTime::at) makes the times of our own reports.
    pub fn start_reports(&mut self, ssrc: u32, clock_start: Duration) {
        self.reports = Some(RemoteReports::new(ssrc, clock_start));
    }

    /// Takes the newest report on our stream out, if there is one.
    pub fn take_remote_report(&mut self) -> Option<RemoteReport> {
        self.reports.as_mut()?.take()
    }

    /// The mean deviation of what is received, and for how much longer than others its slowest packets
    /// of late were under way; see [`crate::ReceptionStatistics`].
    #[must_use]
    pub fn path(&self) -> (Duration, Duration) {
        let statistics = self.stream.as_ref().map(|stream| &stream.statistics);
        statistics.map_or_else(Default::default, |it| (it.jitter(), it.late()))
    }

    /// The receiver behind SRTP.
    #[must_use]
    pub fn audio(&self) -> &AudioReceiver {
        &self.receiver
    }

    /// The receiver behind SRTP, to take audio from it.
    pub fn audio_mut(&mut self) -> &mut AudioReceiver {
        &mut self.receiver
    }

    /// Receives a datagram, which is decrypted in place where it is this track's.
    ///
    /// Reports with something that only others understand are theirs, too, and unchanged.
    pub fn receive(&mut self, now: Duration, datagram: &mut [u8]) -> Reception {
        if self.reports.is_some() && Protocol::of(datagram) == Some(Protocol::Rtcp) {
            let received = self.receive_reports(now, datagram);
            self.stats.packets_refused += u64::from(received == Reception::Refused);
            return received;
        }
        if !self.is_ours(datagram) {
            return Reception::Foreign;
        }
        let Ok((packet, payload)) = self.decrypt(now, datagram) else {
            self.stats.packets_refused += 1;
            return Reception::Refused;
        };
        let header = packet.header();
        let (ssrc, number, timestamp) = (header.ssrc, header.sequence_number, header.timestamp);
        if self.red_type == Some(header.payload_type) {
            self.receiver
                .insert_red(now, ssrc, number, timestamp, &payload, self.payload_types);
        } else {
            self.receiver.insert(now, ssrc, number, timestamp, payload);
        }
        Reception::Received
    }

    /// Returns the block about the current stream for a receiver report, and starts the next
    /// interval of its `fraction_lost`; `None` before the first packet.
    pub fn report(&mut self, now: Duration) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        self.report = stream.statistics.report(stream.ssrc, now);
        self.report
    }

    /// The block that [`Self::report`] returned last.
    #[must_use]
    pub fn last_report(&self) -> Option<ReportBlock> {
        self.report
    }

    /// The counters until now.
    #[must_use]
    pub fn stats(&self) -> SecureStats {
        let lost = self.stream.as_ref().map_or(0, count_lost);
        let samples = self.path().0.as_secs_f64() * f64::from(CLOCK_HZ);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
        let jitter = samples.round() as u32;
        SecureStats {
            audio: self.receiver.stats(),
            packets_lost: self.stats.packets_lost + lost,
            jitter,
            ..self.stats
        }
    }

    fn receive_reports(&mut self, now: Duration, datagram: &[u8]) -> Reception {
        if !SIZES.contains(&datagram.len()) {
            return Reception::Foreign;
        }
        let mut bytes = datagram.to_vec();
        let reports = match self.srtp.unprotect_rtcp(&mut bytes) {
            Ok(reports) => reports,
            // The ninth name of a remote peer, which others may remember.
            Err(SrtpError::TooManyStreams { .. }) => return Reception::Foreign,
            Err(_) => return Reception::Refused,
        };
        self.stats.last = Some(now);
        let Self {
            reports: Some(remote),
            stream,
            ..
        } = self
        else {
            return Reception::Foreign;
        };
        let is_all = remote.read(reports, now, |ssrc, ntp_time| {
            if let Some(stream) = stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
                stream.statistics.receive_sender_report(ntp_time, now);
            }
        });
        match is_all {
            Ok(true) => Reception::Received,
            Ok(false) => Reception::Foreign,
            Err(_) => Reception::Refused,
        }
    }

    fn is_ours(&self, datagram: &[u8]) -> bool {
        let is_taken = |it| self.payload_types.contains(it) || self.red_type == Some(it);
        SIZES.contains(&datagram.len())
            && Protocol::of(datagram) == Some(Protocol::Rtp)
            && is_taken(datagram[1] & 0x7f)
    }

    /// Decrypts a packet, and notes it in the statistics.
    fn decrypt(
        &mut self,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<(RtpPacket, Vec<u8>), SrtpError> {
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        let packet = match self.former.find(ssrc) {
            Some(former) => self.decrypt_former(now, former, datagram)?,
            None if self.is_another(ssrc) && self.former.is_full() => {
                return Err(SrtpError::TooManyStreams { ssrc });
            }
            None => self.srtp.unprotect_rtp(datagram)?,
        };
        let payload = datagram[packet.payload()].to_vec();
        self.stats.packets_received += 1;
        self.stats.last = Some(now);
        let header = packet.header();
        self.stream_of(ssrc, now)
            .receive(header.sequence_number, header.timestamp, now);
        Ok((packet, payload))
    }

    fn is_another(&self, ssrc: u32) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.ssrc != ssrc)
    }

    /// Decrypts a packet of a stream that gave way, which is none any more then.
    fn decrypt_former(
        &mut self,
        now: Duration,
        former: FormerStream,
        datagram: &mut [u8],
    ) -> Result<RtpPacket, SrtpError> {
        if now < former.free_at {
            return Err(SrtpError::Replayed);
        }
        self.srtp.resume_rtp(former.ssrc, former.newest)?;
        let packet = self.srtp.unprotect_rtp(datagram);
        if packet.is_ok() {
            self.former.remove(former.ssrc);
        } else {
            self.srtp.remove_rtp(former.ssrc);
        }
        packet
    }

    /// The statistics of a stream, which is the current one from now on.
    fn stream_of(&mut self, ssrc: u32, now: Duration) -> &mut ReceptionStatistics {
        if let Some(former) = self.stream.take_if(|stream| stream.ssrc != ssrc) {
            self.stats.packets_lost += count_lost(&former);
            let newest = self.srtp.remove_rtp(former.ssrc);
            self.former.insert(former.ssrc, newest, now);
            self.report = None;
        }
        let stream = self.stream.get_or_insert_with(|| Stream {
            ssrc,
            statistics: ReceptionStatistics::new(CLOCK_HZ),
        });
        &mut stream.statistics
    }
}

/// The packets of a stream that never came; fewer than none where some came twice.
fn count_lost(stream: &Stream) -> u64 {
    u64::try_from(stream.statistics.packets_lost()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Reception::{Foreign, Received, Refused};
    use super::*;
    use crate::{
        NtpTime, OpusApplication, OpusEncoder, RtcpWriter, RtpExtensions, RtpHeader, SenderInfo,
        SrtpProfile, SrtpSender,
    };

    const MS: Duration = Duration::from_millis(1);
    const KEY: ([u8; 16], [u8; 14]) = ([7; 16], [9; 14]);
    const OPUS: u8 = 111;

    fn sender() -> SrtpSender {
        SrtpSender::new(SrtpProfile::ALL[0], &KEY.0, &KEY.1).unwrap()
    }

    fn receiver() -> SecureReceiver {
        let srtp = SrtpReceiver::new(SrtpProfile::ALL[0], &KEY.0, &KEY.1).unwrap();
        let audio = AudioReceiver::new(48_000, None).unwrap();
        SecureReceiver::new(srtp, audio, PayloadTypes::from_iter([OPUS]))
    }

    /// A protected packet of 20 ms; `number` counts packets.
    fn packet(sender: &mut SrtpSender, ssrc: u32, number: u32, payload_type: u8) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut encoder = OpusEncoder::new(1, OpusApplication::LowDelay).unwrap();
        encoder.encode(&[1_000; 960], &mut payload).unwrap();
        let header = RtpHeader {
            payload_type,
            marker: false,
            sequence_number: (number & 0xffff) as u16,
            timestamp: number.wrapping_mul(960),
            ssrc,
        };
        let mut bytes = Vec::new();
        header
            .write(
                crate::ExtensionIds::default(),
                &RtpExtensions::default(),
                &mut bytes,
            )
            .unwrap();
        bytes.extend_from_slice(&payload);
        sender.protect_rtp(&mut bytes).unwrap();
        bytes
    }

    fn take(receiver: &mut SecureReceiver, now: Duration) -> usize {
        let mut audio = Vec::new();
        receiver.audio_mut().take(now, &mut audio);
        audio.len()
    }

    #[test]
    fn packets_of_the_track_become_audio() {
        let (mut sender, mut receiver) = (sender(), receiver());
        for number in 0..5 {
            let now = number * 20 * MS;
            let mut bytes = packet(&mut sender, 1, number, OPUS);
            assert_eq!(receiver.receive(now, &mut bytes), Received);
            assert_eq!(take(&mut receiver, now), 960);
        }
        let stats = receiver.stats();
        assert_eq!((stats.packets_received, stats.packets_lost), (5, 0));
        assert_eq!(stats.last, Some(80 * MS));
    }

    #[test]
    fn packets_of_redundant_audio_are_the_tracks_where_that_was_agreed() {
        let mut receiver = receiver();
        let mut bytes = packet(&mut sender(), 1, 0, 63);
        assert_eq!(receiver.receive(MS, &mut bytes), Foreign);
        receiver.set_red(63);
        // Its payload is one packet of Opus, and no redundant audio.
        assert_eq!(receiver.receive(MS, &mut bytes), Received);
        let mut next = packet(&mut sender(), 1, 1, OPUS);
        assert_eq!(receiver.receive(MS, &mut next), Received);
        assert_eq!(take(&mut receiver, MS), 960);
        let stats = receiver.stats();
        assert_eq!(stats.packets_received, 2);
        assert_eq!(stats.audio.red_packets_refused, 1);
    }

    #[test]
    fn what_is_not_the_tracks_is_left_as_it_was() {
        let (mut sender, mut receiver) = (sender(), receiver());
        let report = [0x80, 200, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        for mut bytes in [
            packet(&mut sender, 1, 0, 96),
            report.to_vec(),
            vec![0; 40],
            vec![22; 40],
            vec![0x80, OPUS],
            [&[0x80, OPUS][..], &[0; 1_600]].concat(),
            Vec::new(),
        ] {
            let before = bytes.clone();
            assert_eq!(receiver.receive(MS, &mut bytes), Foreign);
            assert_eq!(bytes, before);
        }
        assert_eq!(receiver.stats(), SecureStats::default());
    }

    #[test]
    fn forged_and_repeated_packets_are_refused() {
        let (mut sender, mut receiver) = (sender(), receiver());
        let bytes = packet(&mut sender, 1, 0, OPUS);
        assert_eq!(receiver.receive(MS, &mut bytes.clone()), Received);
        assert_eq!(receiver.receive(MS, &mut bytes.clone()), Refused);
        let mut forged = packet(&mut sender, 1, 1, OPUS);
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(receiver.receive(2 * MS, &mut forged), Refused);
        let stats = receiver.stats();
        assert_eq!((stats.packets_received, stats.packets_refused), (1, 2));
        assert_eq!(stats.last, Some(MS));
    }

    #[test]
    fn a_new_stream_takes_the_place_of_the_old_one_at_once() {
        let (mut sender, mut receiver) = (sender(), receiver());
        for (ssrc, number, expected) in [
            (1, 0, Received),
            (1, 3, Received),
            (2, 9, Received),
            (1, 4, Refused),
            (2, 10, Received),
        ] {
            let mut bytes = packet(&mut sender, ssrc, number, OPUS);
            assert_eq!(receiver.receive(MS, &mut bytes), expected);
        }
        let stats = receiver.stats();
        assert_eq!((stats.packets_received, stats.packets_lost), (4, 2));
        assert_eq!(receiver.report(MS).map(|report| report.ssrc), Some(2));
    }

    #[test]
    fn a_sender_may_start_again_many_times_but_not_for_ever() {
        let mut receiver = receiver();
        for ssrc in 0..=70 {
            // A sender has few streams itself.
            let mut bytes = packet(&mut sender(), ssrc, 0, OPUS);
            let expected = if ssrc <= 64 { Received } else { Refused };
            assert_eq!(receiver.receive(MS, &mut bytes), expected, "{ssrc}");
        }
        let mut again = packet(&mut sender(), 3, 0, OPUS);
        assert_eq!(receiver.receive(MS, &mut again), Refused);
        let mut last = packet(&mut sender(), 64, 1, OPUS);
        assert_eq!(receiver.receive(MS, &mut last), Received);
    }

    #[test]
    fn a_forged_packet_begins_no_stream() {
        let (mut sender, mut receiver) = (sender(), receiver());
        let mut first = packet(&mut sender, 1, 0, OPUS);
        assert_eq!(receiver.receive(MS, &mut first), Received);
        let mut forged = packet(&mut sender, 2, 0, OPUS);
        forged[20] ^= 1;
        assert_eq!(receiver.receive(MS, &mut forged), Refused);
        let mut second = packet(&mut sender, 1, 1, OPUS);
        assert_eq!(receiver.receive(MS, &mut second), Received);
    }

    #[test]
    fn a_stream_under_way_is_taken_over() {
        let (mut sender, mut audio) = (sender(), AudioReceiver::new(48_000, None).unwrap());
        // Its first packets were decrypted by somebody else, and its numbers wrapped around once.
        sender.resume_rtp(1, 65_535).unwrap();
        audio.insert(MS, 1, 65_535, 0, vec![0xf8, 0xff, 0xfe]);
        audio.take(MS, &mut Vec::new());
        let srtp = SrtpReceiver::new(SrtpProfile::ALL[0], &KEY.0, &KEY.1).unwrap();
        let mut receiver = SecureReceiver::new(srtp, audio, PayloadTypes::from_iter([OPUS]));
        let mut bytes = packet(&mut sender, 1, 65_536, OPUS);
        assert_eq!(receiver.receive(20 * MS, &mut bytes), Received);
        assert_eq!(receiver.stats().audio.jitter.packets_received, 2);
    }

    const CLOCK_START: Duration = Duration::from_secs(3_900_000_000);

    /// A protected compound packet of a remote peer, whose stream is 1 and which receives ours, 9.
    fn reports(sender: &mut SrtpSender, write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut RtcpWriter::new(&mut bytes));
        sender.protect_rtcp(&mut bytes).unwrap();
        bytes
    }

    fn block(last_sender_report: u32) -> ReportBlock {
        ReportBlock {
            ssrc: 9,
            fraction_lost: 64,
            last_sender_report,
            ..ReportBlock::default()
        }
    }

    #[test]
    fn reports_are_read_where_that_was_requested() {
        let (mut sender, mut receiver) = (sender(), receiver());
        let mut bytes = reports(&mut sender, |writer| writer.receiver_report(1, &[block(0)]));
        assert_eq!(receiver.receive(MS, &mut bytes), Foreign);
        receiver.start_reports(9, CLOCK_START);
        assert_eq!(receiver.receive(MS, &mut bytes.clone()), Received);
        assert_eq!(receiver.receive(MS, &mut bytes), Refused);
        let report = receiver.take_remote_report().unwrap();
        assert_eq!((report.fraction_lost, report.round_trip), (0.25, None));
        assert_eq!(receiver.take_remote_report(), None);
        assert_eq!(receiver.stats().last, Some(MS));
    }

    #[test]
    fn both_sides_measure_by_reports() {
        let (mut sender, mut receiver) = (sender(), receiver());
        receiver.start_reports(9, CLOCK_START);
        let mut first = packet(&mut sender, 1, 0, OPUS);
        assert_eq!(receiver.receive(MS, &mut first), Received);
        let sent = NtpTime::at(100 * MS, CLOCK_START);
        let info = SenderInfo {
            ntp_time: NtpTime(0x1234_5678_9abc_def0),
            rtp_timestamp: 0,
            packets: 1,
            payload_bytes: 1,
        };
        let others = ReportBlock {
            ssrc: 8,
            ..block(sent.middle())
        };
        let blocks = [block(sent.middle()), others];
        let mut bytes = reports(&mut sender, |writer| {
            writer.sender_report(1, &info, &blocks);
            writer.name(1, "you").unwrap();
        });
        assert_eq!(receiver.receive(350 * MS, &mut bytes), Received);
        let trip = receiver.take_remote_report().unwrap().round_trip.unwrap();
        assert!(trip.abs_diff(250 * MS) < MS, "{trip:?}");
        let answer = receiver.report(850 * MS).unwrap();
        assert_eq!(answer.last_sender_report, 0x5678_9abc);
        assert_eq!(answer.delay_since_report, 65_536 / 2);
        // An hour is no round trip.
        let mut bytes = reports(&mut sender, |writer| writer.receiver_report(1, &blocks));
        receiver.receive(3_600_000 * MS, &mut bytes);
        assert_eq!(receiver.take_remote_report().unwrap().round_trip, None);
    }

    #[test]
    fn what_only_others_understand_is_theirs_too() {
        let (mut sender, mut receiver) = (sender(), receiver());
        receiver.start_reports(9, CLOCK_START);
        let bytes = reports(&mut sender, |writer| {
            writer.receiver_report(1, &[block(0)]);
            writer.nack(1, 9, &[3]);
        });
        let mut seen = bytes.clone();
        assert_eq!(receiver.receive(MS, &mut seen), Foreign);
        assert_eq!(seen, bytes);
        assert!(receiver.take_remote_report().is_some());
    }

    #[test]
    fn forged_and_broken_reports_are_refused() {
        let (mut sender, mut receiver) = (sender(), receiver());
        receiver.start_reports(9, CLOCK_START);
        let mut forged = reports(&mut sender, |writer| writer.receiver_report(1, &[block(0)]));
        forged[10] ^= 1;
        assert_eq!(receiver.receive(MS, &mut forged), Refused);
        assert_eq!(receiver.stats().last, None);
        let mut broken = vec![0x81, 201, 0, 9, 0, 0, 0, 1];
        sender.protect_rtcp(&mut broken).unwrap();
        assert_eq!(receiver.receive(MS, &mut broken), Refused);
        assert_eq!(receiver.take_remote_report(), None);
        assert_eq!(receiver.stats().packets_refused, 2);
    }

    #[test]
    fn payload_types_have_seven_bits() {
        let types = PayloadTypes::from_iter([0, 127, 200]);
        let found: Vec<u8> = (0..=255).filter(|it| types.contains(*it)).collect();
        assert_eq!(found, [0, 127]);
    }
}

//! A path that carries less than what is sent, and keeps the rest in a queue of seconds.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a model of small numbers"
)]
#![allow(dead_code, reason = "a part of what the tests of senders share")]

mod sending;

use std::collections::VecDeque;
use std::time::Duration;

use gradio_webrtc_core::Chunk;
use gradio_webrtc_media::{
    AudioReceiver, AudioSender, NtpTime, OpusPacket, PayloadTypes, ReceptionStatistics, RtcpPart,
    RtcpParts, RtcpWriter, SecureReceiver, SrtpProfile, SrtpReceiver, SrtpSender,
};
use sending::{SAMPLES, SSRC, queue, srtp, terms};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const MS: Duration = Duration::from_millis(1);

/// Between the beginning of 1900 and that of the clock.
const CLOCK_START: Duration = Duration::from_secs(3_900_000_000);

/// Of IPv4 and UDP.
const DATAGRAM_HEADER: usize = 28;

/// The remote peer's stream of reports.
const REMOTE: u32 = 9;

/// What is on its way: when it comes, when it was sent, and the bytes.
type UnderWay = (Duration, Duration, Vec<u8>);

/// A sender with a live source, and a remote peer that reports once a second.
struct Call {
    now: Duration,
    sender: AudioSender,
    ours: SecureReceiver,
    remote: ReceptionStatistics,
    remote_srtp: (SrtpSender, SrtpReceiver),
    /// True where somebody else reads the reports.
    is_read_elsewhere: bool,
    bits_per_s: f64,
    free_at: Duration,
    under_way: VecDeque<UnderWay>,
    /// When each frame was sent, and how long it was under way.
    delays: Vec<(Duration, Duration)>,
    /// The bits a second of the last packets.
    payloads: Vec<(Duration, usize)>,
}

impl Call {
    fn new() -> Self {
        let (theirs, ours) = srtp(PROFILE);
        let (out, remote_in) = srtp(PROFILE);
        let receiver = AudioReceiver::new(48_000, None).unwrap();
        let mut ours = SecureReceiver::new(ours, receiver, PayloadTypes::from_iter([111]));
        ours.start_reports(SSRC, CLOCK_START);
        let mut sender = AudioSender::new(terms(), out, queue()).unwrap();
        sender.start_reports(Duration::ZERO, "us".into()).unwrap();
        Self {
            now: Duration::ZERO,
            sender,
            ours,
            remote: ReceptionStatistics::new(48_000),
            remote_srtp: (theirs, remote_in),
            is_read_elsewhere: false,
            bits_per_s: 1e9,
            free_at: Duration::ZERO,
            under_way: VecDeque::new(),
            delays: Vec::new(),
            payloads: Vec::new(),
        }
    }

    /// Goes on in steps of a millisecond; `audio` gets the time once all before it is in the queue.
    fn run(&mut self, seconds: u64, mut audio: impl FnMut(Duration) -> Vec<i16>) {
        let end = self.now + Duration::from_secs(seconds);
        let mut rest = Vec::new();
        while self.now < end {
            self.now += MS;
            loop {
                if rest.is_empty() {
                    rest = audio(self.now);
                }
                let mut queue = self.sender.queue();
                let taken = match rest.len() {
                    0 => 0,
                    _ => queue.push(48_000, Chunk::Mono(&rest)).unwrap(),
                };
                rest.drain(..taken);
                if taken == 0 {
                    break;
                }
            }
            self.send();
            self.receive();
            // The remote peer's own clock, apart from our reports.
            if self.now.as_millis() % 1_000 == 700 {
                self.report();
            }
        }
    }

    fn send(&mut self) {
        let mut packets = Vec::new();
        if self.sender.report_deadline().unwrap() <= self.now {
            let time = NtpTime::at(self.now, CLOCK_START);
            let keep = |packet: &[u8]| packets.push(packet.to_vec());
            self.sender.send_report(self.now, time, None, keep).unwrap();
        }
        let keep = |packet: &[u8]| packets.push(packet.to_vec());
        self.sender.poll(self.now, keep).unwrap();
        for packet in packets {
            let bits = 8.0 * (packet.len() + DATAGRAM_HEADER) as f64;
            let takes = Duration::from_secs_f64(bits / self.bits_per_s);
            self.free_at = self.free_at.max(self.now) + takes;
            let comes = self.free_at + 10 * MS;
            self.under_way.push_back((comes, self.now, packet));
        }
    }

    fn receive(&mut self) {
        while (self.under_way.front()).is_some_and(|(comes, ..)| *comes <= self.now) {
            let (comes, sent, mut packet) = self.under_way.pop_front().unwrap();
            if (192..224).contains(&packet[1]) {
                let reports = self.remote_srtp.1.unprotect_rtcp(&mut packet).unwrap();
                for part in RtcpParts::read(reports).unwrap() {
                    if let RtcpPart::SenderReport { info, .. } = part {
                        self.remote.receive_sender_report(info.ntp_time, comes);
                    }
                }
                continue;
            }
            let read = self.remote_srtp.1.unprotect_rtp(&mut packet).unwrap();
            let header = read.header();
            (self.remote).receive(header.sequence_number, header.timestamp, comes);
            let payload = &packet[read.payload()];
            let samples = OpusPacket::read(payload).unwrap().samples();
            for _ in 0..samples / SAMPLES {
                self.delays.push((sent, comes.saturating_sub(sent)));
            }
            self.payloads.push((sent, payload.len()));
        }
    }

    fn report(&mut self) {
        let block = self.remote.report(SSRC, self.now);
        if self.is_read_elsewhere {
            let time = NtpTime::at(self.now, CLOCK_START);
            self.sender.report_block(self.now, time, &block.unwrap());
            return;
        }
        let mut packet = Vec::new();
        let mut writer = RtcpWriter::new(&mut packet);
        writer.receiver_report(REMOTE, block.as_slice());
        writer.name(REMOTE, "them").unwrap();
        self.remote_srtp.0.protect_rtcp(&mut packet).unwrap();
        self.ours.receive(self.now, &mut packet);
        let report = self.ours.take_remote_report().unwrap();
        self.sender
            .report_remote(&report, Duration::ZERO, Duration::ZERO);
    }

    /// The share of the frames sent from then on that took no longer than half a second.
    fn in_time(&self, from: Duration) -> f64 {
        let after = self.delays.iter().filter(|(sent, _)| *sent >= from);
        let late = after.clone().filter(|(_, delay)| *delay > 500 * MS).count();
        1.0 - late as f64 / after.count() as f64
    }
}

/// A live source: 20 ms of a tone every 20 ms.
fn live() -> impl FnMut(Duration) -> Vec<i16> {
    let mut next = Duration::ZERO;
    move |now| {
        if now < next {
            return Vec::new();
        }
        next = now + 20 * MS;
        tone(now, SAMPLES)
    }
}

fn tone(now: Duration, samples: u32) -> Vec<i16> {
    (0..samples)
        .map(|k| {
            let time_s = now.as_secs_f64() + f64::from(k) / 48_000.0;
            #[allow(clippy::cast_possible_truncation)] // within 16 bits
            let sample = (9_000.0 * (time_s * 1_400.0).sin() * (time_s * 9.0).sin()) as i16;
            sample
        })
        .collect()
}

/// The shares of the frames in time: of all, and from so many seconds after the path became narrow on.
fn shares(bits_per_s: f64, before_s: u64, later_s: u64, is_read_elsewhere: bool) -> (f64, f64) {
    let mut call = Call::new();
    call.is_read_elsewhere = is_read_elsewhere;
    call.run(before_s, live());
    assert!(call.in_time(Duration::ZERO) >= 1.0);
    let begin = call.now;
    call.bits_per_s = bits_per_s;
    call.run(10, live());
    (
        call.in_time(begin),
        call.in_time(begin + Duration::from_secs(later_s)),
    )
}

#[test]
fn a_path_of_48_kbit_per_s_keeps_what_is_in_time_at_the_beginning_of_a_call() {
    let (all, _) = shares(48e3, 3, 5, false);
    assert!(all >= 1.0, "{all}");
}

#[test]
fn a_path_that_becomes_narrow_has_a_short_queue_after_some_reports() {
    for (bits_per_s, before_s, later_s, is_read_elsewhere) in [
        (48e3, 20, 5, false),
        (24e3, 3, 5, false),
        (24e3, 3, 5, true),
        // From 88 kbit/s down, in two steps.
        (30e3, 12, 8, false),
    ] {
        let (all, later) = shares(bits_per_s, before_s, later_s, is_read_elsewhere);
        assert!(later >= 1.0, "{bits_per_s}: {later} of those later in time");
        assert!(all >= 0.6, "{bits_per_s}: {all} of all in time");
    }
}

#[test]
fn a_path_that_is_narrow_from_the_beginning_on_is_found_out_as_well() {
    for bits_per_s in [48e3, 24e3] {
        let mut call = Call::new();
        call.bits_per_s = bits_per_s;
        call.run(10, live());
        let later = call.in_time(3_500 * MS);
        assert!(later >= 1.0, "{bits_per_s}: {later} of those later in time");
    }
}

#[test]
fn a_reply_loses_nothing_while_it_is_held_back() {
    let (mut call, mut left) = (Call::new(), 400);
    let mut reply = |now| {
        if left == 0 {
            return Vec::new();
        }
        left -= 1;
        tone(now, SAMPLES)
    };
    call.run(3, &mut reply);
    call.bits_per_s = 24e3;
    call.run(12, reply);
    let frames = call.delays.len();
    assert!((400..430).contains(&frames), "{frames} with silence behind");
    assert_eq!(call.sender.queue().removed(), 0);
    let longest = call.delays.iter().map(|(_, delay)| *delay).max();
    assert!(longest.unwrap() > 500 * MS, "nothing was held back");
}

#[test]
fn narrow_paths_get_packets_of_60_ms() {
    let mut call = Call::new();
    call.run(3, live());
    call.bits_per_s = 24e3;
    call.run(10, live());
    let last = &call.payloads[call.payloads.len() - 20..];
    let bytes: usize = last.iter().map(|(_, bytes)| bytes).sum();
    // 12 kbit/s, 90 bytes each.
    assert_eq!(bytes / 20, 90);
}

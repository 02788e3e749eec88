//! A sender that begins another stream, and goes on with an earlier one.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::time::Duration;

use gradio_webrtc_media::{
    AudioReceiver, ExtensionIds, PayloadTypes, Reception, RtpExtensions, RtpHeader, SecureReceiver,
    SrtpProfile, SrtpReceiver, SrtpSender,
};
use support::{SAMPLES, ms, payload};

const KEY: ([u8; 16], [u8; 14]) = ([7; 16], [9; 14]);
const OPUS: u8 = 111;

/// The time in which the last packets of a stream may come behind the first of the next.
const STRAGGLING: Duration = Duration::from_millis(400);

fn sender() -> SrtpSender {
    SrtpSender::new(SrtpProfile::ALL[0], &KEY.0, &KEY.1).unwrap()
}

fn receiver() -> SecureReceiver {
    let srtp = SrtpReceiver::new(SrtpProfile::ALL[0], &KEY.0, &KEY.1).unwrap();
    let audio = AudioReceiver::new(48_000, None).unwrap();
    SecureReceiver::new(srtp, audio, PayloadTypes::from_iter([OPUS]))
}

/// A protected packet of 20 ms; `number` counts packets.
fn packet(sender: &mut SrtpSender, ssrc: u32, number: u32) -> Vec<u8> {
    let header = RtpHeader {
        payload_type: OPUS,
        marker: false,
        sequence_number: u16::try_from(number & 0xffff).unwrap(),
        timestamp: number.wrapping_mul(SAMPLES),
        ssrc,
    };
    let mut bytes = Vec::new();
    header
        .write(
            ExtensionIds::default(),
            &RtpExtensions::default(),
            &mut bytes,
        )
        .unwrap();
    bytes.extend(payload(number.into(), false));
    sender.protect_rtp(&mut bytes).unwrap();
    bytes
}

fn take(receiver: &mut SecureReceiver, now: Duration) -> usize {
    let mut audio = Vec::new();
    receiver.audio_mut().take(now, &mut audio);
    audio.len()
}

#[test]
fn a_sender_may_go_on_with_an_earlier_stream() {
    let (mut sender, mut receiver) = (sender(), receiver());
    let mut sent = Vec::new();
    let mut now = Duration::ZERO;
    // Around the wrap of the first stream's numbers, and more often than streams may give way.
    let mut numbers = [65_480, 7];
    for turn in 0..100 {
        let stream = turn % 2;
        for _ in 0..25 {
            now += ms(20);
            let ssrc = [1, 2][stream];
            let bytes = packet(&mut sender, ssrc, numbers[stream]);
            numbers[stream] += 1;
            let outcome = receiver.receive(now, &mut bytes.clone());
            assert_eq!(outcome, Reception::Received, "{turn}");
            assert_eq!(take(&mut receiver, now), 960, "{turn}");
            sent.push(bytes);
        }
    }
    assert_eq!(receiver.stats().packets_received, 2_500);
    assert_eq!(receiver.stats().packets_lost, 0);
    assert_eq!(receiver.report(now).map(|report| report.ssrc), Some(2));
    // No packet of either stream is received twice.
    now += 10 * STRAGGLING;
    for mut bytes in sent {
        assert_eq!(receiver.receive(now, &mut bytes), Reception::Refused);
    }
    assert_eq!(receiver.stats().packets_received, 2_500);
}

#[test]
fn the_last_packets_of_a_stream_do_not_bring_it_back() {
    let (mut sender, mut receiver) = (sender(), receiver());
    let mut packets: Vec<_> = (0..4).map(|n| packet(&mut sender, 1, n)).collect();
    let mut other = packet(&mut sender, 2, 0);
    assert_eq!(
        receiver.receive(ms(1), &mut packets[1]),
        Reception::Received
    );
    assert_eq!(receiver.receive(ms(1), &mut other), Reception::Received);
    for (at, number, expected) in [
        (STRAGGLING, 2, Reception::Refused),
        // Missed before the stream gave way: its window is gone, so it may be a repeated one.
        (STRAGGLING + ms(1), 0, Reception::Refused),
        (STRAGGLING + ms(1), 3, Reception::Received),
    ] {
        let outcome = receiver.receive(at, &mut packets[number].clone());
        assert_eq!(outcome, expected, "{number}");
    }
}

#[test]
fn a_forged_packet_brings_no_stream_back() {
    let (mut sender, mut receiver) = (sender(), receiver());
    for (ssrc, number) in [(1, 0), (2, 0)] {
        let mut bytes = packet(&mut sender, ssrc, number);
        assert_eq!(receiver.receive(ms(1), &mut bytes), Reception::Received);
    }
    let bytes = packet(&mut sender, 1, 1);
    let mut forged = bytes.clone();
    forged[20] ^= 1;
    let later = 2 * STRAGGLING;
    assert_eq!(receiver.receive(later, &mut forged), Reception::Refused);
    assert_eq!(receiver.audio().ssrc(), Some(2));
    assert_eq!(
        receiver.receive(later, &mut bytes.clone()),
        Reception::Received
    );
    assert_eq!(receiver.audio().ssrc(), Some(1));
}

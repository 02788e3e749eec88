//! Redundant audio out: where packets are reported lost, each one carries the one before it.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]
#![allow(dead_code, reason = "a part of what the tests of senders share")]

mod sending;

use std::time::Duration;

use gradio_webrtc_core::Chunk;
use gradio_webrtc_media::{
    AudioReceiver, PathReport, PayloadTypes, ReceiveStats, RedBlocks, RtpError, SendError,
    SenderTerms, SrtpProfile,
};
use sending::{Network, RED, Received, SAMPLES, SSRC, terms};

const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const ROUND_TRIP: Option<Duration> = Some(Duration::from_millis(40));

fn redundant() -> SenderTerms {
    SenderTerms {
        red_payload_type: Some(RED),
        ..terms()
    }
}

/// Harmonics of 150 Hz that swell and fade: a voice to a codec, which makes copies of no other audio.
fn voice(frames: u32) -> Vec<i16> {
    (0..frames * SAMPLES)
        .map(|k| {
            let time_s = f64::from(k) / 48_000.0;
            let tone: f64 = (1..12)
                .map(|n| (time_s * 942.0 * f64::from(n)).sin() / f64::from(n))
                .sum();
            #[allow(clippy::cast_possible_truncation)] // within 16 bits
            let sample = (6_000.0 * tone * (time_s * 12.0).sin().abs()) as i16;
            sample
        })
        .collect()
}

/// Sends a voice, with a report each second of so many lost packets of a hundred.
fn speak(terms: SenderTerms, losses: &[f32]) -> Network {
    let mut network = Network::of(terms, PROFILE);
    let seconds = u32::try_from(losses.len()).unwrap();
    let audio = voice(50 * seconds);
    for (second, lost) in audio.chunks(48_000).zip(losses) {
        network
            .sender
            .queue()
            .push(48_000, Chunk::Mono(second))
            .unwrap();
        network.run_frames(1);
        network
            .sender
            .report(network.now, &PathReport::new(lost / 100.0, ROUND_TRIP));
        network.run_frames(49);
    }
    network
}

fn carries_another(packet: &Received) -> bool {
    packet.header.payload_type == RED
}

/// What a remote peer decodes that loses some of the packets.
fn receive(network: &Network, is_lost: impl Fn(usize) -> bool) -> (Vec<i16>, ReceiveStats) {
    let mut receiver = AudioReceiver::new(48_000, None).unwrap();
    let (mut audio, formats) = (Vec::new(), PayloadTypes::from_iter([111]));
    for (at, packet) in network.packets.iter().enumerate() {
        while let Some(deadline) = receiver.deadline().filter(|it| *it <= packet.at) {
            receiver.take(deadline, &mut audio);
        }
        let (header, payload) = (&packet.header, &packet.payload);
        let (number, timestamp) = (header.sequence_number, header.timestamp);
        if is_lost(at) {
            continue;
        }
        if header.payload_type == RED {
            receiver.insert_red(packet.at, SSRC, number, timestamp, payload, formats);
        } else {
            receiver.insert(packet.at, SSRC, number, timestamp, payload.clone());
        }
        receiver.take(packet.at, &mut audio);
    }
    (audio, receiver.stats())
}

#[test]
fn each_packet_carries_the_one_before_while_some_are_lost() {
    let network = speak(redundant(), &[0.0, 5.0, 5.0, 0.0, 0.0, 0.0]);
    let with: Vec<usize> = (0..network.packets.len())
        .filter(|&at| carries_another(&network.packets[at]))
        .collect();
    // From the packet behind the first report of a loss to that at the first without.
    let expected: Vec<usize> = (51..151).collect();
    assert_eq!(with, expected);
    for pair in network.packets[51..151].windows(2) {
        let [before, packet] = pair else { continue };
        let timestamp = packet.header.timestamp;
        let read = |packet: &Received| {
            let blocks = RedBlocks::read(&packet.payload, packet.header.timestamp).unwrap();
            let blocks: Vec<_> = blocks.map(|it| (it.timestamp, it.data.to_vec())).collect();
            blocks
        };
        let (blocks, own_before) = (read(packet), read(before).pop().unwrap());
        assert!(blocks.len() <= 2);
        assert_eq!(blocks.last().unwrap().0, timestamp);
        if blocks.len() == 2 {
            assert_eq!(blocks[0], own_before);
        }
    }
}

#[test]
fn the_packets_are_no_longer_than_without_a_loss() {
    let network = speak(redundant(), &[5.0; 4]);
    let bytes: usize = network.packets[50..]
        .iter()
        .map(|it| it.payload.len())
        .sum();
    let bits_per_s = 8 * bytes / 3;
    // 64 kbit/s, and 40 bits a packet.
    assert!(bits_per_s <= 66_500, "{bits_per_s} bit/s");
    assert_eq!(network.sender.stats().packets_sent, 200);
}

#[test]
fn a_path_that_is_narrow_or_was_not_asked_gets_no_copies() {
    for (terms, losses) in [(redundant(), [40.0; 4]), (terms(), [5.0; 4])] {
        let network = speak(terms, &losses);
        // A step down with each report.
        let late = &network.packets[60..];
        assert!(!late.iter().any(carries_another));
    }
}

#[test]
fn bursts_of_two_are_rebuilt_from_one_copy_and_its_own() {
    let is_in_burst = |at: usize| (60..490).contains(&at) && at % 20 >= 18;
    let with = speak(redundant(), &[9.0; 10]);
    let (audio, stats) = receive(&with, is_in_burst);
    assert_eq!(audio.len(), 500 * 960);
    let rebuilt = stats.jitter.concealed_samples;
    let (audio, stats) = receive(&speak(terms(), &[9.0; 10]), is_in_burst);
    assert_eq!(audio.len(), 500 * 960);
    let concealed = stats.jitter.concealed_samples;
    // Of each burst the second packet is there as it was, and has a coarse copy of the first.
    assert!(rebuilt <= concealed / 4, "{rebuilt} of {concealed} samples");
}

#[test]
fn packets_are_sent_again_with_what_they_carried() {
    let mut network = speak(redundant(), &[5.0; 3]);
    let at = network.packets.len() - 3;
    let number = network.packets[at].header.sequence_number;
    assert!(carries_another(&network.packets[at]));
    let mut resent = Vec::new();
    network
        .sender
        .nack(network.now, [number], |packet| resent.push(packet.to_vec()));
    assert_eq!(resent, [network.sent[at].clone()]);
}

#[test]
fn a_payload_type_has_seven_bits() {
    let (sender, _) = sending::srtp(PROFILE);
    let terms = SenderTerms {
        red_payload_type: Some(128),
        ..terms()
    };
    let made = gradio_webrtc_media::AudioSender::new(terms, sender, sending::queue());
    assert!(matches!(
        made.err(),
        Some(SendError::Rtp(RtpError::PayloadType { .. }))
    ));
}

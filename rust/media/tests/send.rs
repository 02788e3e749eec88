//! Outbound audio: what the remote peer decrypts and decodes is what was pushed, when it was due.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a model of small numbers"
)]

mod sending;

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use gradio_webrtc_media::{
    AudioSender, NtpTime, OpusPacket, PathReport, RtpError, SendError, SenderTerms, SrtpError,
    SrtpProfile,
};
use proptest::prelude::*;
use sending::{FRAME, Network, SAMPLES, SSRC, START, at_frame, queue, srtp, terms};

/// The number of silent packets behind the last audio.
const TAIL: usize = 12;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn two_minutes_have_no_gap_and_no_drift() {
    let mut network = Network::new();
    while network.packets.len() < 6_000 {
        network.push(40);
        network.run_frames(40);
    }
    for (k, packet) in (0..).zip(&network.packets) {
        assert_eq!(packet.at, at_frame(k));
        let expected = terms().sequence_number.wrapping_add(k as u16);
        assert_eq!(packet.header.sequence_number, expected);
        let expected = terms().timestamp.wrapping_add(k * SAMPLES);
        assert_eq!(packet.header.timestamp, expected);
        assert_eq!(packet.header.marker, k == 0);
    }
}

#[test]
fn a_sine_arrives_as_a_sine() {
    for (rate_hz, stereo) in [(48_000, false), (16_000, false), (44_100, true)] {
        let mut network = Network::new();
        let sine: Vec<i16> = (0..rate_hz)
            .map(|k| ((TAU * 440.0 * f64::from(k) / f64::from(rate_hz)).sin() * 10_000.0) as i16)
            .collect();
        let doubled: Vec<i16> = sine.iter().flat_map(|&sample| [sample; 2]).collect();
        let chunk = if stereo {
            Chunk::Interleaved(&doubled)
        } else {
            Chunk::Mono(&sine)
        };
        let mut queue = network.sender.queue();
        assert_eq!(queue.push(rate_hz, chunk).unwrap(), sine.len());
        queue.end();
        drop(queue);
        network.run_frames(70);
        let (channels, audio) = network.decode();
        assert_eq!(channels, 1 + usize::from(stereo));
        let mono: Vec<f64> = (audio.chunks(channels))
            .map(|sample| f64::from(sample[0]))
            .collect();
        let steady = &mono[4_800..43_200];
        let (mut sine_part, mut cosine_part, mut power) = (0.0, 0.0, 0.0);
        for (k, sample) in steady.iter().enumerate() {
            let (sine, cosine) = (TAU * 440.0 * k as f64 / 48_000.0).sin_cos();
            sine_part += sample * sine;
            cosine_part += sample * cosine;
            power += sample * sample;
        }
        let tone = 2.0 * (sine_part.powi(2) + cosine_part.powi(2)) / steady.len() as f64;
        assert!(tone > 0.99 * power, "{tone} of {power} at {rate_hz} Hz");
        let peak = (2.0 * power / steady.len() as f64).sqrt();
        assert!((9_500.0..10_500.0).contains(&peak), "{peak}");
        assert!(
            mono[50_000..].iter().all(|sample| sample.abs() < 50.0),
            "silence"
        );
    }
}

#[test]
fn a_poll_that_comes_late_does_not_shift_the_clock() {
    let mut network = Network::new();
    network.push(45);
    for k in 0..45 {
        let late = if k % 10 == 3 { 55 } else { 0 };
        let now = network.sender.deadline().unwrap() + Duration::from_millis(late);
        network.poll(network.now.max(now));
    }
    let frames = u32::try_from(network.packets.len()).unwrap();
    assert!(frames >= 45);
    assert_eq!(network.sender.deadline(), Some(at_frame(frames)));
    assert_eq!(network.gaps(), []);
}

#[test]
fn a_stalled_machine_sends_those_that_are_due_and_no_more() {
    let mut network = Network::new();
    network.push(45);
    network.poll(START);
    let sent = network.poll(START + FRAME + Duration::from_millis(200));
    assert_eq!((sent.frames, sent.packets), (11, 11));
    assert_eq!(network.sender.deadline(), Some(at_frame(12)));
    assert_eq!(network.gaps(), []);
}

#[test]
fn a_clock_far_behind_starts_again_instead_of_bursting() {
    let mut network = Network::new();
    network.push(45);
    network.run_frames(3);
    let now = at_frame(2) + seconds(5);
    assert_eq!(network.poll(now).packets, 1);
    assert_eq!(network.sender.deadline(), Some(now + FRAME));
    assert_eq!(network.gaps(), [(3, 48_000 * 5)]);
    assert!(network.packets[3].header.marker);
}

#[test]
fn an_idle_sender_has_no_deadline_and_goes_on_in_real_time() {
    let mut network = Network::new();
    assert_eq!(network.sender.deadline(), None);
    network.poll(Duration::ZERO);
    network.now = START;
    network.push(2);
    network.run_to(seconds(70));
    assert_eq!(network.packets.len(), 2 + TAIL);
    assert_eq!(network.sender.deadline(), None);
    let sent = network.poll(seconds(70));
    assert_eq!((sent.packets, network.packets.len()), (0, 2 + TAIL));

    network.now = START + seconds(90);
    network.push(1);
    assert!(network.sender.deadline().unwrap() <= network.now);
    assert_eq!(network.poll(network.now).frames, 1);
    let last = network.packets.last().unwrap();
    let expected = terms().timestamp.wrapping_add(90 * 48_000);
    assert_eq!(
        (last.header.timestamp, last.header.marker),
        (expected, true)
    );
    assert_eq!(network.packets_of_audio(), [0, 1, 2 + TAIL]);
}

#[test]
fn a_short_gap_is_filled_with_silence_and_audio_goes_on_in_step() {
    let mut network = Network::new();
    network.push(2);
    network.run_to(START + Duration::from_millis(50));
    network.push(2);
    network.run_frames(5);
    assert_eq!(network.packets_of_audio(), [0, 1, 3, 4]);
    assert_eq!(network.gaps(), []);
}

#[test]
fn an_unfinished_frame_is_padded_only_after_a_while() {
    for samples in [960 + 480, 480] {
        let mut network = Network::new();
        network.push_samples(samples);
        network.run_frames(5);
        let whole = samples / 960;
        let mut expected: Vec<usize> = (0..whole).collect();
        expected.push(whole + 2);
        assert_eq!(network.packets_of_audio(), expected);
    }
}

#[test]
fn a_sample_that_only_the_resampler_has_is_sent() {
    let mut network = Network::new();
    network
        .sender
        .queue()
        .push(44_100, Chunk::Mono(&[10_000_i16]))
        .unwrap();
    let frames: u32 = (0..20)
        .map(|_| network.poll(network.now + FRAME).frames)
        .sum();
    assert_eq!(frames, 1);
    assert_eq!(network.sender.deadline(), None);
}

#[test]
fn a_producer_that_waits_for_room_goes_on_with_each_frame() {
    let mut network = Network::new();
    let audio = vec![5_000_i16; 5 * 48_000];
    let (mut taken, mut drained) = (0, Vec::new());
    taken += network
        .sender
        .queue()
        .push(48_000, Chunk::Mono(&audio))
        .unwrap();
    assert_eq!(taken, 48_000);
    for k in 0..250 {
        let sent = network.poll(at_frame(k));
        assert_eq!(sent.frames, 1);
        if sent.is_drained {
            drained.push(k);
        }
        taken += network
            .sender
            .queue()
            .push(48_000, Chunk::Mono(&audio[taken..]))
            .unwrap();
    }
    assert_eq!((taken, drained), (audio.len(), vec![249]));
}

#[test]
fn the_delay_of_a_reply_ends_with_its_first_frame() {
    let mut network = Network::new();
    network.push(1);
    network.run_frames(3);
    network.sender.expect_reply(network.now);
    let ms = Duration::from_millis;
    assert_eq!(network.poll(network.now + ms(30)).reply_delay, None);
    network.push(20);
    let sent = network.poll(network.now + ms(60));
    assert_eq!(sent.reply_delay, Some(ms(90)));
    let sent = network.poll(network.now + ms(60));
    assert_eq!((sent.frames, sent.reply_delay), (3, None));
}

#[test]
fn a_cleared_reply_ends_at_once_and_the_next_one_is_whole() {
    let mut network = Network::new();
    network.push(40);
    network.run_frames(10);
    network.sender.queue().clear();
    network.run_frames(5);
    network.push(3);
    network.run_to(seconds(20));
    assert_eq!(network.packets.len(), 15 + 3 + TAIL);
    let expected: Vec<usize> = (0..10).chain(15..18).collect();
    assert_eq!(network.packets_of_audio(), expected);
    assert_eq!(network.sender.deadline(), None);
    network.sender.queue().clear();
    assert_eq!(network.sender.deadline(), None);
}

#[test]
fn a_live_source_that_pauses_for_long_is_another_one() {
    for (pause, is_live) in [(seconds(1), true), (seconds(5), false)] {
        let mut network = Network::new();
        for k in 0..100 {
            network.now = at_frame(k);
            network.push(1);
            network.poll(at_frame(k));
        }
        network.run_to(at_frame(100) + pause);
        assert_eq!(network.sender.deadline(), None);
        network.push(3);
        network.poll(network.now);
        // Only of a source that is not live a frame may be ahead.
        assert_eq!(network.sender.queue().is_ahead(), !is_live);
    }
}

#[test]
fn a_sender_may_move_to_another_thread() {
    fn check<T: Send>() {}
    check::<AudioSender>();
}

#[test]
fn stereo_begins_with_the_first_frame_of_it_and_stays() {
    let mut network = Network::new();
    network.push(2);
    network.run_frames(3);
    let stereo: Vec<i16> = [8_000, -8_000].repeat(2 * 960);
    network
        .sender
        .queue()
        .push(48_000, Chunk::Interleaved(&stereo))
        .unwrap();
    network.run_frames(4);
    // The bit of the stereo packets (RFC 6716 section 3.1).
    let channels: Vec<u8> = (network.packets.iter())
        .map(|packet| 1 + (packet.payload[0] >> 2 & 1))
        .collect();
    assert_eq!(channels, [1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(network.packets_of_audio(), [0, 1, 3, 4]);
}

#[test]
fn header_extensions_are_those_that_were_negotiated() {
    let mut network = Network::new();
    network.push(1);
    network.run_frames(2);
    let [audio, silence] = &network.packets[..] else {
        panic!("expected two packets");
    };
    assert_eq!((audio.has_voice, audio.level_db), (false, 10));
    assert_eq!((silence.has_voice, silence.level_db), (false, 127));
    assert_eq!((audio.transport_number, silence.transport_number), (0, 1));
    assert_eq!(audio.mid, "audio");
}

#[test]
fn packets_sent_again_are_the_same_bytes_within_bounds() {
    let mut network = Network::new();
    network.push(45);
    network.run_frames(45);
    let first = terms().sequence_number;
    let mut resent = Vec::new();
    let now = network.now;
    let lost = [first, first.wrapping_add(44), first.wrapping_add(45), first];
    let count = (network.sender).nack(now, lost, |packet| resent.push(packet.to_vec()));
    assert_eq!(count, 2);
    assert_eq!(resent, [network.sent[0].clone(), network.sent[44].clone()]);
    assert_eq!(network.sender.stats().packets_resent, 2);
    assert_eq!(network.sender.stats().packets_sent, 45);
    // A reported round trip is the time until another request of the same packets counts.
    network
        .sender
        .report(now, &PathReport::new(0.0, Some(Duration::from_millis(30))));
    let again = |sender: &mut AudioSender, ms| {
        sender.nack(now + Duration::from_millis(ms), [first], |_| ())
    };
    assert_eq!(again(&mut network.sender, 29), 0);
    assert_eq!(again(&mut network.sender, 30), 1);
}

#[test]
fn a_hostile_request_costs_bounded_work() {
    let mut network = Network::new();
    for _ in 0..4 {
        network.push(40);
        network.run_frames(40);
    }
    let (mut looked_at, mut resent) = (0, 0);
    for k in 0..100 {
        let newest_first = (0..=u16::MAX).map(|n| {
            looked_at += 1;
            terms().sequence_number.wrapping_add(159).wrapping_sub(n)
        });
        let now = network.now + seconds(k);
        resent += network.sender.nack(now, newest_first, |_| ());
    }
    // 128 at first, and half of the 160 that were sent before do not count beyond them.
    assert_eq!(resent, 128);
    assert!(looked_at <= 100 * 129, "{looked_at}");
}

#[test]
fn nothing_is_sent_again_where_that_was_not_negotiated() {
    let mut network = Network::of(
        SenderTerms {
            has_nack: false,
            ..terms()
        },
        SrtpProfile::AeadAes128Gcm,
    );
    network.push(3);
    network.run_frames(3);
    let lost = (0..3).map(|k| terms().sequence_number.wrapping_add(k));
    let count = network.sender.nack(network.now, lost, |_| panic!("sent"));
    assert_eq!(count, 0);
}

#[test]
fn the_roll_over_counter_follows_the_wrap_around() {
    for profile in SrtpProfile::ALL {
        let mut network = Network::of(terms(), profile);
        for _ in 0..3 {
            network.push(40);
            network.run_frames(40);
        }
        // Each was decrypted when it came. One of the round before can still be requested.
        assert_eq!(network.packets.len(), 120);
        assert_eq!(network.gaps(), []);
        let mut resent = Vec::new();
        let last_of_round = [u16::MAX];
        let now = network.now;
        (network.sender).nack(now, last_of_round, |packet| {
            resent.extend_from_slice(packet);
        });
        let place = usize::from(u16::MAX - terms().sequence_number);
        assert_eq!(resent, network.sent[place]);
    }
}

#[test]
fn losses_that_are_reported_get_copies() {
    let mut network = Network::new();
    network
        .sender
        .report(Duration::ZERO, &PathReport::new(0.1, None));
    network.push(10);
    network.run_frames(10);
    let copies = |network: &Network, from: usize| {
        (network.packets[from..].iter())
            .filter(|packet| OpusPacket::read(&packet.payload).unwrap().has_fec())
            .count()
    };
    assert_eq!(copies(&network, 0), 0, "a report of no packets");
    network
        .sender
        .report(network.now, &PathReport::new(0.1, None));
    network.push(40);
    network.run_frames(40);
    assert!(copies(&network, 10) > 20, "{}", copies(&network, 10));
}

#[test]
fn sender_reports_relate_both_clocks_also_after_a_silence() {
    let mut network = Network::new();
    let ntp_time = NtpTime(5);
    assert_eq!(network.sender.sender_info(START, ntp_time), None);
    network.push(2);
    network.run_to(START + seconds(20));
    let payload_bytes: usize = (network.packets.iter())
        .map(|packet| packet.payload.len())
        .sum();
    let now = START + seconds(100);
    let info = network.sender.sender_info(now, ntp_time).unwrap();
    assert_eq!(info.ntp_time, ntp_time);
    assert_eq!(
        info.rtp_timestamp,
        terms().timestamp.wrapping_add(4_800_000)
    );
    assert_eq!(info.packets as usize, network.packets.len());
    assert_eq!(info.payload_bytes as usize, payload_bytes);
    // The next packet is on the same clock.
    network.now = now;
    network.push(1);
    network.poll(now);
    let last_timestamp = network.packets.last().unwrap().header.timestamp;
    assert_eq!(last_timestamp, info.rtp_timestamp);
    // A poll that comes late changes nothing about it.
    let late = now + Duration::from_millis(130);
    network.poll(late);
    let info = network.sender.sender_info(late, ntp_time).unwrap();
    let expected = last_timestamp.wrapping_add(130 * 48);
    assert_eq!(info.rtp_timestamp, expected);
}

#[test]
fn a_queue_of_another_rate_is_an_error() {
    let queue = Arc::new(Mutex::new(OutboundAudio::new(16_000, 1.0).unwrap()));
    let sender = AudioSender::new(terms(), srtp(SrtpProfile::AeadAes128Gcm).0, queue);
    let error = sender.err().unwrap();
    assert_eq!(error, SendError::QueueRate { frame_samples: 320 });
    assert!(error.to_string().contains("48000"));
}

#[test]
fn terms_that_cannot_be_kept_are_errors() {
    let refused = |change: fn(&mut SenderTerms)| {
        let mut terms = terms();
        change(&mut terms);
        AudioSender::new(terms, srtp(SrtpProfile::AeadAes128Gcm).0, queue()).err()
    };
    assert_eq!(
        refused(|terms| terms.payload_type = 128),
        Some(SendError::Rtp(RtpError::PayloadType { got: 128 }))
    );
    let extension = |id, bytes| Some(SendError::Rtp(RtpError::Extension { id, bytes }));
    assert_eq!(
        refused(|terms| terms.mid = Some(String::new())),
        extension(4, 0)
    );
    assert_eq!(
        refused(|terms| terms.extension_ids.audio_level = Some(15)),
        extension(15, 1)
    );
    let error = extension(15, 1).unwrap();
    assert!(error.to_string().contains("got identifier 15"));
}

#[test]
fn a_frame_that_cannot_be_sent_is_lost_and_time_goes_on() {
    let (mut keys, _) = srtp(SrtpProfile::AeadAes128Gcm);
    keys.resume_rtp(SSRC, (1 << 48) - 1).unwrap();
    let terms = SenderTerms {
        sequence_number: 0,
        ..terms()
    };
    let mut sender = AudioSender::new(terms, keys, queue()).unwrap();
    sender
        .queue()
        .push(48_000, Chunk::Mono(&[1_i16; 2_880]))
        .unwrap();
    for k in 0..3 {
        assert_eq!(
            sender.deadline().unwrap_or_default().max(START),
            at_frame(k)
        );
        let error = sender.poll(at_frame(k), |_| panic!("sent")).unwrap_err();
        assert_eq!(error, SendError::Srtp(SrtpError::Exhausted));
    }
    assert_eq!(sender.stats().frames_failed, 3);
    assert_eq!(sender.stats().packets_sent, 0);
    let sent = sender.poll(at_frame(2), |_| panic!("sent")).unwrap();
    assert_eq!((sent.frames, sent.packets, sent.is_drained), (3, 0, true));
    assert_eq!(sender.nack(START, [0, 1, 2], |_| ()), 0);
}

#[test]
fn a_number_that_cannot_be_used_does_not_stop_the_stream() {
    let (mut keys, _) = srtp(SrtpProfile::AeadAes128Gcm);
    keys.resume_rtp(SSRC, 65_501).unwrap();
    let mut sender = AudioSender::new(terms(), keys, queue()).unwrap();
    sender
        .queue()
        .push(48_000, Chunk::Mono(&[1_i16; 2_880]))
        .unwrap();
    let mut errors = 0;
    let sent = loop {
        match sender.poll(at_frame(errors), |_| ()) {
            Ok(sent) if sent.packets > 0 => break sent,
            Ok(_) => unreachable!("each frame was due"),
            Err(error) => assert_eq!(error, SendError::Srtp(SrtpError::Replayed)),
        }
        errors += 1;
    };
    assert_eq!((errors, sent.frames, sent.packets), (2, 3, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_pushed_when_leaves_on_the_clock_of_the_stream(
        steps in prop::collection::vec((0..5_u8, 0..3_000_usize, 0..400_u64), 1..40),
    ) {
        let mut network = Network::new();
        let (mut frames, mut packets) = (0, 0);
        for (kind, samples, wait_ms) in steps {
            let mut queue = network.sender.queue();
            match kind {
                0 => {
                    queue.clear();
                }
                1 => queue.end(),
                _ => {
                    let audio = vec![9_000_i16; samples];
                    let rate_hz = [48_000, 16_000, 44_100][usize::from(kind) - 2];
                    queue.push(rate_hz, Chunk::Mono(&audio)).unwrap();
                }
            }
            drop(queue);
            // A second at most waits in the queue, and the times of its frames may be missed.
            let sent = network.poll(network.now + Duration::from_millis(wait_ms));
            frames += sent.frames;
            packets += sent.packets;
            prop_assert!(sent.packets <= 11 && sent.frames <= sent.packets);
            let is_idle = network.sender.deadline().is_none();
            prop_assert!(!is_idle || network.sender.queue().is_empty());
        }
        prop_assert!(frames <= packets);
        check_clock(&network)?;
    }
}

/// Checks that no number is missing, and that each packet was sent about when its timestamp states.
fn check_clock(network: &Network) -> Result<(), TestCaseError> {
    for (index, packet) in (0..).zip(&network.packets) {
        let expected = terms().sequence_number.wrapping_add(index);
        prop_assert_eq!(packet.header.sequence_number, expected);
        // Up to 200 ms behind its place on the clock, or less than a frame before it.
        let passed = packet.at.saturating_sub(network.packets[0].at);
        let position = packet.header.timestamp.wrapping_sub(terms().timestamp);
        let place = Duration::from_micros(u64::from(position) * 1_000 / 48);
        prop_assert!(place <= passed + FRAME);
        prop_assert!(passed <= place + Duration::from_millis(201));
    }
    for (index, gap) in network.gaps() {
        prop_assert!(network.packets[index].header.marker && gap > SAMPLES);
    }
    Ok(())
}

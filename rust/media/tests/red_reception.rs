//! Redundant audio in, as Chromium sends it: what is lost and carried by a later packet is rebuilt to
//! the sample, and nothing that is no such does any harm.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::time::Duration;

use gradio_webrtc_media::{
    AudioReceiver, OpusApplication, OpusEncoder, PayloadTypes, ReceiveStats, RedEncoder,
};
use proptest::prelude::*;

const OPUS: u8 = 111;
const FRAME: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 960;

/// Packets of a tone that rises, 20 ms each.
fn packets(count: usize) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(1, OpusApplication::LowDelay).unwrap();
    let mut phase = 0.0_f32;
    (1..=count)
        .map(|number| {
            let frame: Vec<i16> = (0..SAMPLES)
                .map(|_| {
                    phase += 0.02 + 0.002 * f32::from(u8::try_from(number % 40).unwrap());
                    #[allow(clippy::cast_possible_truncation)] // within 16 bits
                    let sample = (8_000.0 * phase.sin()) as i16;
                    sample
                })
                .collect();
            let mut packet = Vec::new();
            encoder.encode(&frame, &mut packet).unwrap();
            packet
        })
        .collect()
}

struct Receiver {
    receiver: AudioReceiver,
    audio: Vec<i16>,
}

impl Receiver {
    fn new() -> Self {
        let receiver = AudioReceiver::new(48_000, None).unwrap();
        let audio = Vec::new();
        Self { receiver, audio }
    }

    fn take(&mut self, now: Duration) {
        while let Some(at) = self.receiver.deadline().filter(|at| *at < now) {
            self.receiver.take(at, &mut self.audio);
        }
        self.receiver.take(now, &mut self.audio);
    }

    fn end(mut self) -> (Vec<i16>, ReceiveStats) {
        self.take(Duration::from_secs(100));
        (self.audio, self.receiver.stats())
    }
}

/// Sends packets whose numbers begin with `first`, with so much redundancy, or without any RED, and
/// loses some.
fn receive(
    packets: &[Vec<u8>],
    first: u32,
    redundancy: Option<usize>,
    is_lost: impl Fn(usize) -> bool,
) -> (Vec<i16>, ReceiveStats) {
    let (mut encoder, mut receiver) = (RedEncoder::new(OPUS), Receiver::new());
    encoder.set_redundancy(redundancy.unwrap_or(0));
    for (at, packet) in packets.iter().enumerate() {
        let count = u32::try_from(at).unwrap();
        let now = FRAME * count;
        let timestamp = first.wrapping_add(count).wrapping_mul(SAMPLES);
        let number = (first.wrapping_add(count) & 0xffff) as u16;
        let mut payload = Vec::new();
        encoder.encode(timestamp, packet, &mut payload);
        receiver.take(now);
        if is_lost(at) {
            continue;
        }
        let formats = PayloadTypes::from_iter([OPUS]);
        match redundancy {
            Some(_) => {
                let inner = &mut receiver.receiver;
                inner.insert_red(now, 1, number, timestamp, &payload, formats);
            }
            None => receiver
                .receiver
                .insert(now, 1, number, timestamp, packet.clone()),
        }
        receiver.take(now);
    }
    receiver.end()
}

/// Of every twenty packets two in a row are lost: a tenth.
fn is_in_burst(at: usize) -> bool {
    at % 20 >= 18
}

#[test]
fn bursts_of_two_are_rebuilt_to_the_sample_by_two_copies() {
    let packets = packets(201);
    let (whole, _) = receive(&packets, 7, None, |_| false);
    let (rebuilt, stats) = receive(&packets, 7, Some(2), is_in_burst);
    assert!(whole == rebuilt, "the audio differs");
    assert_eq!(stats.jitter.concealed_samples, 0);
    assert_eq!(stats.jitter.packets_lost, 20);
    let used = stats.jitter.fec_packets_received - stats.jitter.fec_packets_discarded;
    assert_eq!(used, 20);
    let bytes: usize = packets.iter().map(Vec::len).sum();
    assert!(stats.bytes_received > 2 * bytes as u64);
}

#[test]
fn one_copy_rebuilds_the_second_of_two() {
    let packets = packets(201);
    let (audio, stats) = receive(&packets, 0xffff_fff0, Some(1), is_in_burst);
    assert_eq!(audio.len(), 201 * 960);
    assert_eq!(stats.jitter.concealed_samples, 10 * 960);
    let (_, stats) = receive(&packets, 0xffff_fff0, None, is_in_burst);
    assert_eq!(stats.jitter.concealed_samples, 20 * 960);
}

#[test]
fn a_copy_costs_no_time() {
    let packets = packets(4);
    let mut receiver = Receiver::new();
    let mut encoder = RedEncoder::new(OPUS);
    encoder.set_redundancy(1);
    for (at, packet) in (0_u16..).zip(&packets) {
        let timestamp = u32::from(at) * SAMPLES;
        let mut payload = Vec::new();
        encoder.encode(timestamp, packet, &mut payload);
        if at == 2 {
            continue;
        }
        let (now, formats) = (FRAME * u32::from(at), PayloadTypes::from_iter([OPUS]));
        let inner = &mut receiver.receiver;
        inner.insert_red(now, 1, at, timestamp, &payload, formats);
        assert_eq!(inner.deadline(), None);
        receiver.receiver.take(now, &mut receiver.audio);
    }
    assert_eq!(receiver.audio.len(), 4 * 960);
}

#[test]
fn what_is_no_redundant_audio_is_dropped_and_counted() {
    let mut receiver = Receiver::new();
    let packet = packets(1).remove(0);
    let formats = PayloadTypes::from_iter([OPUS]);
    for payload in [&[][..], &[0x80 | OPUS], &[96, 1, 2], &[0x80; 1_200]] {
        let inner = &mut receiver.receiver;
        inner.insert_red(FRAME, 1, 7, 0, payload, formats);
    }
    assert_eq!(receiver.receiver.ssrc(), None);
    let whole = [&[OPUS][..], &packet].concat();
    let inner = &mut receiver.receiver;
    inner.insert_red(FRAME, 1, 7, 0, &whole, formats);
    let (audio, stats) = receiver.end();
    assert_eq!(audio.len(), 960);
    assert_eq!(stats.red_packets_refused, 4);
    assert_eq!(stats.bytes_received, whole.len() as u64);
}

#[test]
fn another_stream_takes_no_copies_of_the_one_before() {
    let packets = packets(3);
    let (mut receiver, formats) = (Receiver::new(), PayloadTypes::from_iter([OPUS]));
    let inner = &mut receiver.receiver;
    inner.insert(FRAME, 1, 7, 6_720, packets[0].clone());
    let mut encoder = RedEncoder::new(OPUS);
    encoder.set_redundancy(1);
    encoder.encode(8_640, &packets[1], &mut Vec::new());
    let mut payload = Vec::new();
    encoder.encode(9_600, &packets[2], &mut payload);
    inner.insert_red(2 * FRAME, 2, 10, 9_600, &payload, formats);
    let (_, stats) = receiver.end();
    let jitter = stats.jitter;
    assert_eq!((jitter.packets_received, jitter.restarts), (2, 1));
    assert_eq!(jitter.fec_packets_discarded, 1);
}

/// Sends packets, each with so many before it. `send` changes a payload, given its packet's place and
/// the length of the copies, and returns how many numbers before it are used for something else.
fn receive_changed(
    packets: &[Vec<u8>],
    redundancy: usize,
    send: impl Fn(usize, usize, &mut Vec<u8>) -> u16,
) -> (Vec<i16>, ReceiveStats) {
    let (mut encoder, mut receiver) = (RedEncoder::new(OPUS), Receiver::new());
    encoder.set_redundancy(redundancy);
    let mut number = 65_500_u16;
    for (at, packet) in (0..).zip(packets) {
        let now = FRAME * at;
        let timestamp = (at * SAMPLES).wrapping_sub(20 * SAMPLES);
        let mut payload = Vec::new();
        encoder.encode(timestamp, packet, &mut payload);
        let copies = payload.len() - packet.len();
        number = number.wrapping_add(1 + send(at as usize, copies, &mut payload));
        receiver.take(now);
        let formats = PayloadTypes::from_iter([OPUS]);
        let inner = &mut receiver.receiver;
        inner.insert_red(now, 1, number, timestamp, &payload, formats);
        receiver.take(now);
    }
    receiver.end()
}

#[test]
fn numbers_without_audio_double_and_conceal_none() {
    let packets = packets(120);
    let (whole, _) = receive(&packets, 7, None, |_| false);
    for redundancy in 0..=3 {
        let (audio, stats) = receive_changed(&packets, redundancy, |at, _, _| {
            u16::from(at % 10 == 9) + 2 * u16::from(at % 17 == 16)
        });
        assert!(whole == audio, "the audio differs");
        assert_eq!(stats.jitter.concealed_samples, 0);
        assert_eq!(stats.jitter.resynchronizations, 0);
    }
}

#[test]
fn a_packet_that_is_empty_or_no_opus_is_rebuilt_by_the_next_one() {
    let packets = packets(121);
    let (whole, _) = receive(&packets, 7, None, |_| false);
    for own in [&[][..], &[31 << 3 | 3, 0]] {
        let (audio, stats) = receive_changed(&packets, 1, |at, copies, payload| {
            if at % 4 == 3 {
                payload.truncate(copies);
                payload.extend(own);
            }
            0
        });
        assert!(whole == audio, "the audio differs");
        assert_eq!(stats.jitter.concealed_samples, 0);
        assert_eq!(stats.red_packets_refused, 0);
    }
}

#[test]
fn a_packet_that_is_empty_still_has_its_copies() {
    let packets = packets(121);
    let (whole, _) = receive(&packets, 7, None, |_| false);
    // Two in a row are empty; the second has the one before the first, too.
    let (audio, stats) = receive_changed(&packets, 2, |at, copies, payload| {
        if at % 10 >= 8 {
            payload.truncate(copies);
        }
        0
    });
    assert!(whole == audio, "the audio differs");
    assert_eq!(stats.jitter.concealed_samples, 0);
    assert!(stats.jitter.packets_lost > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_packet_that_any_later_one_carries_is_played_once_and_in_its_place(
        first in any::<u32>(),
        redundancy in 0..4_usize,
        losses in prop::collection::vec(prop::bool::weighted(0.3), 60),
    ) {
        let packets = packets(62);
        // The first and the last two come.
        let is_lost = |at: usize| (1..60).contains(&at) && losses[at];
        let is_carried = |at: usize| (at..=at + redundancy).any(|later| later < 62 && !is_lost(later));
        let (audio, stats) = receive(&packets, first, Some(redundancy), is_lost);
        prop_assert_eq!(audio.len(), 62 * 960);
        let missing = (0..62).filter(|&at| !is_carried(at)).count() as u64;
        let jitter = stats.jitter;
        prop_assert_eq!(jitter.concealed_samples, missing * 960);
        let lost = (0..62).filter(|&at| is_lost(at)).count() as u64;
        prop_assert_eq!(jitter.fec_packets_received - jitter.fec_packets_discarded, lost - missing);
        if missing == 0 {
            let (whole, _) = receive(&packets, first, None, |_| false);
            prop_assert!(whole == audio, "the audio differs");
        }
    }

    #[test]
    fn any_bytes_make_no_more_audio_than_time_allows(
        payloads in prop::collection::vec(
            (
                prop::collection::vec((0x80..=0xff_u8, 0..4_u8, any::<u8>(), 0..40_u8), 0..11),
                prop::collection::vec(any::<u8>(), 0..400),
                any::<i8>(),
                0..60_u64,
            ),
            0..60,
        ),
    ) {
        let (mut receiver, mut now) = (Receiver::new(), Duration::ZERO);
        let mut number = 0_u16;
        for (headers, data, step, wait) in payloads {
            now += Duration::from_millis(wait);
            number = number.wrapping_add_signed(i16::from(step) / 16);
            let headers = headers
                .iter()
                .flat_map(|&(first, high, middle, low)| [first, high << 6 | 15, middle & !3, low]);
            let payload: Vec<u8> = headers.chain(data).collect();
            let timestamp = u32::from(number) * SAMPLES;
            let formats = (0..=127).collect();
            receiver.receiver.insert_red(now, 1, number, timestamp, &payload, formats);
            receiver.take(now);
        }
        let channels = receiver.receiver.channels();
        let taken = receiver.audio.len() / channels;
        prop_assert_eq!(receiver.audio.len() % channels, 0);
        // What `AudioBudget` allows.
        prop_assert!(Duration::from_secs(taken as u64) / 48_000 <= now.mul_f64(1.5) + Duration::from_secs(11));
    }
}

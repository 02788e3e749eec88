//! What a connection does to Opus: every rate, losses, forward error correction, any bytes.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

use gradio_webrtc_media::{OPUS_RATES_HZ, OpusApplication, OpusDecoder, OpusEncoder, OpusPacket};
use proptest::prelude::*;

const FRAME: usize = 960;

/// A voice to a codec: harmonics of a gliding fundamental, in syllables.
fn voice(frames: usize) -> Vec<i16> {
    let mut phase = 0.0_f64;
    (0..frames * FRAME)
        .map(|index| {
            let time_s = index as f64 / 48_000.0;
            phase += (140.0 + 30.0 * (time_s * 3.0).sin()) / 48_000.0;
            let syllable = (0.5 - 0.5 * (time_s * 4.0 * std::f64::consts::TAU).cos()).sqrt();
            let harmonics: f64 = (1..20)
                .map(|n| (phase * f64::from(n) * std::f64::consts::TAU).sin() / f64::from(n))
                .sum();
            (harmonics * syllable * 6_000.0) as i16
        })
        .collect()
}

fn packets(encoder: &mut OpusEncoder, audio: &[i16]) -> Vec<Vec<u8>> {
    audio
        .chunks_exact(FRAME * encoder.channels())
        .map(|frame| {
            let mut packet = Vec::new();
            encoder.encode(frame, &mut packet).unwrap();
            packet
        })
        .collect()
}

fn with_fec() -> OpusEncoder {
    let mut encoder = OpusEncoder::new(1, OpusApplication::Voice).unwrap();
    encoder.set_bit_rate(32_000).unwrap();
    encoder.set_fec(true).unwrap();
    encoder.set_expected_loss(20).unwrap();
    encoder
}

/// The distance of two signals, in dB of the first one's energy.
fn snr_db(of: &[i16], to: &[i16]) -> f64 {
    let energy = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let signal = energy(&mut of.iter().map(|v| f64::from(*v)));
    let noise = energy(
        &mut of
            .iter()
            .zip(to)
            .map(|(a, b)| f64::from(*a) - f64::from(*b)),
    );
    10.0 * (signal / noise.max(1.0)).log10()
}

#[test]
fn a_voice_survives_at_every_rate_in_mono_and_in_stereo() {
    let audio = voice(50);
    for rate_hz in OPUS_RATES_HZ {
        for channels in [1, 2] {
            let mut encoder = OpusEncoder::new(1, OpusApplication::LowDelay).unwrap();
            encoder.set_bit_rate(64_000).unwrap();
            let mut decoder = OpusDecoder::new(rate_hz, channels).unwrap();
            let mut heard = Vec::new();
            for packet in packets(&mut encoder, &audio) {
                decoder.decode(&packet, &mut heard).unwrap();
            }
            assert_eq!(heard.len(), rate_hz as usize * channels);
            let energy = |values: &[i16]| {
                let sum: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
                sum / values.len() as f64
            };
            let ratio = energy(&heard) / energy(&audio);
            assert!((0.8..1.2).contains(&ratio), "{rate_hz} Hz: {ratio}");
        }
    }
}

#[test]
fn error_correction_is_nearer_to_a_lost_packet_than_concealment() {
    let audio = voice(100);
    let packets = packets(&mut with_fec(), &audio);
    let copies = packets
        .iter()
        .filter(|packet| OpusPacket::read(packet).unwrap().has_fec())
        .count();
    assert!(copies > 70, "{copies} of 100 packets carry a copy");
    let mut whole = Vec::new();
    let mut decoder = OpusDecoder::new(48_000, 1).unwrap();
    for packet in &packets {
        decoder.decode(packet, &mut whole).unwrap();
    }
    let lossy = |is_fec: bool| {
        let (mut decoder, mut audio) = (OpusDecoder::new(48_000, 1).unwrap(), Vec::new());
        let (mut lost, mut expected) = (Vec::new(), Vec::new());
        for (index, packet) in packets.iter().enumerate() {
            if index % 5 == 3 {
                let start = audio.len();
                match packets.get(index + 1) {
                    Some(next) if is_fec => decoder.decode_fec(next, 960, &mut audio),
                    _ => decoder.conceal(960, &mut audio),
                }
                .unwrap();
                lost.extend_from_slice(&audio[start..]);
                expected.extend_from_slice(&whole[start..start + FRAME]);
            } else {
                decoder.decode(packet, &mut audio).unwrap();
            }
        }
        assert_eq!(audio.len(), whole.len());
        snr_db(&expected, &lost)
    };
    let (concealed, corrected) = (lossy(false), lossy(true));
    assert!(
        corrected > concealed + 5.0,
        "{concealed:.1} dB concealed, {corrected:.1} dB corrected"
    );
}

#[test]
fn a_silent_voice_has_flags_for_silence() {
    let mut audio = voice(60);
    audio[20 * FRAME..].fill(0);
    let packets = packets(&mut with_fec(), &audio);
    let voiced = |packet: &Vec<u8>| OpusPacket::read(packet).unwrap().has_voice();
    let spoken = packets[..20]
        .iter()
        .filter(|p| voiced(p) == Some(true))
        .count();
    let silent = packets[40..]
        .iter()
        .filter(|p| voiced(p) == Some(false))
        .count();
    assert!(spoken >= 15, "{spoken} of 20 are marked as voice");
    assert_eq!(silent, 20);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_and_the_decoder_lives(
        garbage in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
        rate in 0..5usize,
        channels in 1..=2usize,
    ) {
        let mut decoder = OpusDecoder::new(OPUS_RATES_HZ[rate], channels).unwrap();
        for packet in &garbage {
            let mut audio = Vec::new();
            let decoded = decoder.decode(packet, &mut audio);
            prop_assert_eq!(decoded.unwrap_or(0) * channels, audio.len());
            audio.clear();
            let corrected = decoder.decode_fec(packet, 960, &mut audio);
            prop_assert_eq!(corrected.unwrap_or(0) * channels, audio.len());
        }
        let (mut packet, mut audio) = (Vec::new(), Vec::new());
        let mut encoder = OpusEncoder::new(1, OpusApplication::LowDelay).unwrap();
        encoder.encode(&[0; FRAME], &mut packet).unwrap();
        prop_assert!(decoder.decode(&packet, &mut audio).is_ok());
    }

    #[test]
    fn any_audio_has_a_packet_of_its_length(
        frame in proptest::collection::vec(any::<i16>(), FRAME * 2),
        bit_rate in 6_000..510_000i32,
        is_voice in any::<bool>(),
    ) {
        let application = if is_voice { OpusApplication::Voice } else { OpusApplication::LowDelay };
        let mut encoder = OpusEncoder::new(2, application).unwrap();
        encoder.set_bit_rate(bit_rate).unwrap();
        let mut packet = Vec::new();
        encoder.encode(&frame, &mut packet).unwrap();
        prop_assert_eq!(OpusPacket::read(&packet).unwrap().samples(), 960);
    }
}

//! Arguments, and what has to be the same as libopus has it; `tests/opus.rs` has what a connection does to it.

use super::*;

#[test]
fn the_lowest_rate_with_the_whole_band_suits() {
    let rates = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 192_000];
    let suiting = [8_000, 12_000, 16_000, 24_000, 24_000, 48_000, 48_000];
    assert_eq!(rates.map(opus_rate_hz), suiting);
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let mut encoder = OpusEncoder::new(1, OpusApplication::Voice).unwrap();
    let refused = encoder.set_bit_rate(5_999).unwrap_err().to_string();
    assert_eq!(
        refused,
        "expected a bit rate from 6000 to 510000 bit/s, got 5999"
    );
    assert!(encoder.set_complexity(11).is_err());
    assert!(encoder.set_expected_loss(-1).is_err());
    assert!(encoder.set_expected_loss(100).is_ok());
}

#[test]
fn rates_and_channels_that_opus_lacks_are_refused() {
    let refused = OpusDecoder::new(44_100, 1).unwrap_err();
    assert_eq!(refused, OpusError::Rate { got_hz: 44_100 });
    let refused = OpusDecoder::new(48_000, 3).unwrap_err();
    assert_eq!(refused, OpusError::Channels { got: 3 });
    let refused = OpusEncoder::new(0, OpusApplication::Voice).unwrap_err();
    assert_eq!(refused, OpusError::Channels { got: 0 });
}

#[test]
fn a_frame_of_a_wrong_length_is_refused_and_leaves_no_packet() {
    let mut encoder = OpusEncoder::new(2, OpusApplication::LowDelay).unwrap();
    let mut packet = vec![1, 2, 3];
    let refused = encoder.encode(&[0; 960], &mut packet);
    assert!(refused.is_ok(), "480 samples of two channels are 10 ms");
    let refused = encoder.encode(&[0; 961], &mut packet).unwrap_err();
    assert_eq!(refused, OpusError::FrameLength { got: 480 });
    assert!(packet.is_empty());
}

#[test]
fn bytes_that_are_no_packet_are_an_error_and_add_nothing() {
    let mut decoder = OpusDecoder::new(48_000, 1).unwrap();
    let mut audio = vec![7];
    // Code 3 with no frames.
    let refused = decoder.decode(&[0xff, 0], &mut audio).unwrap_err();
    assert_eq!((refused, audio.len()), (OpusError::Packet, 1));
    // Two frames of equal length in an odd number of bytes.
    let refused = decoder.decode(&[0xf9, 1, 2, 3], &mut audio).unwrap_err();
    assert_eq!((refused, audio.len()), (OpusError::Packet, 1));
}

#[test]
fn samples_are_those_of_libopus_also_beyond_full_scale() {
    for channels in [1, 2] {
        let mut encoder = OpusEncoder::new(channels, OpusApplication::Voice).unwrap();
        encoder.set_bit_rate(24_000).unwrap();
        let mut ours = OpusDecoder::new(48_000, channels).unwrap();
        let mut theirs = OpusDecoder::new(48_000, channels).unwrap();
        let (mut packet, mut clipped) = (Vec::new(), 0);
        for nth in 0..200_usize {
            // Silence, soft and full; a square wave overshoots where it is coded.
            let height = [0, 700, 32_767, 32_767][nth / 3 % 4];
            let square = |n: usize| {
                if n / channels % 109 < 50 {
                    height
                } else {
                    -height
                }
            };
            let frame: Vec<i16> = (0..960 * channels).map(square).collect();
            encoder.encode(&frame, &mut packet).unwrap();
            let mut audio = [Vec::new(), Vec::new()];
            for (is_ours, decoder) in [(true, &mut ours), (false, &mut theirs)] {
                let audio = &mut audio[usize::from(is_ours)];
                match nth % 23 {
                    7 => decoder.conceal(960, audio).unwrap(),
                    11 => decoder.decode_fec(&packet, 960, audio).unwrap(),
                    _ if is_ours => decoder.decode(&packet, audio).unwrap(),
                    _ => by_libopus(decoder, &packet, audio),
                };
            }
            assert!(audio[0] == audio[1], "packet {nth} of {channels} channels");
            clipped += usize::from(ours.clipping[0].abs() > 0.0);
        }
        assert!(clipped > 10, "{clipped}");
    }
}

/// Decodes with libopus' own conversion to int16.
fn by_libopus(decoder: &mut OpusDecoder, packet: &[u8], audio: &mut Vec<i16>) -> usize {
    audio.resize(960 * decoder.channels, 0);
    let (bytes, length, frame_size) = call_arguments(Some(packet), 960).unwrap();
    // SAFETY: as in `fill`.
    let returned = unsafe {
        let (state, out) = (decoder.state.as_ptr(), audio.as_mut_ptr());
        sys::opus_decode(state, bytes, length, out, frame_size, 0)
    };
    count(returned).unwrap()
}

#[test]
fn missing_audio_has_the_length_that_was_asked_for() {
    for rate_hz in OPUS_RATES_HZ {
        let mut decoder = OpusDecoder::new(rate_hz, 2).unwrap();
        for samples in [120, 480, 960, 2_880, 5_760] {
            let mut audio = Vec::new();
            let filled = decoder.conceal(samples, &mut audio).unwrap();
            assert_eq!(u32::try_from(filled), Ok(samples * rate_hz / 48_000));
            assert_eq!(audio.len(), 2 * filled);
        }
    }
    let mut decoder = OpusDecoder::new(48_000, 1).unwrap();
    for samples in [0, 100, 5_880] {
        assert!(decoder.conceal(samples, &mut Vec::new()).is_err());
    }
}

#[test]
fn soft_clipping_goes_on_in_the_next_packet() {
    let mut decoder = OpusDecoder::new(48_000, 1).unwrap();
    let mut memory = [0.0; 2];
    for mut piece in [[0.5, 1.4, 1.2], [0.9, 0.7, -0.2], [0.3, 0.9, 0.1]] {
        let mut clipped = piece;
        // SAFETY: three samples of one channel, and a number for each of two.
        unsafe { sys::opus_pcm_soft_clip(clipped.as_mut_ptr(), 3, 1, memory.as_mut_ptr()) };
        let (mut audio, mut expected) = (Vec::new(), Vec::new());
        int16::append(&clipped, &mut expected);
        decoder.append(&mut piece, &mut audio);
        assert_eq!(audio, expected);
    }
}

//! `OutboundAudio`: from a handler's chunks to the session's frames.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use support::{drain, outbound};

#[test]
fn the_sessions_own_format_passes_unchanged() {
    let mut outbound = outbound();
    let samples: Vec<i16> = (0..1920).collect();
    assert_eq!(outbound.push(48_000, Chunk::Mono(&samples)), Ok(1920));
    assert_eq!(drain(&mut outbound), samples);
}

#[test]
fn a_full_buffer_takes_the_head_and_then_nothing() {
    let mut outbound = OutboundAudio::new(48_000, 0.04).unwrap();
    let samples: Vec<i16> = (0..3000).collect();
    assert_eq!(outbound.push(48_000, Chunk::Mono(&samples)), Ok(1920));
    assert_eq!(outbound.push(48_000, Chunk::Mono(&samples[1920..])), Ok(0));
    assert_eq!(outbound.pull(false), Some(&samples[..960]));
    assert_eq!(
        outbound.push(48_000, Chunk::Mono(&samples[1920..])),
        Ok(960)
    );
    assert_eq!(drain(&mut outbound), samples[960..2880]);
}

#[test]
fn the_end_of_a_stream_is_padded_and_not_kept_for_the_next() {
    let mut outbound = outbound();
    outbound.push(48_000, Chunk::Mono(&[7_i16; 961])).unwrap();
    outbound.end();
    outbound.end();
    outbound.push(48_000, Chunk::Mono(&[9_i16; 960])).unwrap();
    let samples = drain(&mut outbound);
    assert_eq!(samples.len(), 3 * 960);
    assert_eq!(
        (samples[960], samples[961], samples[1919], samples[1920]),
        (7, 0, 0, 9)
    );
}

#[test]
fn a_partial_pull_returns_the_rest_once() {
    let mut outbound = outbound();
    outbound.push(48_000, Chunk::Mono(&[7_i16; 961])).unwrap();
    assert_eq!(outbound.pull(true), Some(&[7; 960][..]));
    assert_eq!(outbound.pull(false), None);
    assert_eq!(
        outbound.pull(true).map(|frame| (frame[0], frame[1])),
        Some((7, 0))
    );
    assert_eq!(outbound.pull(true), None);
}

#[test]
fn the_resamplers_tail_is_part_of_the_end() {
    for rate_hz in [8_000_u32, 16_000, 22_050, 24_000, 44_100] {
        let mut outbound = OutboundAudio::new(48_000, 2.0).unwrap();
        let second = vec![1000_i16; rate_hz as usize];
        assert_eq!(
            outbound.push(rate_hz, Chunk::Mono(&second)),
            Ok(second.len())
        );
        outbound.end();
        let samples = drain(&mut outbound);
        let loud = samples.iter().filter(|&&sample| sample > 500).count();
        assert!(loud.abs_diff(48_000) <= 2, "{rate_hz} Hz: {loud}");
    }
}

#[test]
fn a_change_of_rate_leaves_no_gap_and_loses_nothing() {
    let mut outbound = OutboundAudio::new(48_000, 2.0).unwrap();
    for rate_hz in [24_000, 16_000, 48_000, 8_000] {
        let stretch = vec![1000_i16; rate_hz as usize / 4];
        outbound.push(rate_hz, Chunk::Mono(&stretch)).unwrap();
    }
    outbound.end();
    let samples = drain(&mut outbound);
    let first = samples.iter().position(|&sample| sample > 900).unwrap();
    let last = samples.iter().rposition(|&sample| sample > 900).unwrap();
    assert!((last - first).abs_diff(48_000) < 48, "{first} to {last}");
    // Half a sample after its last input a filter's output is at half height; a gap would be
    // silence.
    let lowest = samples[first..last].iter().min();
    assert!(lowest > Some(&100), "{lowest:?}");
}

#[test]
fn stereo_once_is_stereo_for_good() {
    let mut outbound = outbound();
    outbound.push(48_000, Chunk::Mono(&[1_i16; 480])).unwrap();
    assert_eq!(outbound.channels(), 1);
    outbound
        .push(48_000, Chunk::Planar(&[2_i16; 240], &[3; 240]))
        .unwrap();
    outbound
        .push(48_000, Chunk::Interleaved(&[4_i16, 5].repeat(120)))
        .unwrap();
    outbound.push(48_000, Chunk::Mono(&[6_i16; 120])).unwrap();
    assert_eq!(outbound.channels(), 2);
    let frame = outbound.pull(false).unwrap();
    let pair = |index: usize| [frame[2 * index], frame[2 * index + 1]];
    assert_eq!(
        [0, 479, 480, 719, 720, 839, 840, 959].map(pair),
        [
            [1, 1],
            [1, 1],
            [2, 3],
            [2, 3],
            [4, 5],
            [4, 5],
            [6, 6],
            [6, 6]
        ]
    );
}

#[test]
fn clear_drops_all_samples_and_returns_their_number() {
    let mut outbound = outbound();
    outbound
        .push(48_000, Chunk::Planar(&[2_i16; 1000], &[3; 1000]))
        .unwrap();
    assert_eq!(outbound.clear(), 1000);
    assert_eq!(outbound.pull(true), None);
    assert_eq!((outbound.clear(), outbound.channels()), (0, 2));
}

#[test]
fn a_non_finite_sample_is_counted_once() {
    let mut outbound = outbound();
    outbound
        .push(
            48_000,
            Chunk::Planar(&[f32::NAN, 0.5], &[f32::INFINITY, 0.5]),
        )
        .unwrap();
    outbound.push(48_000, Chunk::Mono(&[f32::NAN])).unwrap();
    assert_eq!(outbound.non_finite(), 3);
    let frame = outbound.pull(true).unwrap();
    assert_eq!(frame[..6], [0, 0, 16384, 16384, 0, 0]);
}

#[test]
fn a_refused_chunk_changes_nothing() {
    let mut outbound = outbound();
    outbound
        .push(24_000, Chunk::Mono(&[1000_i16; 480]))
        .unwrap();
    let before = outbound.buffered_s();
    assert!(outbound.push(7_999, Chunk::Mono(&[1_i16; 480])).is_err());
    assert!(
        outbound
            .push(24_000, Chunk::Interleaved(&[1_i16; 3]))
            .is_err()
    );
    assert!(
        outbound
            .push(24_000, Chunk::Planar(&[1_i16; 3], &[1; 2]))
            .is_err()
    );
    assert_eq!((outbound.buffered_s(), outbound.channels()), (before, 1));
}

#[test]
fn settings_out_of_range_are_refused() {
    for (rate_hz, max_s) in [
        (48_000, 0.01),
        (48_000, f64::NAN),
        (44_110, 1.0),
        (4_000, 1.0),
    ] {
        assert!(
            OutboundAudio::new(rate_hz, max_s).is_err(),
            "{rate_hz} Hz, {max_s} s"
        );
    }
    assert_eq!(
        OutboundAudio::new(44_100, 1.0).unwrap().frame_samples(),
        882
    );
}

#[test]
fn a_buffer_is_empty_once_a_resampler_holds_nothing_back() {
    let mut outbound = outbound();
    assert!(outbound.is_empty());
    outbound.push(44_100, Chunk::Mono(&[1_000_i16])).unwrap();
    assert!(!outbound.is_empty());
    assert!(outbound.pull(false).is_none());
    assert!(!outbound.is_empty());
    assert!(outbound.pull(true).is_some());
    assert!(outbound.is_empty());
    outbound
        .push(48_000, Chunk::Mono(&[1_000_i16; 960]))
        .unwrap();
    outbound.end();
    assert!(!outbound.is_empty());
    outbound.clear();
    assert!(outbound.is_empty());
}

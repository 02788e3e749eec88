//! A reply that is held while somebody speaks over it, and goes on.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a helper of tests"
)]

mod support;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use proptest::prelude::*;
use support::{drain, outbound};

fn is_near(seconds: f64, expected_s: f64) -> bool {
    (seconds - expected_s).abs() < 1e-9
}

/// Pulls so many frames.
fn pull(outbound: &mut OutboundAudio, frames: usize) -> Vec<i16> {
    let pulled = (0..frames).filter_map(|_| outbound.pull(false).map(<[i16]>::to_vec));
    pulled.flatten().collect()
}

#[test]
fn a_hold_keeps_everything_and_goes_on_a_little_further_back() {
    let mut outbound = outbound();
    outbound.keep_pulled(0.2);
    let samples: Vec<i16> = (0..28_800).map(|at| at + 1_000).collect();
    outbound.push(48_000, Chunk::Mono(&samples)).unwrap();
    pull(&mut outbound, 15);
    outbound.hold(0.2, 0.0);
    assert!(outbound.is_held() && outbound.is_empty() && !outbound.has_frame());
    assert!(!outbound.is_ahead());
    assert_eq!(outbound.pull(false), None);
    assert_eq!(outbound.pull(true), None);
    assert!(is_near(outbound.buffered_s(), 0.3));
    assert!(is_near(outbound.release(), 0.2));
    assert!(!outbound.is_held() && outbound.has_frame());
    assert!(is_near(outbound.buffered_s(), 0.5));
    let rest = drain(&mut outbound);
    // Faded in over 5 ms, and exact from there on.
    assert_eq!((rest[0], rest[120]), (0, (samples[4_800 + 120]) / 2));
    assert_eq!(rest[240..], samples[4_800 + 240..]);
}

#[test]
fn a_hold_has_the_writer_wait_and_a_clear_ends_it() {
    let mut outbound = OutboundAudio::new(48_000, 0.1).unwrap();
    outbound.keep_pulled(0.2);
    outbound
        .push(48_000, Chunk::Mono(&vec![1_i16; 4_800]))
        .unwrap();
    pull(&mut outbound, 2);
    outbound.hold(0.2, 0.0);
    assert_eq!(
        outbound.push(48_000, Chunk::Mono(&vec![2_i16; 4_800])),
        Ok(1_920)
    );
    assert_eq!(
        outbound.push(48_000, Chunk::Mono(&vec![2_i16; 4_800])),
        Ok(0)
    );
    assert_eq!(outbound.clear(), 4_800);
    assert!(!outbound.is_held());
    assert!(is_near(outbound.release(), 0.0));
    outbound
        .push(48_000, Chunk::Mono(&vec![3_i16; 960]))
        .unwrap();
    assert_eq!(outbound.pull(false), Some(&[3; 960][..]));
}

#[test]
fn what_nobody_has_played_comes_once_more_and_nothing_of_what_came_before_it() {
    let mut outbound = outbound();
    outbound.keep_pulled(1.2);
    outbound
        .push(48_000, Chunk::Mono(&vec![1_i16; 9_600]))
        .unwrap();
    outbound.end();
    outbound
        .push(48_000, Chunk::Mono(&vec![2_i16; 28_800]))
        .unwrap();
    pull(&mut outbound, 25);
    outbound.hold(0.1, 0.15);
    assert!(is_near(outbound.release(), 0.25));
    pull(&mut outbound, 12);
    outbound.hold(0.1, 0.9);
    // It began 0.3 s ago.
    assert!(is_near(outbound.release(), 0.29));
    let rest = drain(&mut outbound);
    // Twice it was faded in.
    let whole = rest.iter().filter(|&&it| it == 2).count();
    assert_eq!(whole, rest.len() - 2 * 240);
}

#[test]
fn the_rewound_end_of_a_stream_is_in_both_channels() {
    let mut outbound = outbound();
    outbound.keep_pulled(0.2);
    let planes = (vec![3_i16; 9_600], vec![4_i16; 9_600]);
    outbound
        .push(48_000, Chunk::Planar(&planes.0, &planes.1))
        .unwrap();
    outbound.end();
    drain(&mut outbound);
    outbound.hold(0.1, 0.0);
    assert!(is_near(outbound.release(), 0.1));
    let rest = drain(&mut outbound);
    assert_eq!(rest.len(), 2 * 4_800);
    assert_eq!(rest[9_598..], [3, 4]);
}

#[test]
fn without_being_asked_to_it_keeps_no_more_than_it_needs() {
    let mut outbound = outbound();
    outbound
        .push(48_000, Chunk::Mono(&vec![1_i16; 48_000]))
        .unwrap();
    pull(&mut outbound, 30);
    outbound.hold(0.2, 0.0);
    assert!(outbound.release() < 0.03);
}

/// The sample at a place in a reply.
fn sample(at: usize) -> i16 {
    i16::try_from(at % 30_000).unwrap()
}

#[derive(Debug, Clone)]
enum Act {
    Pull(usize),
    Hold(f64, f64),
    Release,
    Idle(f64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..30_usize).prop_map(Act::Pull),
        (0.0..0.4, 0.0..0.2).prop_map(|(rewind_s, unplayed_s)| Act::Hold(rewind_s, unplayed_s)),
        Just(Act::Release),
        (0.0..3.0).prop_map(Act::Idle),
    ]
}

proptest! {
    #[test]
    fn whenever_it_is_held_nothing_is_lost_and_nothing_out_of_order(
        acts in proptest::collection::vec(act(), 1..40),
    ) {
        let (mut outbound, mut pushed, mut at, mut faded) = (outbound(), 0, 0, 0);
        outbound.keep_pulled(0.5);
        for act in acts {
            // As much as has room, and more, as of a reply that waits.
            let chunk: Vec<i16> = (pushed..pushed + 60_000).map(sample).collect();
            pushed += outbound.push(48_000, Chunk::Mono(&chunk)).unwrap();
            match act {
                Act::Pull(frames) => {
                    for frame in pull(&mut outbound, frames).chunks(960) {
                        for (place, &got) in (at..).zip(frame) {
                            prop_assert!(place < faded || got == sample(place), "{place}");
                        }
                        at += 960;
                    }
                }
                Act::Hold(rewind_s, unplayed_s) => outbound.hold(rewind_s, unplayed_s),
                Act::Idle(seconds) => outbound.note_idle(seconds),
                Act::Release => {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let back = (outbound.release() * 48_000.0).round() as usize;
                    prop_assert!(back <= at.min(24_000));
                    // Samples that were faded in may be there a second time.
                    faded = if back > 0 { faded.max(at) } else { faded };
                    at -= back;
                }
            }
            prop_assert!(is_near(outbound.buffered_s(), (pushed - at) as f64 / 48_000.0));
        }
    }
}

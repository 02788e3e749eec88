//! Audio that comes between the parts of a reply.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use support::{drain, outbound};

/// A tone at 24 kHz, whose conversion depends on what came before.
fn tone(samples: i16) -> Vec<i16> {
    (0..samples).map(|at| (at % 97) * 100 - 4_800).collect()
}

fn pull(outbound: &mut OutboundAudio, frames: usize) -> Vec<i16> {
    let pulled = (0..frames).filter_map(|_| outbound.pull(false).map(<[i16]>::to_vec));
    pulled.flatten().collect()
}

#[test]
fn a_reply_goes_on_behind_it_as_if_nothing_had_come_between() {
    let (first, second) = (tone(9_600), tone(4_801));
    let mut whole = outbound();
    whole.push(24_000, Chunk::Mono(&first)).unwrap();
    whole.push(24_000, Chunk::Mono(&second)).unwrap();
    whole.end();
    let expected = drain(&mut whole);

    let mut outbound = outbound();
    outbound.push(24_000, Chunk::Mono(&first)).unwrap();
    let mut got = pull(&mut outbound, 7);
    let waiting_s = outbound.buffered_s();
    assert_eq!(outbound.aside_s(), None);
    assert_eq!(outbound.set_aside(), Ok(false));
    assert!(outbound.is_empty());
    assert_eq!(outbound.aside_s(), Some(waiting_s));
    outbound.push(8_000, Chunk::Mono(&[500_i16; 800])).unwrap();
    // Without effect: it is aside already.
    assert_eq!(outbound.set_aside(), Ok(false));
    outbound.end();
    assert!(drain(&mut outbound).len() >= 4_800);
    outbound.take_back();
    assert_eq!(outbound.aside_s(), None);
    outbound.push(24_000, Chunk::Mono(&second)).unwrap();
    outbound.end();
    got.extend(drain(&mut outbound));
    assert!(
        got == expected,
        "{} samples of {}",
        got.len(),
        expected.len()
    );
}

#[test]
fn what_is_not_pulled_until_then_is_dropped() {
    let mut outbound = outbound();
    outbound.push(48_000, Chunk::Mono(&[1_i16; 960])).unwrap();
    outbound.set_aside().unwrap();
    outbound.push(48_000, Chunk::Mono(&[2_i16; 1_920])).unwrap();
    outbound.take_back();
    outbound.take_back();
    assert_eq!(drain(&mut outbound), [1_i16; 960]);
}

#[test]
fn stereo_that_came_between_stays() {
    let mut outbound = outbound();
    outbound.push(48_000, Chunk::Mono(&[1_i16; 1_000])).unwrap();
    outbound.set_aside().unwrap();
    outbound
        .push(48_000, Chunk::Planar(&[2_i16; 960], &[3_i16; 960]))
        .unwrap();
    assert_eq!(drain(&mut outbound).len(), 2 * 960);
    outbound.take_back();
    assert_eq!(outbound.channels(), 2);
    outbound.push(48_000, Chunk::Mono(&[1_i16; 920])).unwrap();
    assert_eq!(drain(&mut outbound), [1_i16; 4 * 960]);
}

#[test]
fn clear_drops_both_and_counts_what_was_about_to_be_pulled() {
    let mut outbound = outbound();
    outbound
        .push(48_000, Chunk::Mono(&vec![1_i16; 9_600]))
        .unwrap();
    outbound.set_aside().unwrap();
    outbound.push(48_000, Chunk::Mono(&[2_i16; 960])).unwrap();
    assert_eq!(outbound.clear(), 960);
    assert_eq!((outbound.aside_s(), outbound.pull(true)), (None, None));
}

#[test]
fn a_hold_is_of_what_is_played_then() {
    let mut outbound = outbound();
    outbound.keep_pulled(0.2);
    outbound
        .push(48_000, Chunk::Mono(&vec![1_i16; 9_600]))
        .unwrap();
    pull(&mut outbound, 4);
    outbound.set_aside().unwrap();
    outbound
        .push(48_000, Chunk::Mono(&vec![2_i16; 9_600]))
        .unwrap();
    pull(&mut outbound, 2);
    outbound.hold(0.2, 0.0);
    assert_eq!(outbound.pull(false), None);
    // No further back than to its beginning.
    assert!((outbound.release() - 0.04).abs() < 1e-9);
    assert_eq!(pull(&mut outbound, 10).len(), 9_600);
    outbound.take_back();
    outbound.hold(0.2, 0.0);
    assert!((outbound.release() - 0.08).abs() < 1e-9);
    assert_eq!(pull(&mut outbound, 10)[240..], vec![1_i16; 9_600 - 240]);
}

//! Pauses of a sender that timestamps show and sequence numbers do not.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::time::Duration;

use gradio_webrtc_media::{JitterBuffer, Slot};
use support::{SAMPLES, ms, payload};

fn keeping_pauses() -> JitterBuffer {
    let mut buffer = JitterBuffer::new();
    buffer.keep_pauses();
    buffer
}

/// Receives a packet, and returns how much silence and how many packets leave.
fn pass(buffer: &mut JitterBuffer, now: Duration, number: u16, timestamp: u32) -> (u32, usize) {
    buffer.insert(now, number, timestamp, payload(number.into(), false));
    taken(buffer, now)
}

fn taken(buffer: &mut JitterBuffer, now: Duration) -> (u32, usize) {
    let (mut silence, mut packets) = (0, 0);
    while let Some(slot) = buffer.next(now) {
        match slot {
            Slot::Packet(_) => packets += 1,
            Slot::Missing { samples, .. } | Slot::Silence { samples } => silence += samples,
        }
    }
    (silence, packets)
}

/// What leaves with the first packet behind a pause, so long by the timestamps and by the clock.
fn behind_a_pause(mut buffer: JitterBuffer, pause_ms: u32, passed_ms: u64) -> (u32, usize) {
    assert_eq!(pass(&mut buffer, ms(0), 0, 0), (0, 1));
    pass(&mut buffer, ms(passed_ms), 1, SAMPLES + 48 * pause_ms)
}

#[test]
fn a_pause_is_silence_for_those_who_detect_it() {
    assert_eq!(behind_a_pause(JitterBuffer::new(), 2_000, 2_000), (0, 1));
    assert_eq!(behind_a_pause(keeping_pauses(), 2_000, 2_000), (96_000, 1));
    // A shorter one is silence for everybody.
    assert_eq!(behind_a_pause(JitterBuffer::new(), 400, 400), (19_200, 1));
    assert_eq!(behind_a_pause(keeping_pauses(), 400, 0), (19_200, 1));
}

#[test]
fn a_hole_is_concealed_for_60_ms_for_those_who_detect_pauses() {
    for (mut buffer, concealed) in [(keeping_pauses(), 2_880), (JitterBuffer::new(), 4_800)] {
        pass(&mut buffer, ms(0), 0, 0);
        buffer.insert(ms(200), 10, 10 * SAMPLES, payload(10, false));
        let deadline = buffer.deadline().unwrap();
        let missing = Slot::Missing {
            samples: concealed,
            copy_in: None,
        };
        assert_eq!(buffer.next(deadline), Some(missing));
    }
}

#[test]
fn a_pause_has_a_bound() {
    for pause_ms in [3_001, 60_000, 3_600_000] {
        let passed_ms = u64::from(pause_ms);
        assert_eq!(
            behind_a_pause(keeping_pauses(), pause_ms, passed_ms),
            (144_000, 1)
        );
    }
}

#[test]
fn a_pause_is_no_longer_than_the_time_that_has_passed() {
    // As where another source goes on in the same stream.
    assert_eq!(behind_a_pause(keeping_pauses(), 60_000, 1_000), (48_000, 1));
    assert_eq!(behind_a_pause(keeping_pauses(), 60_000, 0), (0, 1));
}

#[test]
fn timestamps_that_run_backwards_are_no_pause() {
    let mut buffer = keeping_pauses();
    pass(&mut buffer, ms(0), 0, 480_000);
    assert_eq!(pass(&mut buffer, ms(2_000), 1, 0), (0, 1));
}

#[test]
fn lost_packets_are_no_pause() {
    let mut buffer = keeping_pauses();
    pass(&mut buffer, ms(0), 0, 0);
    assert_eq!(pass(&mut buffer, ms(2_000), 100, 100 * SAMPLES), (0, 0));
    let late = buffer.deadline().unwrap();
    assert_eq!(taken(&mut buffer, late), (0, 1));
}

#[test]
fn what_a_sender_that_never_pauses_claims_is_bounded() {
    let mut buffer = keeping_pauses();
    let samples: u64 = (0..500u16)
        .map(|number| {
            let now = ms(20 * u64::from(number));
            u64::from(pass(&mut buffer, now, number, u32::from(number) * 480_000).0)
        })
        .sum();
    // Ten seconds have passed.
    assert!(samples <= 480_000, "{samples}");
}

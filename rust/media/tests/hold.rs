//! A held reply on the clock of its stream.

#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a model of small numbers that has more than this needs"
)]

mod sending;

use sending::{Network, SAMPLES, at_frame, terms};

/// The number of silent packets behind the last audio.
const SILENT_FRAMES: usize = 12;

#[test]
fn a_held_reply_is_silence_and_goes_on_in_step_with_the_clock() {
    for (held, is_gap) in [(5, false), (60, true)] {
        let mut network = Network::new();
        network.sender.queue().keep_pulled(0.2);
        network.push(40);
        network.run_frames(20);
        network.sender.queue().hold(0.2, 0.0);
        network.run_frames(held);
        let silent = SILENT_FRAMES.min(held);
        assert_eq!(network.packets.len(), 20 + silent);
        assert_eq!(network.sender.deadline().is_none(), is_gap);
        assert!(network.packets[20..].iter().all(|it| it.level_db == 127));
        network.now = network.now.max(at_frame(20 + held as u32));
        assert!(network.sender.queue().release() > 0.19);
        network.run_frames(30);
        let resumed = &network.packets[20 + silent..];
        assert_eq!(resumed.len(), 30);
        for (k, packet) in (20 + held as u32..).zip(resumed) {
            assert_eq!(packet.at, at_frame(k));
            let expected = terms().timestamp.wrapping_add(k * SAMPLES);
            assert_eq!(packet.header.timestamp, expected);
            assert_eq!(packet.header.marker, is_gap && k == 20 + held as u32);
            assert!(packet.level_db < 127);
        }
    }
}

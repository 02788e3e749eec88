//! The rules of the jitter buffer, one by one, in virtual time.
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::time::Duration;

use gradio_webrtc_media::{Insertion, JitterBuffer, Slot};
use support::{SAMPLES, ms, number, payload};

/// A buffer, with the numbers and slots written shortly.
struct Probe {
    buffer: JitterBuffer,
    /// Counted on to the sequence numbers and timestamps of packets.
    first: u64,
    has_fec: bool,
}

impl Probe {
    fn new() -> Self {
        Self::starting_at(0)
    }

    fn starting_at(first: u64) -> Self {
        Self {
            buffer: JitterBuffer::new(),
            first,
            has_fec: false,
        }
    }

    fn with_fec() -> Self {
        Self {
            has_fec: true,
            ..Self::new()
        }
    }

    /// Receives a packet of 20 ms in its place of the sequence.
    fn insert(&mut self, now: Duration, number: u64) -> Insertion {
        self.insert_at(now, number, number * u64::from(SAMPLES))
    }

    fn insert_at(&mut self, now: Duration, number: u64, timestamp: u64) -> Insertion {
        let sequence = low_16(self.first + number);
        let timestamp = low_32(self.first * u64::from(SAMPLES) + timestamp);
        let payload = payload(number, self.has_fec);
        self.buffer.insert(now, sequence, timestamp, payload)
    }

    /// What is decided by now, in short.
    fn take(&mut self, now: Duration) -> String {
        let mut slots = Vec::new();
        while let Some(slot) = self.buffer.next(now) {
            slots.push(match slot {
                Slot::Packet(packet) => number(&packet.payload).to_string(),
                Slot::Silence { samples } => format!("silence {samples}"),
                Slot::Missing { samples, copy_in } => match copy_in {
                    Some(next) => format!("copy {samples} in {}", number(next)),
                    None => format!("missing {samples}"),
                },
            });
        }
        slots.join(", ")
    }

    /// Receives packets at one time and takes what is decided.
    fn pass(&mut self, now: Duration, numbers: impl IntoIterator<Item = u64>) -> String {
        let taken = numbers.into_iter().map(|number| {
            self.insert(now, number);
            self.take(now)
        });
        let taken: Vec<_> = taken.filter(|slots| !slots.is_empty()).collect();
        taken.join(", ")
    }
}

fn low_16(number: u64) -> u16 {
    u16::try_from(number % (1 << 16)).unwrap()
}

fn low_32(number: u64) -> u32 {
    u32::try_from(number % (1 << 32)).unwrap()
}

/// A path on which packets were late by this much.
fn late_by(lateness: Duration) -> Probe {
    let mut probe = Probe::new();
    for round in 0..8 {
        probe.pass(ms(0), [2 * round + 1]);
        probe.pass(lateness, [2 * round]);
    }
    probe
}

#[test]
fn packets_in_order_leave_at_once_wherever_the_counters_are() {
    for first in [0, 65_500, (1 << 32) / 960 - 50, 1 << 31] {
        let mut probe = Probe::starting_at(first);
        for number in 0..100 {
            let now = ms(20 * number);
            assert_eq!(probe.pass(now, [number]), number.to_string(), "{first}");
            assert_eq!(probe.buffer.deadline(), None);
        }
        assert_eq!(probe.buffer.stats().jitter_buffer_delay_ns, 0);
    }
}

#[test]
fn packets_leave_in_the_order_in_which_they_were_sent() {
    let mut probe = Probe::starting_at(65_533);
    assert_eq!(probe.pass(ms(0), [0, 2, 4, 3, 1, 5]), "0, 1, 2, 3, 4, 5");
}

#[test]
fn a_hole_is_given_up_by_time_and_not_by_the_number_of_packets() {
    let mut probe = Probe::new();
    assert_eq!(probe.pass(ms(0), [0, 2, 3, 4, 5, 6, 7, 8]), "0");
    assert_eq!(probe.buffer.deadline(), Some(ms(20)));
    assert_eq!(probe.take(ms(19)), "");
    assert_eq!(probe.take(ms(20)), "missing 960, 2, 3, 4, 5, 6, 7, 8");
}

#[test]
fn a_packet_that_comes_before_the_deadline_is_used() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 2]);
    assert_eq!(probe.pass(ms(19), [1]), "1, 2");
}

#[test]
fn nothing_is_missing_before_something_later_came() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    assert_eq!(probe.buffer.deadline(), None);
    assert_eq!(probe.take(ms(10_000)), "");
}

#[test]
fn each_hole_has_its_own_deadline() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 2]);
    probe.pass(ms(15), [4]);
    assert_eq!(probe.take(ms(20)), "missing 960, 2");
    assert_eq!(probe.buffer.deadline(), Some(ms(35)));
    assert_eq!(probe.take(ms(35)), "missing 960, 4");
}

#[test]
fn a_packet_that_was_given_up_and_comes_after_all_makes_the_next_wait_longer() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 2]);
    probe.take(ms(20));
    assert_eq!(probe.insert(ms(125), 1), Insertion::Late);
    probe.pass(ms(125), [4]);
    let wait = Duration::from_micros(125_000 * 5 / 4);
    assert_eq!(probe.buffer.deadline(), Some(ms(125) + wait));
    assert_eq!(probe.pass(ms(250), [3]), "3, 4");
    assert_eq!(probe.buffer.stats().packets_late, 1);
}

#[test]
fn a_single_packet_that_is_missing_is_taken_from_the_copy_in_the_next_one() {
    let mut probe = Probe::with_fec();
    assert_eq!(probe.pass(ms(0), [0, 2]), "0, copy 960 in 2, 2");
    assert_eq!(probe.buffer.stats().concealed_samples, 0);
}

#[test]
fn of_more_that_are_missing_the_last_is_taken_from_the_copy() {
    let mut probe = Probe::with_fec();
    assert_eq!(probe.pass(ms(0), [0, 3]), "0");
    assert_eq!(probe.take(ms(20)), "missing 960, copy 960 in 3, 3");
    assert_eq!(probe.pass(ms(40), [14]), "");
    assert_eq!(
        probe.take(ms(60)),
        "missing 4800, silence 3840, copy 960 in 14, 14"
    );
}

#[test]
fn a_copy_is_not_used_at_once_where_packets_overtake_each_other() {
    let mut probe = late_by(ms(40));
    probe.has_fec = true;
    probe.pass(ms(100), [16, 18]);
    assert_eq!(probe.take(ms(100)), "");
    assert_eq!(probe.pass(ms(130), [17]), "17, 18");
}

#[test]
fn a_copy_is_used_at_once_again_where_packets_are_lost_and_no_longer_late() {
    let mut probe = late_by(ms(40));
    probe.has_fec = true;
    for number in (16..40).step_by(2) {
        probe.pass(ms(20 * number), [number + 1]);
        if let Some(deadline) = probe.buffer.deadline() {
            probe.take(deadline);
        }
    }
    assert_eq!(probe.pass(ms(800), [41]), "copy 960 in 41, 41");
}

#[test]
fn a_redundant_copy_fills_its_hole_at_once() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 2]);
    probe
        .buffer
        .insert_redundant(ms(5), 1, 960, &payload(1, false));
    assert_eq!(probe.take(ms(5)), "1, 2");
    let stats = probe.buffer.stats();
    assert_eq!(
        (stats.fec_packets_received, stats.fec_packets_discarded),
        (1, 0)
    );
    assert_eq!(probe.insert(ms(6), 1), Insertion::Repeated);
}

#[test]
fn a_redundant_copy_may_come_before_its_own_packet() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    probe
        .buffer
        .insert_redundant(ms(0), 1, 960, &payload(1, false));
    assert_eq!(probe.pass(ms(0), [2]), "1, 2");
    assert_eq!(
        probe.buffer.stats().packets_lost,
        1,
        "of those that were sent as such"
    );
}

#[test]
fn a_packet_replaces_its_redundant_copy() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    probe
        .buffer
        .insert_redundant(ms(0), 2, 1920, &payload(77, false));
    assert_eq!(probe.insert(ms(1), 2), Insertion::Held);
    assert_eq!(probe.insert(ms(1), 2), Insertion::Repeated);
    assert_eq!(probe.pass(ms(2), [1]), "1, 2");
    assert_eq!(probe.buffer.stats().fec_packets_discarded, 1);
}

#[test]
fn redundant_copies_of_what_is_there_are_dropped() {
    let mut probe = Probe::new();
    probe
        .buffer
        .insert_redundant(ms(0), 9, 960, &payload(9, false));
    probe.pass(ms(0), [0, 2]);
    for number in [0, 2] {
        let copy = payload(u64::from(number), false);
        probe
            .buffer
            .insert_redundant(ms(0), number, u32::from(number) * 960, &copy);
    }
    probe.buffer.insert_redundant(ms(0), 1, 960, &[]);
    assert_eq!(probe.buffer.stats().fec_packets_discarded, 4);
    assert_eq!(probe.take(ms(20)), "missing 960, 2");
}

#[test]
fn what_is_missing_is_requested_once_and_waited_for() {
    let mut probe = Probe::starting_at(65_530);
    probe.buffer.set_round_trip(Some(ms(40)));
    probe.pass(ms(0), [0, 2, 7]);
    assert_eq!(
        probe.buffer.nacks(ms(0)),
        [65_531, 65_533, 65_534, 65_535, 0]
    );
    assert_eq!(probe.buffer.nacks(ms(0)), [] as [u16; 0]);
    assert_eq!(probe.take(ms(59)), "");
    assert_eq!(probe.pass(ms(59), [1]), "1, 2");
    let deadline = probe.buffer.deadline().unwrap();
    assert!((ms(60)..=ms(100)).contains(&deadline), "{deadline:?}");
    assert_eq!(probe.take(ms(100)), "missing 3840, 7");
    assert_eq!(probe.buffer.stats().packets_requested, 5);
}

#[test]
fn an_answer_does_not_make_later_holes_wait_longer() {
    let mut probe = Probe::new();
    probe.buffer.set_round_trip(Some(ms(60)));
    probe.pass(ms(0), [0, 2]);
    assert_eq!(probe.buffer.nacks(ms(0)), [1]);
    assert_eq!(probe.pass(ms(65), [1]), "1, 2");
    probe.buffer.set_round_trip(None);
    probe.pass(ms(70), [4]);
    assert_eq!(probe.buffer.deadline(), Some(ms(90)));
}

#[test]
fn nothing_is_requested_over_a_long_path_in_a_long_run_or_with_a_copy() {
    let mut probe = Probe::new();
    probe.buffer.set_round_trip(Some(ms(100)));
    probe.pass(ms(0), [0, 2]);
    assert_eq!(probe.buffer.nacks(ms(0)), [] as [u16; 0]);
    assert_eq!(probe.buffer.deadline(), Some(ms(20)));
    probe.take(ms(20));
    probe.buffer.set_round_trip(Some(ms(40)));
    probe.pass(ms(20), [20]);
    assert_eq!(probe.buffer.nacks(ms(20)), [] as [u16; 0]);
    probe.take(ms(40));
    probe.has_fec = true;
    probe.insert(ms(40), 22);
    assert_eq!(probe.buffer.nacks(ms(40)), [] as [u16; 0]);
}

#[test]
fn requests_wait_where_packets_overtake_each_other() {
    let mut probe = late_by(ms(80));
    probe.buffer.set_round_trip(Some(ms(20)));
    probe.pass(ms(80), [17]);
    assert_eq!(probe.buffer.nacks(ms(80)), [] as [u16; 0]);
    let deadline = probe.buffer.deadline().unwrap();
    assert!((ms(120)..ms(140)).contains(&deadline), "{deadline:?}");
    assert_eq!(probe.buffer.nacks(deadline), [16]);
}

#[test]
fn a_hole_is_concealed_for_100_ms_and_silent_for_the_rest() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 11]);
    assert_eq!(probe.take(ms(20)), "missing 4800, silence 4800, 11");
    let stats = probe.buffer.stats();
    assert_eq!(stats.concealed_samples, 9_600);
    assert_eq!(stats.silent_concealed_samples, 4_800);
    assert_eq!(stats.concealment_events, 1);
}

#[test]
fn what_was_never_sent_is_silence_of_the_right_length() {
    let mut probe = Probe::new();
    probe.insert_at(ms(0), 0, 0);
    probe.insert_at(ms(400), 1, 960 + 19_200);
    assert_eq!(probe.take(ms(400)), "0, silence 19200, 1");
    assert_eq!(probe.buffer.stats().concealed_samples, 0);
}

#[test]
fn a_pause_after_a_hole_is_silence_again() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 2]);
    assert_eq!(probe.take(ms(20)), "missing 960, 2");
    probe.insert_at(ms(120), 3, 3 * 960 + 4_800);
    assert_eq!(probe.take(ms(120)), "silence 4800, 3");
}

#[test]
fn concealment_is_a_multiple_of_what_opus_can_conceal() {
    let mut probe = Probe::new();
    probe.insert_at(ms(0), 0, 0);
    probe.insert_at(ms(0), 2, 960 + 500);
    assert_eq!(probe.take(ms(20)), "0, missing 480, silence 20, 2");
}

#[test]
fn gaps_of_more_than_half_a_second_and_steps_back_are_not_filled() {
    for (timestamp, lost) in [
        (24_960 + 960 + 1, 0),
        (48_000 * 60, 0),
        (48_000 * 60, 3),
        (480, 0),
    ] {
        let mut probe = Probe::new();
        probe.insert_at(ms(0), 0, 0);
        probe.insert_at(ms(0), 1 + lost, timestamp);
        probe.insert_at(ms(0), 2 + lost, timestamp + 960);
        let expected = format!("0, {}, {}", 1 + lost, 2 + lost);
        assert_eq!(probe.take(ms(20)), expected);
        assert_eq!(probe.buffer.stats().resynchronizations, 1);
    }
    let mut probe = Probe::new();
    probe.insert_at(ms(0), 0, 0);
    probe.insert_at(ms(0), 1, 24_960);
    assert_eq!(probe.take(ms(0)), "0, silence 24000, 1");
}

#[test]
fn what_comes_twice_leaves_once() {
    let mut probe = Probe::new();
    assert_eq!(probe.pass(ms(0), [0, 0, 2, 2, 1, 1, 0]), "0, 1, 2");
    let stats = probe.buffer.stats();
    assert_eq!(stats.packets_repeated, 4);
    assert_eq!((stats.packets_received, stats.packets_discarded), (7, 0));
    assert_eq!(stats.packets_lost, -4);
}

#[test]
fn losses_are_counted_as_rtcp_does() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 1, 4]);
    assert_eq!(probe.buffer.stats().packets_lost, 2);
    probe.pass(ms(1), [3]);
    assert_eq!(probe.buffer.stats().packets_lost, 1);
}

#[test]
fn a_sender_that_begins_again_loses_nothing() {
    for restart in [30_000, 65_536 - 200, 400] {
        let mut probe = Probe::new();
        probe.pass(ms(0), [100, 102]);
        assert_eq!(probe.insert_at(ms(1), restart, 0), Insertion::Strayed);
        assert_eq!(probe.insert_at(ms(2), restart + 1, 960), Insertion::Held);
        probe.buffer.set_round_trip(Some(ms(20)));
        assert_eq!(probe.buffer.nacks(ms(2)), [] as [u16; 0]);
        let (first, second) = (restart, restart + 1);
        assert_eq!(
            probe.take(ms(20)),
            format!("missing 960, 102, {first}, {second}")
        );
        assert_eq!(probe.pass(ms(22), [restart + 3]), "");
        assert_eq!(probe.buffer.stats().restarts, 1);
        assert_eq!(probe.buffer.nacks(ms(22)), [low_16(restart + 2)]);
    }
}

#[test]
fn another_stream_follows_what_waits() {
    for first in [0, 7, 102, 40_000] {
        let mut probe = Probe::new();
        assert_eq!(probe.buffer.begin_stream(), None);
        probe.pass(ms(0), [100, 102]);
        let begin = probe.buffer.begin_stream().unwrap();
        probe
            .buffer
            .insert_redundant(ms(1), 101, 0, &payload(101, false));
        assert_eq!(probe.insert_at(ms(1), first, 1 << 31), Insertion::Held);
        assert_eq!(probe.take(ms(1)), "");
        assert_eq!(
            probe.insert_at(ms(2), first + 1, (1 << 31) + 960),
            Insertion::Held
        );
        assert_eq!(probe.take(ms(19)), "");
        let Some(Slot::Missing { .. }) = probe.buffer.next(ms(20)) else {
            panic!()
        };
        let sequences = std::iter::from_fn(|| match probe.buffer.next(ms(20)) {
            Some(Slot::Packet(packet)) => Some(packet.sequence),
            _ => None,
        });
        assert_eq!(sequences.collect::<Vec<_>>(), [begin - 1, begin, begin + 1]);
        let stats = probe.buffer.stats();
        assert_eq!((stats.restarts, stats.packets_lost), (1, 1));
    }
}

#[test]
fn a_packet_that_strayed_has_no_successor_in_another_stream() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0, 30_000]);
    probe.buffer.begin_stream();
    probe.pass(ms(0), [0]);
    assert_eq!(probe.insert(ms(0), 30_001), Insertion::Strayed);
}

#[test]
fn streams_share_one_budget() {
    let mut probe = Probe::new();
    for stream in 0..300 {
        probe.buffer.begin_stream();
        probe.insert_at(ms(stream), 0, 0);
        probe.take(ms(stream));
    }
    assert!(probe.buffer.stats().packets_refused > 200);
}

#[test]
fn a_single_packet_far_away_changes_nothing() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    for (number, stray) in (1..100).zip([30_000, 10_000].into_iter().cycle()) {
        let now = ms(20 * number);
        assert_eq!(probe.insert(now, stray), Insertion::Strayed);
        assert_eq!(probe.pass(now, [number]), number.to_string());
    }
    let stats = probe.buffer.stats();
    assert_eq!((stats.restarts, stats.packets_discarded), (0, 98));
}

#[test]
fn what_is_no_opus_is_concealed_without_a_wait() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    for (number, bytes) in [(1, vec![]), (2, vec![0xff]), (3, vec![31 << 3 | 3, 0])] {
        probe
            .buffer
            .insert(ms(0), number, u32::from(number) * 960, bytes);
    }
    assert_eq!(probe.pass(ms(0), [4]), "missing 2880, 4");
    assert_eq!(probe.buffer.stats().packets_discarded, 3);
}

#[test]
fn a_full_buffer_waits_no_longer() {
    let mut probe = Probe::new();
    probe.pass(ms(0), [0]);
    for number in 2..257 {
        assert_eq!(probe.insert(ms(0), number), Insertion::Held);
    }
    assert_eq!(probe.take(ms(0)), "");
    assert_eq!(probe.insert(ms(0), 257), Insertion::Full);
    assert!(probe.take(ms(0)).starts_with("missing 960, 2, 3,"));
    assert_eq!(probe.buffer.stats().packets_discarded, 1 + REFUSED_OF_255);
}

/// Of 255 packets of 20 ms that leave at once after the first one and a hole, those that are over
/// the budget of a second.
const REFUSED_OF_255: u64 = 255 + 2 - 50;

#[test]
fn the_held_bytes_are_bounded() {
    let mut buffer = JitterBuffer::new();
    let mut large = payload(0, false);
    large.resize(8 << 10, 0);
    buffer.insert(ms(0), 0, 0, large.clone());
    assert!(buffer.next(ms(0)).is_some());
    let results: Vec<_> = (2..12)
        .map(|number| buffer.insert(ms(0), number, u32::from(number) * 960, large.clone()))
        .collect();
    assert_eq!(results[..8], [Insertion::Held; 8]);
    assert_eq!(results[8..], [Insertion::Full; 2]);
    while buffer.next(ms(0)).is_some() {}
    assert_eq!(buffer.insert(ms(0), 12, 11_520, large), Insertion::Held);
}

#[test]
fn audio_beyond_the_budget_is_refused() {
    let mut probe = Probe::new();
    let timestamps = (0..300).map(|number| number % 2 * 24_000 + number / 2 * 100_000);
    let mut samples = 0;
    for (number, timestamp) in (0..300).zip(timestamps) {
        probe.insert_at(ms(number), number, timestamp);
        while let Some(slot) = probe.buffer.next(ms(number)) {
            samples += u64::from(match slot {
                Slot::Packet(packet) => packet.samples,
                Slot::Missing { samples, .. } | Slot::Silence { samples } => samples,
            });
        }
    }
    assert!(samples <= 48_000 + 72 * 300, "{samples} samples in 0.3 s");
    let stats = probe.buffer.stats();
    assert!(stats.packets_refused > 200, "{stats:?}");
    assert_eq!(stats.packets_discarded, stats.packets_refused);
}

#[test]
fn a_sender_whose_timestamps_stand_still_is_received() {
    let mut probe = Probe::new();
    for number in 0..10 {
        probe.insert_at(ms(20 * number), number, 0);
        assert_eq!(probe.take(ms(20 * number)), number.to_string());
    }
}

#[test]
fn whoever_asks_late_gets_what_came_in_the_meantime() {
    let mut probe = Probe::new();
    for number in [0, 1, 3, 4] {
        probe.insert(ms(0), number);
    }
    probe.insert(ms(80), 2);
    assert_eq!(probe.take(ms(80)), "0, 1, 2, 3, 4");
    let stats = probe.buffer.stats();
    assert_eq!(stats.jitter_buffer_delay_ns, 4 * 960 * 80_000_000);
    assert_eq!(stats.jitter_buffer_emitted_count, 5 * 960);
    assert_eq!(stats.total_samples_received, 5 * 960);
}

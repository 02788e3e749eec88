//! The delay of a live source: it comes back after each disturbance, and nothing else is changed.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a helper of tests; minutes of audio fit any number"
)]

mod support;

use gradio_webrtc_core::{Chunk, OutboundAudio};
use proptest::prelude::*;
use support::playing::{
    Delivery, FRAME, Playing, Random, SECOND, Stall, deliveries, live, noise, voice,
};

const STALL_S: f64 = 10.0;

fn stalled(length_s: f64) -> Stall {
    Stall {
        from_s: STALL_S,
        length_s,
    }
}

/// A greeting in one block.
fn greeting(at_s: f64) -> Delivery {
    Delivery {
        at_s,
        samples: 40 * FRAME,
    }
}

/// Adds a delivery at its place.
fn with(mut deliveries: Vec<Delivery>, other: Delivery) -> Vec<Delivery> {
    deliveries.push(other);
    deliveries.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    deliveries
}

/// A voice that speaks for 0.6 s of each second.
fn talk(at: usize) -> i16 {
    let fade = (at % 48_000)
        .min(28_800 - (at % 48_000).min(28_800))
        .min(240);
    i16::try_from(i32::from(voice(at)) * i32::try_from(fade).unwrap() / 240).unwrap()
}

/// The mean squares of blocks of 5 ms, in dB.
fn levels_db(samples: &[i16]) -> Vec<f64> {
    let power = |block: &[i16]| block.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>() / 240.0;
    let blocks = samples.chunks_exact(240);
    blocks
        .map(|block| 10.0 * power(block).max(1.0).log10())
        .collect()
}

#[test]
fn after_a_stall_the_delay_is_back_within_a_second() {
    for signal in [voice, noise, talk] {
        for (frames, jitter_s) in [(1, 0.0), (1, 0.01), (1, 0.018), (3, 0.01)] {
            for length_s in [0.04, 0.1, 0.3, 0.5, 0.8] {
                let source = live(15.0, frames, jitter_s, Some(stalled(length_s)));
                let playing = Playing::of(signal, &source, 15.0);
                let end_s = STALL_S + length_s;
                let (before, after) = (
                    playing.least_ms(5.0, STALL_S - 0.1),
                    playing.least_ms(end_s + 1.0, end_s + 1.5),
                );
                assert!(
                    after <= before + 20,
                    "{frames} frames, {jitter_s} s of jitter, {length_s} s: {before} to {after} ms"
                );
                let holes = playing.holes.iter().filter(|&&it| it > 11 * SECOND).count();
                assert_eq!(holes, 0, "{frames} frames, {jitter_s} s, {length_s} s");
            }
        }
    }
}

#[test]
fn audio_that_was_held_back_for_seconds_leaves_no_delay_behind() {
    for signal in [voice, noise, talk] {
        for (frames, jitter_s) in [(1, 0.0), (1, 0.018), (3, 0.01)] {
            for length_s in [0.3, 1.0, 1.5, 2.0, 5.0] {
                let stall = stalled(length_s);
                let mut playing = Playing::new(signal, false);
                playing.known_stall = Some(stall);
                playing.run(&live(20.0, frames, jitter_s, Some(stall)), 20.0);
                let end_s = STALL_S + length_s;
                let before = playing.least_ms(5.0, STALL_S - 0.1);
                let after = playing.least_ms(end_s + 1.0, end_s + 1.5);
                let last = playing.least_ms(19.0, 19.5);
                assert!(
                    after <= before + 20 && last <= before + 20,
                    "{frames} frames, {length_s} s: {before} to {after}, {last} ms"
                );
            }
        }
    }
}

#[test]
fn a_reply_that_is_not_late_is_played_exactly() {
    // As long as what could have been late, faster than real time, behind a live source.
    let mut outbound = behind(0);
    outbound.expect_late(2.0);
    let reply: Vec<i16> = (0..96_000).map(voice).collect();
    let mut at = outbound.push(48_000, Chunk::Mono(&reply)).unwrap();
    let mut played: Vec<i16> = Vec::new();
    for _ in 0..4 * SECOND {
        played.extend(outbound.pull(false).unwrap_or_default());
        at += outbound.push(48_000, Chunk::Mono(&reply[at..])).unwrap();
    }
    assert_eq!(outbound.removed(), 0);
    assert!(played.windows(48_000).any(|it| it == &reply[..48_000]));
}

#[test]
fn long_blocks_in_real_time_take_some_of_them_longer() {
    for length_s in [0.1, 0.3, 0.5] {
        let source = live(20.0, 10, 0.02, Some(stalled(length_s)));
        let playing = Playing::of(voice, &source, 20.0);
        let before = playing.least_ms(5.0, STALL_S - 0.3);
        let after = playing.least_ms(STALL_S + length_s + 7.0, STALL_S + length_s + 8.0);
        assert!(after <= before + 20, "{length_s} s: {before} to {after} ms");
    }
}

#[test]
fn an_undisturbed_source_is_played_exactly() {
    for (frames, jitter_s) in [(1, 0.0), (1, 0.006), (3, 0.006), (10, 0.006), (50, 0.006)] {
        let source = live(20.0, frames, jitter_s, None);
        let playing = Playing::of(voice, &source, 22.0);
        assert_eq!(playing.outbound.removed(), 0);
        let source = &playing.source()[1..];
        assert_eq!(&playing.audio()[..source.len()], source, "{frames} frames");
    }
}

#[test]
fn what_is_faster_than_real_time_is_played_exactly() {
    for factor in [0.05, 0.3, 0.8, 0.9, 0.95] {
        for frames in [1, 3, 10, 20, 40, 60] {
            let samples = frames * FRAME;
            let interval_s = 0.02 * f64::from(u32::try_from(frames).unwrap()) * factor;
            let source = deliveries(20.0, samples, interval_s, 0.0, None);
            let playing = Playing::of(voice, &source, 30.0);
            assert_eq!(playing.outbound.removed(), 0, "{factor}, {frames} frames");
            let source = &playing.source()[1..];
            let length = source.len().min(playing.audio().len());
            assert!(playing.audio()[..length] == source[..length]);
        }
    }
}

#[test]
fn ten_seconds_in_one_block_are_played_exactly() {
    let source = [Delivery {
        at_s: 0.5,
        samples: 500 * FRAME,
    }];
    let playing = Playing::of(voice, &source, 12.0);
    let source = &playing.source()[1..];
    assert_eq!(&playing.audio()[..source.len()], source);
}

#[test]
fn a_greeting_is_whole_and_the_audio_behind_it_catches_up() {
    for (at_s, frames) in [(0.4, 1), (5.4, 1), (5.4, 3)] {
        let mut source = live(12.0, frames, 0.0, None);
        source.retain(|it| it.at_s >= 0.5);
        let earlier = source.iter().filter(|it| it.at_s <= at_s);
        let end = earlier.map(|it| it.samples).sum::<usize>() + greeting(at_s).samples;
        let playing = Playing::of(voice, &with(source, greeting(at_s)), 12.0);
        assert_eq!(playing.audio()[..end - 1], playing.source()[1..end]);
        let after = playing.least_ms(at_s + 1.8, at_s + 2.3);
        assert!(after <= 20, "{after} ms");
    }
}

#[test]
fn a_source_with_a_faster_clock_does_not_fall_behind() {
    let source = deliveries(300.0, FRAME, 0.019_99, 0.0, None);
    let playing = Playing::of(voice, &source, 299.0);
    let most = playing.waiting_ms.iter().max();
    assert!(most <= Some(&80), "{most:?}");
    assert!(playing.outbound.removed() > 48 * 50);
    assert_eq!(playing.holes, []);
}

#[test]
fn silence_is_dropped_and_speech_is_not_where_there_is_silence() {
    // In speech; what is too long is measured 0.3 s later, in the silence behind it.
    let stall = Stall {
        from_s: 10.35,
        length_s: 0.1,
    };
    let playing = Playing::of(talk, &live(15.0, 1, 0.0, Some(stall)), 15.0);
    assert!(playing.outbound.removed() >= 48 * 60);
    let loud = |samples: &[i16]| -> Vec<i16> {
        let loud = samples.iter().copied();
        loud.filter(|it| it.unsigned_abs() > 200).collect()
    };
    let played = loud(&playing.played[10 * 48_000 + 23_040..12 * 48_000]);
    let source = loud(&playing.source()[..13 * 48_000]);
    assert!(played.len() > 24_000);
    assert!(source.windows(played.len()).any(|it| it == played));
}

#[test]
fn both_channels_are_cut_at_one_place() {
    let mut playing = Playing::new(voice, true);
    playing.run(&live(15.0, 1, 0.0, Some(stalled(0.5))), 15.0);
    assert!(playing.outbound.removed() > 48 * 400);
    let pairs = playing.played.iter().zip(&playing.right);
    let most = pairs
        .map(|(&left, &right)| (left / 2).abs_diff(right))
        .max();
    assert!(most <= Some(2), "{most:?}");
}

#[test]
fn the_level_stands_still_through_every_removal() {
    for (signal, most_db) in [(voice as fn(usize) -> i16, 1.5), (noise, 2.5)] {
        let playing = Playing::of(signal, &live(15.0, 1, 0.0, Some(stalled(0.5))), 15.0);
        let usual = levels_db(&playing.source());
        let from = (STALL_S as usize + 1) * 48_000 - 24_000 + 960;
        let (lowest, highest) = usual.iter().fold((f64::MAX, f64::MIN), |(low, high), &it| {
            (low.min(it), high.max(it))
        });
        for level in levels_db(&playing.played[from..from + 48_000]) {
            assert!(
                (lowest - most_db..highest + most_db).contains(&level),
                "{level:.1} dB, usually {lowest:.1} to {highest:.1}"
            );
        }
    }
}

#[test]
fn a_hole_in_the_audio_of_a_live_source_begins_with_the_audio_before_it() {
    let stall = Stall {
        from_s: 5.0,
        length_s: 0.1,
    };
    let playing = Playing::of(voice, &live(8.0, 1, 0.0, Some(stall)), 8.0);
    let hole = playing.holes[0];
    assert_eq!(playing.outbound.inserted(), 5 * 960);
    let levels = levels_db(&playing.played[(hole - 1) * FRAME..(hole + 5) * FRAME]);
    assert!((levels[4] - levels[3]).abs() < 3.0, "{levels:?}");
    assert!(levels[23] < levels[4] - 12.0, "{levels:?}");
    // From one sample to the next, no more than in the voice itself.
    let step = |samples: &[i16]| samples.windows(2).map(|it| it[0].abs_diff(it[1])).max();
    let around = &playing.played[(hole - 1) * FRAME..(hole + 9) * FRAME];
    assert!(step(around) <= step(&playing.source()).map(|it| it + it / 2));
}

#[test]
fn the_end_of_a_live_source_is_filled_once() {
    let mut source = live(5.0, 1, 0.0, None);
    source.push(Delivery {
        at_s: 5.0,
        samples: FRAME / 3,
    });
    let playing = Playing::of(voice, &source, 8.0);
    assert_eq!(playing.outbound.inserted(), 5 * 960);
    let rest = &playing.source()[249 * FRAME + 240..];
    assert!(playing.played.windows(rest.len()).any(|it| it == rest));
}

#[test]
fn a_hole_in_a_reply_is_silence_and_the_reply_exact() {
    let mut source = deliveries(0.7, 10 * FRAME, 0.15, 0.0, None);
    source.extend(
        deliveries(0.7, 10 * FRAME, 0.15, 0.0, None)
            .iter()
            .map(|it| Delivery {
                at_s: it.at_s + 0.9,
                ..*it
            }),
    );
    let playing = Playing::of(voice, &source, 4.0);
    assert_eq!(
        (playing.outbound.inserted(), playing.outbound.removed()),
        (0, 0)
    );
    let played: Vec<i16> = playing
        .played
        .iter()
        .copied()
        .filter(|&it| it != 0)
        .collect();
    let source: Vec<i16> = playing.source().into_iter().filter(|&it| it != 0).collect();
    assert_eq!(played, source);
}

/// An outbound buffer of a live source that stands so many frames behind.
fn behind(frames: usize) -> OutboundAudio {
    let mut outbound = OutboundAudio::new(48_000, 1.0).unwrap();
    let frame: Vec<i16> = (0..FRAME).map(noise).collect();
    for _ in 0..2 * SECOND {
        outbound.push(48_000, Chunk::Mono(&frame)).unwrap();
        outbound.pull(false).unwrap();
    }
    outbound.pull(false);
    for _ in 0..frames {
        outbound.push(48_000, Chunk::Mono(&frame)).unwrap();
    }
    outbound
}

/// Pushes and pulls for so many frames.
fn go_on(outbound: &mut OutboundAudio, frames: usize) {
    for _ in 0..frames {
        let frame: Vec<i16> = (0..FRAME).map(noise).collect();
        outbound.push(48_000, Chunk::Mono(&frame)).unwrap();
        outbound.pull(false).unwrap();
    }
}

#[test]
fn a_clear_a_reply_and_a_pause_begin_from_the_start() {
    let starts: [fn(&mut OutboundAudio); 3] = [
        |it| {
            it.clear();
            it.push(48_000, Chunk::Mono(&[1_i16; FRAME].repeat(10)))
                .unwrap();
        },
        OutboundAudio::end,
        |it| it.note_idle(1.1),
    ];
    for start in starts {
        let mut outbound = behind(10);
        start(&mut outbound);
        go_on(&mut outbound, 45);
        assert_eq!(outbound.removed(), 0);
    }
    let mut outbound = behind(10);
    outbound.note_idle(0.9);
    go_on(&mut outbound, 45);
    assert!(outbound.removed() > 48 * 150);
}

#[test]
fn nothing_is_ahead_of_a_live_source() {
    let mut outbound = OutboundAudio::new(48_000, 1.0).unwrap();
    assert!(!outbound.is_ahead());
    outbound.push(48_000, Chunk::Mono(&[1_i16; FRAME])).unwrap();
    assert!(outbound.is_ahead());
    assert!(!behind(10).is_ahead());
}

/// What happens to a buffer.
#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    PushStereo(usize),
    Pull(usize),
    Partial,
    Clear,
    End,
    Idle(f64),
    Live(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..30_000_usize).prop_map(Step::Push),
        1 => (0..3_000_usize).prop_map(Step::PushStereo),
        4 => (1..30_usize).prop_map(Step::Pull),
        1 => Just(Step::Partial),
        1 => Just(Step::Clear),
        1 => Just(Step::End),
        1 => (0.0..2.0).prop_map(Step::Idle),
        6 => (1..150_usize).prop_map(Step::Live),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// At any rate, each sample is played, waits, was cleared, or is counted as removed.
    #[test]
    fn every_sample_is_accounted_for(steps in steps(), rate_hz in prop_oneof![Just(8_000_u32), Just(44_100), Just(48_000)]) {
        let mut outbound = OutboundAudio::new(rate_hz, 1.0).unwrap();
        let frame_samples = outbound.frame_samples();
        let mut at = 0;
        let (mut pushed, mut played, mut cleared, mut padding) = (0, 0, 0, 0);
        for step in steps {
            let mut push = |outbound: &mut OutboundAudio, samples: usize, stereo: bool| {
                let samples: Vec<i16> = (at..at + samples).map(noise).collect();
                at += samples.len();
                let chunk = if stereo { Chunk::Planar(&samples, &samples) } else { Chunk::Mono(&samples) };
                pushed += outbound.push(rate_hz, chunk).unwrap();
            };
            let mut pull = |outbound: &mut OutboundAudio| {
                let inserted = outbound.inserted();
                let channels = outbound.channels();
                if let Some(frame) = outbound.pull(false) {
                    assert_eq!(frame.len(), channels * frame_samples);
                    played += frame_samples;
                }
                played -= usize::try_from(outbound.inserted() - inserted).unwrap();
            };
            let waiting = |outbound: &OutboundAudio| (outbound.buffered_s() * f64::from(rate_hz)).round() as usize;
            match step {
                Step::Push(samples) => push(&mut outbound, samples, false),
                Step::PushStereo(samples) => push(&mut outbound, samples, true),
                Step::Pull(frames) => (0..frames).for_each(|_| pull(&mut outbound)),
                Step::Partial => {
                    let before = waiting(&outbound);
                    let removed = outbound.removed();
                    if outbound.pull(true).is_some() {
                        played += frame_samples;
                        let gone = usize::try_from(outbound.removed() - removed).unwrap();
                        padding += waiting(&outbound) + frame_samples + gone - before;
                    }
                }
                Step::Clear => cleared += outbound.clear(),
                Step::End => {
                    let before = waiting(&outbound);
                    outbound.end();
                    padding += waiting(&outbound) - before;
                }
                Step::Idle(seconds) => outbound.note_idle(seconds),
                Step::Live(frames) => for _ in 0..frames {
                    push(&mut outbound, frame_samples, false);
                    pull(&mut outbound);
                },
            }
            let removed = usize::try_from(outbound.removed()).unwrap();
            prop_assert_eq!(pushed + padding, played + removed + cleared + waiting(&outbound));
        }
    }

    /// Blocks of any lengths, computed in up to 0.9 of the time that they play, are played exactly.
    #[test]
    fn no_reply_is_shortened(seed in 0..u64::MAX, factor in 0.02..0.9_f64) {
        let mut random = Random(seed);
        let mut at_s = 0.0;
        let source: Vec<Delivery> = (0..60).map(|_| {
            let samples = 480 + (random.next() * 30_000.0) as usize;
            at_s += samples as f64 / 48_000.0 * factor;
            Delivery { at_s, samples }
        }).collect();
        let playing = Playing::of(voice, &source, 24.0);
        prop_assert_eq!(playing.outbound.removed(), 0);
    }
}

/// A user is received while a service streams a reply in real time, and for so long not at all; then a
/// reply comes that is computed eight times as fast, in blocks of 20 ms.
fn removed_of_a_computed_reply(microphone_off_s: f64, is_announced: bool) -> u64 {
    const FRAME: usize = 960;
    let mut outbound = OutboundAudio::new(48_000, 1.0).unwrap();
    let block: Vec<i16> = (0..FRAME)
        .map(|k| (8_000.0 * (k as f64 * 0.13).sin()) as i16)
        .collect();
    let mut now_s = 0.0;
    for _ in 0..200 {
        now_s += 0.02;
        outbound.note_received(now_s, 0.02);
        outbound.push(48_000, Chunk::Mono(&block)).unwrap();
        outbound.pull(false);
    }
    for _ in 0..(microphone_off_s * 50.0) as usize {
        now_s += 0.02;
        outbound.pull(false);
    }
    if is_announced {
        outbound.expect_late(microphone_off_s);
    }
    let (mut left, removed) = (200, outbound.removed());
    while left > 0 {
        now_s += 0.02;
        outbound.note_received(now_s, 0.02);
        for _ in 0..8 {
            if left > 0 && outbound.push(48_000, Chunk::Mono(&block)).unwrap() == FRAME {
                left -= 1;
            }
        }
        outbound.pull(false);
    }
    while outbound.pull(false).is_some() {}
    outbound.removed() - removed
}

#[test]
fn a_reply_loses_nothing_since_the_microphone_was_off() {
    for microphone_off_s in [0.1, 0.5, 0.9] {
        assert_eq!(removed_of_a_computed_reply(microphone_off_s, false), 0);
    }
    // As if it was an echo.
    assert!(removed_of_a_computed_reply(0.9, true) > 0);
}

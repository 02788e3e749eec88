//! Endpointing, window by window: from probabilities to turns.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use gradio_webrtc_core::EventKind::{self, Pause, PauseCancelled, PauseCandidate, SpeechStarted};
use gradio_webrtc_core::{AudioError, EndpointEvent, Endpointer, EndpointingOptions};

fn endpointer(options: EndpointingOptions) -> Endpointer {
    Endpointer::new(options, 512, 16_000).unwrap()
}

/// Pushes each probability for a number of windows.
fn run(endpointer: &mut Endpointer, probabilities: &[(f32, usize)]) -> Vec<EndpointEvent> {
    let mut events = Vec::new();
    for &(probability, windows) in probabilities {
        (0..windows).for_each(|_| endpointer.push(probability, &mut events));
    }
    events
}

fn kinds(probabilities: &[(f32, usize)]) -> Vec<(EventKind, u64)> {
    let events = run(
        &mut endpointer(EndpointingOptions::default()),
        probabilities,
    );
    events
        .iter()
        .map(|event| (event.kind, event.time))
        .collect()
}

#[test]
fn a_turn_starts_may_end_and_ends() {
    let events = kinds(&[(0.0, 10), (0.9, 20), (0.0, 30)]);
    assert_eq!(
        events,
        [(SpeechStarted, 17), (PauseCandidate, 36), (Pause, 46)]
    );
}

#[test]
fn the_batch_allowance_is_all_windows_but_the_one_that_may_begin_or_end_a_turn() {
    let mut endpointer = endpointer(EndpointingOptions::default());
    let mut allowance_after = |windows| {
        run(&mut endpointer, &[windows]);
        endpointer.min_windows_until_event()
    };
    assert_eq!(allowance_after((0.0, 10)), 6);
    assert_eq!(allowance_after((0.9, 1)), 5);
    assert_eq!(allowance_after((0.9, 5)), 0);
    assert_eq!(allowance_after((0.9, 1)), 5, "the turn begins");
    assert_eq!(allowance_after((0.0, 2)), 3);
    assert_eq!(allowance_after((0.9, 1)), 5);
    assert_eq!(allowance_after((0.0, 5)), 0);
    assert_eq!(
        allowance_after((0.0, 1)),
        0,
        "speech would cancel the candidate"
    );
    assert_eq!(allowance_after((0.9, 1)), 5);
    assert_eq!(allowance_after((0.0, 15)), 0);
    assert_eq!(allowance_after((0.0, 1)), 6, "the turn is over");
}

#[test]
fn the_batch_allowance_ends_before_a_turn_that_is_too_long() {
    let mut endpointer = endpointer(EndpointingOptions {
        max_speech_s: 12.0 * 0.032,
        ..EndpointingOptions::default()
    });
    for (windows, expected) in [(7, 4), (4, 0), (1, 6)] {
        run(&mut endpointer, &[(0.9, windows)]);
        assert_eq!(endpointer.min_windows_until_event(), expected);
    }
}

#[test]
fn events_carry_the_onset_and_the_end_of_speech() {
    let mut endpointer = endpointer(EndpointingOptions::default());
    let events = run(&mut endpointer, &[(0.0, 10), (0.9, 20), (0.0, 16)]);
    assert!(
        events
            .iter()
            .all(|event| event.onset == 10 && !event.is_forced)
    );
    let ends: Vec<_> = events.iter().map(|event| event.speech_end).collect();
    assert_eq!(ends, [None, Some(30), Some(30)]);
    assert_eq!((endpointer.onset(), endpointer.is_started()), (None, false));
}

#[test]
fn a_candidate_is_cancelled_by_speech() {
    let events = kinds(&[(0.9, 7), (0.0, 15), (0.9, 1), (0.0, 16)]);
    let expected = [
        (SpeechStarted, 7),
        (PauseCandidate, 13),
        (PauseCancelled, 23),
        (PauseCandidate, 29),
        (Pause, 39),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_lower_threshold_continues_a_turn_and_the_middle_keeps_the_state() {
    assert_eq!(kinds(&[(0.4, 50)]), []);
    assert_eq!(
        kinds(&[(0.9, 7), (0.0, 5), (0.3, 1), (0.0, 5), (0.9, 1)]).len(),
        1
    );
    assert_eq!(kinds(&[(0.9, 1), (0.2, 6)]), [(SpeechStarted, 7)]);
    let silent_in_the_middle = kinds(&[(0.9, 7), (0.0, 1), (0.2, 15)]);
    assert_eq!(silent_in_the_middle.last(), Some(&(Pause, 23)));
}

#[test]
fn short_speech_adds_up_until_silence_discards_it() {
    assert_eq!(
        kinds(&[(0.9, 4), (0.0, 18), (0.9, 3)]),
        [(SpeechStarted, 25)]
    );
    assert_eq!(kinds(&[(0.9, 4), (0.0, 19), (0.9, 3)]), []);
}

#[test]
fn a_turn_that_is_too_long_is_ended_and_the_next_one_begins_there() {
    let options = EndpointingOptions {
        max_speech_s: 0.64,
        ..Default::default()
    };
    let events = run(&mut endpointer(options), &[(0.0, 5), (0.9, 40)]);
    let summary: Vec<_> = events
        .iter()
        .map(|it| (it.kind, it.time, it.onset))
        .collect();
    assert_eq!(
        summary[..3],
        [
            (SpeechStarted, 12, 5),
            (Pause, 25, 5),
            (SpeechStarted, 32, 25)
        ]
    );
    assert!(events[1].is_forced);
}

#[test]
fn skipped_windows_count_as_time_only() {
    let mut endpointer = endpointer(EndpointingOptions::default());
    run(&mut endpointer, &[(0.9, 3)]);
    endpointer.skip();
    let events = run(&mut endpointer, &[(0.9, 4)]);
    assert_eq!((events[0].time, events[0].onset), (8, 0));
}

#[test]
fn reset_is_a_new_start() {
    let mut endpointer = endpointer(EndpointingOptions::default());
    let first = run(&mut endpointer, &[(0.9, 7), (0.2, 3)]);
    endpointer.reset();
    assert_eq!(run(&mut endpointer, &[(0.2, 3)]), []);
    endpointer.reset();
    assert_eq!(run(&mut endpointer, &[(0.9, 7), (0.2, 3)]), first);
}

#[test]
fn a_setting_out_of_range_is_refused_by_name() {
    let valid = EndpointingOptions::default;
    for (options, expected) in [
        (
            EndpointingOptions {
                threshold: 1.1,
                ..valid()
            },
            "threshold",
        ),
        (
            EndpointingOptions {
                release_threshold: f32::NAN,
                ..valid()
            },
            "release_threshold",
        ),
        (
            EndpointingOptions {
                pause_s: 0.0,
                ..valid()
            },
            "pause_s",
        ),
        (
            EndpointingOptions {
                forget_s: -1.0,
                ..valid()
            },
            "forget_s",
        ),
        (
            EndpointingOptions {
                max_speech_s: f64::NAN,
                ..valid()
            },
            "max_speech_s",
        ),
    ] {
        match Endpointer::new(options, 512, 16_000) {
            Err(AudioError::Setting { name, .. }) => assert_eq!(name, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert!(Endpointer::new(valid(), 0, 16_000).is_err());
}

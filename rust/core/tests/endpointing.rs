//! The rule that makes turns of probabilities, window by window.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use gradio_webrtc_core::EventKind::{self, Pause, PauseCancelled, PauseCandidate, SpeechStarted};
use gradio_webrtc_core::{AudioError, EndpointEvent, Endpointer, EndpointingOptions};

fn endpointer(options: EndpointingOptions) -> Endpointer {
    Endpointer::new(options, 512, 16_000).unwrap()
}

/// Runs stretches of one probability and a number of windows.
fn run(endpointer: &mut Endpointer, stretches: &[(f32, usize)]) -> Vec<EndpointEvent> {
    let mut events = Vec::new();
    for &(probability, windows) in stretches {
        (0..windows).for_each(|_| endpointer.push(probability, &mut events));
    }
    events
}

fn kinds(stretches: &[(f32, usize)]) -> Vec<(EventKind, u64)> {
    let events = run(&mut endpointer(EndpointingOptions::default()), stretches);
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
fn min_windows_until_event_are_all_but_the_one_that_may_begin_a_turn() {
    let mut endpointer = endpointer(EndpointingOptions::default());
    let mut spare_after = |stretch| {
        run(&mut endpointer, &[stretch]);
        endpointer.min_windows_until_event()
    };
    assert_eq!(spare_after((0.0, 10)), 6);
    assert_eq!(spare_after((0.9, 1)), 5);
    assert_eq!(spare_after((0.9, 5)), 0);
    assert_eq!(spare_after((0.9, 1)), 0, "the turn begins");
    assert_eq!(spare_after((0.0, 15)), 0);
    assert_eq!(spare_after((0.0, 1)), 6, "the turn is over");
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
fn less_talks_on_than_begins_and_the_middle_keeps_what_was() {
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
fn short_sounds_add_up_until_silence_forgets_them() {
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
    let told: Vec<_> = events
        .iter()
        .map(|it| (it.kind, it.time, it.onset))
        .collect();
    assert_eq!(
        told[..3],
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
fn nonsense_is_refused_by_name() {
    let right = EndpointingOptions::default;
    for (options, named) in [
        (
            EndpointingOptions {
                threshold: 1.1,
                ..right()
            },
            "threshold",
        ),
        (
            EndpointingOptions {
                release_threshold: f32::NAN,
                ..right()
            },
            "release_threshold",
        ),
        (
            EndpointingOptions {
                pause_s: 0.0,
                ..right()
            },
            "pause_s",
        ),
        (
            EndpointingOptions {
                forget_s: -1.0,
                ..right()
            },
            "forget_s",
        ),
        (
            EndpointingOptions {
                max_speech_s: f64::NAN,
                ..right()
            },
            "max_speech_s",
        ),
    ] {
        match Endpointer::new(options, 512, 16_000) {
            Err(AudioError::Setting { name, .. }) => assert_eq!(name, named),
            other => panic!("{named}: {other:?}"),
        }
    }
    assert!(Endpointer::new(right(), 0, 16_000).is_err());
}

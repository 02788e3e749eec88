//! A turn that is ended at its candidate, from outside: the turn of the pause, without its silence.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]
#![allow(
    clippy::float_cmp,
    reason = "times are counted in windows, so they are exact"
)]

mod support;

use gradio_webrtc_core::EventKind::{Pause, PauseCancelled, PauseCandidate, SpeechStarted};
use gradio_webrtc_core::{InboundTurns, PauseDetector, PauseEvent};
use support::{LOUD, SOFT, audio, detector, turns};

/// Feeds samples and returns the events.
fn fed(detector: &mut PauseDetector, samples: &[i16]) -> Vec<PauseEvent> {
    let mut events = Vec::new();
    detector.process(samples, &mut events).unwrap();
    events
}

/// The time of the last candidate.
fn candidate(events: &[PauseEvent]) -> f64 {
    let found = events.iter().rfind(|it| it.kind == PauseCandidate);
    found.unwrap().speech_end_s.unwrap()
}

#[test]
fn the_turn_is_that_of_the_pause_without_later_silence() {
    for rate_hz in [8_000_u32, 16_000, 44_100, 48_000] {
        let said = audio(rate_hz, &[(SOFT, 1.0), (LOUD, 1.0), (SOFT, 1.0)]);
        let (expected, whole) = turns(&mut detector(rate_hz), &said, 960);
        let mut ending = detector(rate_hz);
        let at = rate_hz as usize * 23 / 10;
        let events = fed(&mut ending, &said[..at]);
        let end = ending.end_turn(candidate(&events)).unwrap().unwrap();
        assert_eq!(end.kind, Pause);
        assert_eq!(
            end.speech_start_s, expected[2].speech_start_s,
            "{rate_hz} Hz"
        );
        assert_eq!(end.speech_end_s, expected[2].speech_end_s, "{rate_hz} Hz");
        assert!((2.25..=2.3).contains(&end.time_s), "{rate_hz} Hz: {end:?}");
        let turn = ending.take_utterance().unwrap();
        assert_eq!(turn[..], whole[0][..turn.len()], "{rate_hz} Hz");
        let silence_s = expected[2].time_s - end.time_s;
        let less = u32::try_from(whole[0].len() - turn.len()).unwrap();
        assert!((f64::from(less) / f64::from(rate_hz) - silence_s).abs() < 0.001);
        assert!(!ending.is_open() && ending.candidate().unwrap().is_none());
        assert_eq!(fed(&mut ending, &said[at..]), [], "it has ended once");
    }
}

#[test]
fn speech_that_has_gone_on_is_not_ended() {
    let mut ending = detector(16_000);
    assert_eq!(ending.end_turn(0.0).unwrap(), None);
    let said = audio(16_000, &[(SOFT, 1.0), (LOUD, 1.0), (SOFT, 0.3)]);
    let at = candidate(&fed(&mut ending, &said));
    let events = fed(&mut ending, &audio(16_000, &[(LOUD, 0.1)]));
    assert_eq!(events[0].kind, PauseCancelled);
    assert_eq!(ending.end_turn(at).unwrap(), None);
    assert!(ending.is_speaking() && ending.take_utterance().is_none());
}

#[test]
fn a_later_silence_is_not_ended_by_the_time_of_an_earlier_one() {
    let mut ending = detector(16_000);
    let said = audio(16_000, &[(SOFT, 1.0), (LOUD, 1.0), (SOFT, 0.3)]);
    let first = candidate(&fed(&mut ending, &said));
    let events = fed(&mut ending, &audio(16_000, &[(LOUD, 0.3), (SOFT, 0.3)]));
    assert_eq!(ending.end_turn(first).unwrap(), None);
    assert!(ending.end_turn(candidate(&events)).unwrap().is_some());
}

#[test]
fn no_speech_is_in_two_turns_where_it_goes_on_at_once() {
    let said = audio(
        16_000,
        &[
            (SOFT, 0.5),
            (LOUD, 1.0),
            (SOFT, 0.23),
            (LOUD, 1.0),
            (SOFT, 1.0),
        ],
    );
    let mut ending = detector(16_000);
    let at = 54 * 512;
    let end = candidate(&fed(&mut ending, &said[..at]));
    assert!(ending.end_turn(end).unwrap().is_some());
    let first = ending.take_utterance().unwrap();
    let events = fed(&mut ending, &said[at..]);
    assert_eq!(events[0].kind, SpeechStarted);
    let second = ending.take_utterance().unwrap();
    let loud = |turn: &[i16]| turn.iter().filter(|&&sample| sample >= LOUD).count();
    assert_eq!(loud(&first) + loud(&second), loud(&said));
    // The pre-roll is silence that the first turn has as well: a soft onset may be in it.
    assert!(second[0] < LOUD && first.len() + second.len() > said.len() - 32_000);
}

#[test]
fn an_early_end_is_on_the_clock_of_the_session_and_needs_no_claim() {
    let said = audio(16_000, &[(SOFT, 0.5), (LOUD, 1.0), (SOFT, 0.3)]);
    let mut inbound = InboundTurns::new(detector(16_000), 512);
    inbound.skip(16_000 * 10);
    let found = inbound.detect(&said).unwrap();
    let end_s = found.last().unwrap().event.speech_end_s.unwrap();
    assert_eq!(inbound.end_turn(end_s - 0.5).unwrap(), None);
    let ended = inbound.end_turn(end_s).unwrap().unwrap();
    assert_eq!(ended.event.kind, Pause);
    assert!((11.75..=11.81).contains(&ended.event.time_s), "{ended:?}");
    assert_eq!(ended.event.speech_end_s, Some(end_s));
    assert!(ended.utterance.unwrap().len() > 16_000);
    // What was detected before it is still valid.
    assert!(inbound.claim(&found[0]).is_some());
    assert_eq!(inbound.end_turn(end_s).unwrap(), None);
    assert_eq!(inbound.take_open_turn().unwrap(), []);
}

#[test]
fn a_turn_that_is_ignored_or_discarded_is_not_ended() {
    type Call = fn(&mut InboundTurns);
    let calls: [Call; 4] = [
        |it| it.set_skipping(true),
        |it| it.skip(512),
        InboundTurns::reset,
        InboundTurns::disregard,
    ];
    for call in calls {
        let said = audio(16_000, &[(SOFT, 0.5), (LOUD, 1.0), (SOFT, 0.3)]);
        let mut inbound = InboundTurns::new(detector(16_000), 512);
        let found = inbound.detect(&said).unwrap();
        let end_s = found.last().unwrap().event.speech_end_s.unwrap();
        call(&mut inbound);
        assert_eq!(inbound.end_turn(end_s).unwrap(), None);
    }
}

//! The pause detector, from samples to turns, with a detector that measures only the level.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]
#![allow(
    clippy::float_cmp,
    reason = "times are counted in windows, so they are exact"
)]

mod support;

use gradio_webrtc_core::EventKind::{Pause, PauseCandidate, SpeechStarted};
use gradio_webrtc_core::vad::Vad;
use gradio_webrtc_core::{AudioError, PauseDetector, PauseOptions};
use support::{FAILING, LOUD, LevelVad, SOFT, audio, detector, turns, with_max_speech};

#[test]
fn a_turn_is_detected_and_returned_with_its_pre_roll() {
    let samples = audio(16_000, &[(SOFT, 1.0), (LOUD, 1.0), (SOFT, 1.0)]);
    let (events, utterances) = turns(&mut detector(16_000), &samples, 320);
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [SpeechStarted, PauseCandidate, Pause]);
    // Window 31 begins at 0.992 s and is the first loud one; window 62 is half loud, too.
    let pause = events[2];
    assert_eq!(
        (pause.speech_start_s, pause.speech_end_s),
        (31.0 * 0.032, Some(63.0 * 0.032))
    );
    assert_eq!(pause.time_s, 79.0 * 0.032);
    assert_eq!(utterances, [samples[31 * 512 - 4800..79 * 512].to_vec()]);
}

#[test]
fn the_silence_at_the_end_is_the_pause_and_a_window_at_most() {
    for rate_hz in [8_000_u32, 16_000, 24_000, 44_100, 48_000] {
        let samples = audio(rate_hz, &[(SOFT, 1.0), (LOUD, 1.0), (SOFT, 1.0)]);
        let (events, utterances) = turns(&mut detector(rate_hz), &samples, 960);
        let rate = f64::from(rate_hz);
        let loud = utterances[0]
            .iter()
            .position(|&sample| sample >= LOUD)
            .unwrap();
        let last = utterances[0]
            .iter()
            .rposition(|&sample| sample >= LOUD)
            .unwrap();
        let pre_roll_s = f64::from(u32::try_from(loud).unwrap()) / rate;
        let tail_s = f64::from(u32::try_from(utterances[0].len() - last).unwrap()) / rate;
        assert!(
            (0.26..=0.34).contains(&pre_roll_s),
            "{rate_hz} Hz: {pre_roll_s} s before"
        );
        assert!(
            (0.48..=0.54).contains(&tail_s),
            "{rate_hz} Hz: {tail_s} s after"
        );
        assert!(
            (events[0].speech_start_s - 1.0).abs() < 0.033,
            "{rate_hz} Hz: {events:?}"
        );
    }
}

#[test]
fn the_batch_allowance_ends_with_the_last_sample_before_an_event() {
    let loud = audio(16_000, &[(LOUD, 1.0)]);
    let (mut detector, mut events) = (detector(16_000), Vec::new());
    assert_eq!(detector.min_samples_until_event(), 7 * 512 - 1);
    detector.process(&loud[..1_000], &mut events).unwrap();
    assert_eq!(detector.min_samples_until_event(), 7 * 512 - 1 - 1_000);
    detector
        .process(&loud[1_000..7 * 512 - 1], &mut events)
        .unwrap();
    assert_eq!((detector.min_samples_until_event(), events.len()), (0, 0));
    detector.process(&loud[..1], &mut events).unwrap();
    assert_eq!(events[0].kind, SpeechStarted);
    // Six windows of silence may end it.
    assert_eq!(detector.min_samples_until_event(), 6 * 512 - 1);
}

#[test]
fn a_turn_at_the_start_has_as_much_pre_roll_as_there_is() {
    let samples = audio(48_000, &[(LOUD, 0.5), (SOFT, 1.0)]);
    let (events, utterances) = turns(&mut detector(48_000), &samples, 960);
    assert_eq!(events[0].speech_start_s, 0.0);
    assert_eq!(utterances[0][..], samples[..utterances[0].len()]);
}

#[test]
fn speech_after_a_pause_begins_the_next_turn() {
    // The second turn begins 10 ms after the pause was detected, before its own pre-roll is full.
    let samples = audio(
        16_000,
        &[(LOUD, 1.024), (SOFT, 0.522), (LOUD, 1.0), (SOFT, 1.0)],
    );
    let (events, utterances) = turns(&mut detector(16_000), &samples, 320);
    let onset = events
        .iter()
        .rfind(|event| event.kind == SpeechStarted)
        .unwrap();
    assert_eq!(onset.speech_start_s, 48.0 * 0.032);
    let end = events.last().unwrap().time_s / 0.032;
    assert!((end - end.round()).abs() < 1e-9);
    assert_eq!(utterances.len(), 2);
    assert_eq!(
        utterances[1][..],
        samples[48 * 512 - 4800..][..utterances[1].len()]
    );
}

#[test]
fn two_turns_in_one_call_are_taken_in_order() {
    let levels = [(LOUD, 1.0), (SOFT, 1.0), (LOUD, 2.0), (SOFT, 1.0)];
    let samples = audio(16_000, &levels);
    let (_, whole) = turns(&mut detector(16_000), &samples, samples.len());
    let (_, cut) = turns(&mut detector(16_000), &samples, 320);
    assert_eq!((whole.len(), &whole), (2, &cut));
}

#[test]
fn a_turn_that_was_not_taken_gives_way_to_the_next() {
    let mut detector = detector(16_000);
    let mut events = Vec::new();
    for seconds in [1.0, 2.0] {
        let samples = audio(16_000, &[(LOUD, seconds), (SOFT, 1.0)]);
        detector.process(&samples, &mut events).unwrap();
    }
    assert!(detector.take_utterance().unwrap().len() > 2 * 16_000);
    assert_eq!(detector.take_utterance(), None);
}

#[test]
fn a_turn_that_is_too_long_is_cut_with_nothing_lost_or_twice() {
    let samples = audio(16_000, &[(SOFT, 0.48), (LOUD, 5.5), (SOFT, 1.0)]);
    let (events, utterances) = turns(&mut with_max_speech(1.6), &samples, 320);
    assert_eq!(events.iter().filter(|event| event.kind == Pause).count(), 4);
    let joined = utterances.concat();
    let start = 15 * 512 - 4800;
    assert_eq!(joined, samples[start..start + joined.len()]);
}

#[test]
fn the_turn_so_far_grows_until_the_pause() {
    let mut detector = detector(16_000);
    let mut events = Vec::new();
    let samples = audio(16_000, &[(SOFT, 1.0), (LOUD, 1.0)]);
    detector.process(&samples[..16_000], &mut events).unwrap();
    assert_eq!(
        (detector.is_speaking(), detector.utterance_so_far().unwrap()),
        (false, Vec::new())
    );
    detector.process(&samples[16_000..], &mut events).unwrap();
    assert_eq!(
        (detector.is_speaking(), detector.probability()),
        (true, 1.0)
    );
    assert_eq!(
        detector.utterance_so_far().unwrap(),
        samples[31 * 512 - 4800..]
    );
    detector
        .process(&audio(16_000, &[(SOFT, 1.0)]), &mut events)
        .unwrap();
    assert_eq!(
        (detector.is_speaking(), detector.utterance_so_far().unwrap()),
        (false, Vec::new())
    );
}

#[test]
fn a_failing_detector_loses_nothing_but_its_window() {
    let levels = [
        (SOFT, 0.512),
        (LOUD, 0.512),
        (FAILING, 0.032),
        (LOUD, 0.48),
        (SOFT, 0.64),
    ];
    let samples = audio(16_000, &levels);
    let (mut detector, mut events) = (detector(16_000), Vec::new());
    let error = detector.process(&samples, &mut events);
    assert_eq!(
        error,
        Err(AudioError::Detector {
            message: "too loud".to_owned()
        })
    );
    assert_eq!(events.len(), 1);
    detector.process(&[], &mut events).unwrap();
    let pause = events.last().unwrap();
    assert_eq!((pause.kind, pause.time_s), (Pause, 64.0 * 0.032));
    assert_eq!(
        detector.take_utterance().unwrap(),
        samples[16 * 512 - 4800..64 * 512]
    );
}

#[test]
fn a_result_that_is_no_probability_is_an_error() {
    struct NotANumber;
    impl Vad for NotANumber {
        fn sample_rate_hz(&self) -> u32 {
            16_000
        }
        fn window_samples(&self) -> usize {
            160
        }
        fn probability(&mut self, _window: &[f32]) -> Result<f32, AudioError> {
            Ok(f32::NAN)
        }
        fn reset(&mut self) {}
    }
    let mut detector =
        PauseDetector::new(16_000, Box::new(NotANumber), PauseOptions::default()).unwrap();
    let error = detector.process(&[0; 160], &mut Vec::new());
    assert!(matches!(error, Err(AudioError::Probability { got }) if got.is_nan()));
}

#[test]
fn reset_is_a_new_start() {
    let samples = audio(48_000, &[(SOFT, 0.3), (LOUD, 1.0), (SOFT, 1.0)]);
    let mut detector = detector(48_000);
    let first = turns(&mut detector, &samples, 960);
    turns(&mut detector, &audio(48_000, &[(LOUD, 0.7)]), 960);
    detector.reset();
    assert_eq!(
        (detector.is_speaking(), detector.take_utterance()),
        (false, None)
    );
    assert_eq!(turns(&mut detector, &samples, 960), first);
}

#[test]
fn a_nan_as_the_longest_turn_is_refused_and_not_replaced_by_the_bound() {
    let mut options = PauseOptions::default();
    options.endpointing.max_speech_s = f64::NAN;
    let refused = PauseDetector::new(16_000, Box::new(LevelVad), options).err();
    assert!(matches!(
        refused,
        Some(AudioError::Setting {
            name: "max_speech_s",
            ..
        })
    ));
}

#[test]
fn a_pre_roll_out_of_range_is_refused() {
    for pre_roll_s in [-0.1, 31.0, f64::NAN] {
        let options = PauseOptions {
            pre_roll_s,
            ..Default::default()
        };
        assert!(
            PauseDetector::new(16_000, Box::new(LevelVad), options).is_err(),
            "{pre_roll_s}"
        );
    }
}

#[test]
fn speech_that_goes_on_after_a_disregarded_turn_is_the_next_one_with_its_pre_roll() {
    let mut detector = detector(16_000);
    let mut events = Vec::new();
    let samples = audio(16_000, &[(SOFT, 1.0), (LOUD, 2.0), (SOFT, 1.0)]);
    // Windows 31 to 37 are the 0.2 s of speech that begin a turn.
    let (head, tail) = samples.split_at(38 * 512);
    detector.process(head, &mut events).unwrap();
    assert_eq!(events.pop().map(|event| event.kind), Some(SpeechStarted));
    detector.disregard();
    assert!(!detector.is_open() && detector.utterance_so_far().unwrap().is_empty());
    detector.process(tail, &mut events).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [SpeechStarted, PauseCandidate, Pause]);
    assert_eq!(events[0].speech_start_s, 38.0 * 0.032);
    assert_eq!(events[0].time_s, 45.0 * 0.032);
    // Nothing that was heard is lost but what is older than the pre-roll of 0.3 s.
    let turn = detector.take_utterance().unwrap();
    assert_eq!(turn[..], samples[38 * 512 - 4_800..][..turn.len()]);
}

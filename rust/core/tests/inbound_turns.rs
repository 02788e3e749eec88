//! Turns in received audio are those of the parts: a handler's frames, a detector, and a clock.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a helper of tests; the results are equal to the last bit"
)]

mod support;

use std::path::Path;

use gradio_webrtc_core::vad::SileroVad;
use gradio_webrtc_core::{
    DetectedEvent, EventKind, InboundAudio, InboundTurns, Layout, PauseDetector, PauseEvent,
    PauseOptions, TurnEvent,
};
use proptest::prelude::*;
use support::{FAILING, LOUD, SOFT, audio, detector};

/// What may happen in a session.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many samples per channel are received.
    Receive(usize),
    /// Audio is skipped from now on, or no more.
    Skip(bool),
    Reset,
    /// The open turn is taken.
    Take,
    /// From now on the session has so many channels.
    Channels(u16),
}

/// The parts one by one, as a program would put them together.
struct Parts {
    rate_hz: u32,
    call_hz: u32,
    frame: usize,
    channels: u16,
    inbound: InboundAudio,
    detector: PauseDetector,
    received: usize,
    origin_s: f64,
    has_gap: bool,
    is_skipping: bool,
}

impl Parts {
    fn new(call_hz: u32, rate_hz: u32, frame: usize, detector: PauseDetector) -> Self {
        Self {
            rate_hz,
            call_hz,
            frame,
            channels: 1,
            inbound: InboundAudio::new(call_hz, 1, rate_hz, Layout::Mono, frame).unwrap(),
            detector,
            received: 0,
            origin_s: 0.0,
            has_gap: false,
            is_skipping: false,
        }
    }

    fn receive(&mut self, samples: &[i16], channels: u16) -> Vec<TurnEvent> {
        if channels != self.channels {
            self.channels = channels;
            let (call_hz, rate_hz) = (self.call_hz, self.rate_hz);
            self.inbound
                .change_to(call_hz, channels, rate_hz, Layout::Mono, self.frame)
                .unwrap();
        }
        self.inbound.process(samples).unwrap();
        let mut events = Vec::new();
        while let Some(frame) = self.inbound.next_frame().map(<[i16]>::to_vec) {
            if self.is_skipping {
                self.received += frame.len();
                self.has_gap = true;
                continue;
            }
            if self.has_gap {
                self.reset();
            }
            self.received += frame.len();
            let mut found = Vec::new();
            self.detector.process(&frame, &mut found).unwrap();
            events.extend(found.into_iter().map(|event| self.placed(event)));
        }
        events
    }

    fn placed(&mut self, event: PauseEvent) -> TurnEvent {
        let is_over = event.kind == EventKind::Pause;
        TurnEvent {
            utterance: is_over.then(|| self.detector.take_utterance().unwrap()),
            event: PauseEvent {
                kind: event.kind,
                time_s: self.origin_s + event.time_s,
                speech_start_s: self.origin_s + event.speech_start_s,
                speech_end_s: event.speech_end_s.map(|end_s| self.origin_s + end_s),
            },
        }
    }

    fn reset(&mut self) {
        self.detector.reset();
        self.origin_s = self.received as f64 / f64::from(self.rate_hz);
        self.has_gap = false;
    }

    fn take_open_turn(&mut self) -> Vec<i16> {
        let audio = if self.has_gap {
            Vec::new()
        } else {
            self.detector.utterance_so_far().unwrap()
        };
        self.reset();
        audio
    }

    fn allowance_s(&self) -> f64 {
        let allowed = if self.has_gap || self.is_skipping {
            0
        } else {
            self.detector.min_samples_until_event()
        };
        allowed as f64 / f64::from(self.rate_hz) - self.frame as f64 / f64::from(self.rate_hz)
    }
}

fn received(turns: &mut InboundTurns, rate_hz: u32, channels: u16, it: &[i16]) -> Vec<TurnEvent> {
    let mut all = Vec::new();
    let mut found = turns.process(rate_hz, channels, it).unwrap();
    while !found.is_empty() {
        all.extend(claimed(turns, &found));
        found = turns.proceed().unwrap();
    }
    all
}

fn claimed(turns: &mut InboundTurns, found: &[DetectedEvent]) -> Vec<TurnEvent> {
    found.iter().filter_map(|it| turns.claim(it)).collect()
}

/// Compares the two, step by step, in audio that is repeated; returns the number of turns.
fn compare(parts: &mut Parts, turns: &mut InboundTurns, said: &[i16], steps: &[Step]) -> usize {
    let (mut at, mut channels, mut ended) = (0, 1, 0);
    for step in steps {
        match *step {
            Step::Receive(count) => {
                let mono = said.iter().cycle().skip(at).take(count);
                let block: Vec<i16> = mono
                    .flat_map(|&it| std::iter::repeat_n(it, channels.into()))
                    .collect();
                at = (at + count) % said.len();
                let expected = parts.receive(&block, channels);
                let got = received(turns, parts.call_hz, channels, &block);
                assert_eq!(got, expected);
                ended += got.iter().filter(|it| it.utterance.is_some()).count();
            }
            Step::Skip(is_skipping) => {
                parts.is_skipping = is_skipping;
                turns.set_skipping(is_skipping);
            }
            Step::Reset => {
                parts.reset();
                turns.reset();
            }
            Step::Take => assert_eq!(turns.take_open_turn().unwrap(), parts.take_open_turn()),
            Step::Channels(count) => channels = count,
        }
        assert_eq!(turns.batch_allowance_s(), parts.allowance_s());
    }
    ended
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0_usize..60_000).prop_map(Step::Receive),
        4 => Just(Step::Receive(960)),
        2 => any::<bool>().prop_map(Step::Skip),
        1 => Just(Step::Reset),
        1 => Just(Step::Take),
        1 => (1_u16..=2).prop_map(Step::Channels),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #[test]
    fn any_session_has_the_turns_of_the_parts(
        steps in steps(),
        call_hz in prop::sample::select(vec![8_000_u32, 44_100, 48_000]),
        rate_hz in prop::sample::select(vec![8_000_u32, 16_000, 24_000, 48_000]),
    ) {
        let said = audio(call_hz, &[(SOFT, 0.7), (LOUD, 0.4), (SOFT, 0.3), (LOUD, 0.5), (SOFT, 0.9)]);
        let frame = rate_hz as usize / 50;
        let mut parts = Parts::new(call_hz, rate_hz, frame, detector(rate_hz));
        let mut turns = InboundTurns::new(detector(rate_hz), frame);
        compare(&mut parts, &mut turns, &said, &steps);
    }
}

fn silero(rate_hz: u32) -> PauseDetector {
    let vad = Box::new(SileroVad::new(16_000).unwrap());
    PauseDetector::new(rate_hz, vad, PauseOptions::default()).unwrap()
}

#[test]
fn people_have_the_turns_of_the_parts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let mut said = Vec::new();
    for name in [
        "austen_0880_16k",
        "asterisk_hello_world_16k",
        "goforward_16k",
    ] {
        let mut flac = claxon::FlacReader::open(folder.join(format!("{name}.flac"))).unwrap();
        said.extend(flac.samples().map(|it| i16::try_from(it.unwrap()).unwrap()));
        said.resize(said.len() + 16_000, 0);
    }
    let packets = |count| std::iter::repeat_n(Step::Receive(320), count);
    let mut steps: Vec<Step> = packets(1_000).collect();
    steps.extend([Step::Take, Step::Skip(true)]);
    steps.extend(packets(77));
    steps.push(Step::Skip(false));
    steps.extend(packets(500));
    steps.extend([Step::Reset, Step::Receive(100), Step::Receive(50_000)]);
    for rate_hz in [16_000, 24_000, 48_000] {
        let frame = rate_hz as usize / 50;
        let mut parts = Parts::new(16_000, rate_hz, frame, silero(rate_hz));
        let mut turns = InboundTurns::new(silero(rate_hz), frame);
        assert!(compare(&mut parts, &mut turns, &said, &steps) >= 3);
    }
}

#[test]
fn detection_waits_behind_a_frame_with_events() {
    let said = audio(16_000, &[(LOUD, 1.0), (SOFT, 2.0)]);
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let mut kinds = Vec::new();
    let mut events = turns.process(16_000, 1, &said).unwrap();
    while !events.is_empty() {
        assert_eq!(events.len(), 1);
        kinds.push(events[0].event.kind);
        // A reply begins that may not be interrupted, for which the rest is skipped.
        turns.set_skipping(kinds.len() == 2);
        events = turns.proceed().unwrap();
    }
    assert_eq!(kinds, [EventKind::SpeechStarted, EventKind::PauseCandidate]);
    turns.set_skipping(false);
    assert_eq!(turns.min_samples_until_event(), 0);
    assert_eq!(turns.take_open_turn().unwrap(), []);
    let [started, ..] = &received(&mut turns, 16_000, 1, &said)[..] else {
        panic!("expected events")
    };
    assert_eq!(started.event.speech_start_s, 3.0);
}

/// All events of this audio, none of which is claimed.
fn ahead(turns: &mut InboundTurns, samples: &[i16]) -> Vec<DetectedEvent> {
    let mut all = Vec::new();
    let mut found = turns.process(16_000, 1, samples).unwrap();
    while !found.is_empty() {
        all.append(&mut found);
        found = turns.proceed().unwrap();
    }
    all
}

#[test]
fn a_call_that_discards_the_turn_overtakes_its_events() {
    type Call = fn(&mut InboundTurns);
    let calls: [(&str, Call, bool); 6] = [
        ("reset", InboundTurns::reset, true),
        ("take", |it| drop(it.take_open_turn().unwrap()), true),
        ("skip", |it| it.skip(0), true),
        ("begin to skip", |it| it.set_skipping(true), true),
        ("skip no more", |it| it.set_skipping(false), false),
        ("look", |it| drop(it.utterance_so_far().unwrap()), false),
    ];
    for (name, call, overtakes) in calls {
        let said = audio(16_000, &[(SOFT, 0.3), (LOUD, 1.0), (SOFT, 1.0)]);
        let mut turns = InboundTurns::new(detector(16_000), 320);
        let earlier = ahead(&mut turns, &said);
        assert!(earlier.len() >= 3);
        call(&mut turns);
        let left = claimed(&mut turns, &earlier);
        assert_eq!(left.is_empty(), overtakes, "{name}");
        turns.set_skipping(false);
        let later = ahead(&mut turns, &said);
        assert_eq!(claimed(&mut turns, &later).len(), later.len(), "{name}");
    }
}

#[test]
fn audio_that_goes_on_to_be_skipped_overtakes_nothing() {
    let said = audio(16_000, &[(SOFT, 0.3), (LOUD, 1.0)]);
    let mut turns = InboundTurns::new(detector(16_000), 320);
    turns.set_skipping(true);
    let found = turns.detect(&said).unwrap();
    assert_eq!(found.len(), 1);
    turns.set_skipping(true);
    assert_eq!(claimed(&mut turns, &found).len(), 1);
}

#[test]
fn audio_that_is_passed_over_overtakes_nothing_and_ends_the_open_turn() {
    let said = audio(
        16_000,
        &[(SOFT, 0.3), (LOUD, 1.0), (SOFT, 1.0), (LOUD, 0.7)],
    );
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let found = ahead(&mut turns, &said);
    turns.pass_over(16_000, 1, &said).unwrap();
    assert_eq!(turns.utterance_so_far().unwrap(), []);
    assert_eq!(turns.min_samples_until_event(), 0);
    assert_eq!(claimed(&mut turns, &found).len(), found.len());
    let later = ahead(&mut turns, &said);
    assert_eq!(later.len(), found.len());
    assert!((later[0].event.speech_start_s - 6.3).abs() < 0.032);
    assert!(turns.pass_over(16_000, 3, &said).is_err());
}

#[test]
fn a_turn_whose_end_nobody_has_claimed_is_taken_with_the_open_one() {
    let said = audio(
        16_000,
        &[(SOFT, 0.3), (LOUD, 1.0), (SOFT, 1.0), (LOUD, 0.6)],
    );
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let mut other = InboundTurns::new(detector(16_000), 320);
    let found = ahead(&mut turns, &said);
    let ended: Vec<_> = received(&mut other, 16_000, 1, &said)
        .into_iter()
        .filter_map(|it| it.utterance)
        .collect();
    let open = other.take_open_turn().unwrap();
    assert_eq!((ended.len(), open.is_empty()), (1, false));
    assert_eq!(turns.utterance_so_far().unwrap(), open);
    assert_eq!(
        turns.take_open_turn().unwrap(),
        [&ended[0][..], &open].concat()
    );
    assert_eq!(claimed(&mut turns, &found), []);
    assert_eq!(turns.take_open_turn().unwrap(), []);
}

#[test]
fn an_end_is_claimed_once() {
    let said = audio(16_000, &[(LOUD, 1.0), (SOFT, 1.0)]);
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let found = ahead(&mut turns, &said);
    let end = found.last().unwrap();
    assert!(turns.claim(end).unwrap().utterance.is_some());
    assert_eq!(turns.claim(end), None);
}

#[test]
fn a_failure_costs_its_window_alone() {
    let said = audio(
        16_000,
        &[(LOUD, 0.512), (FAILING, 0.032), (LOUD, 0.3), (SOFT, 1.0)],
    );
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let (mut events, mut failures) = (Vec::new(), 0);
    for packet in said.chunks(320) {
        match turns.process(16_000, 1, packet) {
            Ok(found) => events.extend(found),
            Err(_) => failures += 1,
        }
    }
    let kinds: Vec<_> = events.iter().map(|it| it.event.kind).collect();
    assert_eq!(failures, 1);
    assert_eq!(kinds.first(), Some(&EventKind::SpeechStarted));
    assert_eq!(kinds.last(), Some(&EventKind::Pause));
}

#[test]
fn audio_of_the_handlers_rate_has_the_same_turns() {
    let said = audio(24_000, &[(SOFT, 0.5), (LOUD, 0.5), (SOFT, 1.0)]);
    let mut direct = InboundTurns::new(detector(24_000), 480);
    let mut whole = InboundTurns::new(detector(24_000), 480);
    let expected = received(&mut whole, 24_000, 1, &said);
    let got: Vec<_> = said
        .chunks(480)
        .flat_map(|frame| {
            let found = direct.detect(frame).unwrap();
            claimed(&mut direct, &found)
        })
        .collect();
    assert_eq!(got, expected);
    assert_eq!(got.len(), 3);
    direct.skip(24_000);
    assert_eq!(direct.min_samples_until_event(), 0);
}

#[test]
fn the_allowance_is_in_samples_of_the_session_and_leaves_a_frame() {
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let allowed = turns.min_samples_until_event();
    assert_eq!(allowed, 7 * 512 - 1);
    assert_eq!(
        u64::from(turns.batch_allowance(48_000)),
        3 * (allowed - 320)
    );
    turns.set_skipping(true);
    assert_eq!(turns.batch_allowance(48_000), 0);
    assert_eq!(turns.batch_allowance_s(), -0.02);
}

#[test]
fn a_thread_may_have_it() {
    fn sent<T: Send>(_: &T) {}
    sent(&InboundTurns::new(detector(16_000), 320));
}

#[test]
fn a_turn_is_open_until_it_is_over_or_discarded() {
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let is_open_after = |turns: &mut InboundTurns, level, seconds: usize| {
        received(turns, 48_000, 1, &vec![level; 48_000 * seconds]);
        turns.is_open()
    };
    assert!(!is_open_after(&mut turns, SOFT, 1));
    assert!(is_open_after(&mut turns, LOUD, 1));
    assert!(!is_open_after(&mut turns, SOFT, 1));
    is_open_after(&mut turns, LOUD, 1);
    turns.reset();
    assert!(!turns.is_open());
    is_open_after(&mut turns, LOUD, 1);
    turns.set_skipping(true);
    assert!(!turns.is_open());
    turns.set_skipping(false);
    turns.skip(320);
    assert!(!turns.is_open());
    // Too short for a turn, so far.
    turns.reset();
    assert_eq!(turns.process(48_000, 1, &[LOUD; 1_920]).unwrap(), []);
    assert!(turns.is_open());
}

#[test]
fn audio_without_voice_may_pass_while_nobody_speaks() {
    let mut turns = InboundTurns::new(silero(24_000), 480);
    assert_eq!(turns.quiet_terms(48_000), None);
    turns.process(48_000, 1, &vec![100; 48_000]).unwrap();
    let terms = turns.quiet_terms(48_000).unwrap();
    // 0.3 s; and 0.16 s, which are 8 frames and 5 windows.
    assert_eq!((terms.pre_roll, terms.step), (14_400, 7_680));
    let allowance = turns.min_samples_until_event();
    turns.pass_quiet(48_000, 60 * 7_680).unwrap();
    assert_eq!(turns.min_samples_until_event(), allowance);
    turns.set_skipping(true);
    assert_eq!(turns.quiet_terms(48_000), None);
    turns.set_skipping(false);
    turns.skip(480);
    assert_eq!(turns.quiet_terms(48_000), None);
}

#[test]
fn nothing_passes_a_detector_that_may_take_noise_for_speech() {
    let mut turns = InboundTurns::new(detector(16_000), 320);
    turns.process(48_000, 1, &vec![SOFT; 48_000]).unwrap();
    assert_eq!(turns.quiet_terms(48_000), None);
}

#[test]
fn nothing_passes_where_whole_frames_and_windows_meet_too_seldom() {
    let mut turns = InboundTurns::new(silero(22_051), 441);
    turns.process(48_000, 1, &vec![100; 48_000]).unwrap();
    assert_eq!(turns.quiet_terms(48_000), None);
}

#[test]
fn a_disregarded_turn_overtakes_its_events_and_the_clock_goes_on() {
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let samples = audio(16_000, &[(LOUD, 1.0)]);
    let begun = turns.process(16_000, 1, &samples[..8_000]).unwrap();
    assert_eq!(begun.len(), 1);
    turns.disregard();
    assert!(turns.claim(&begun[0]).is_none());
    assert!(!turns.is_open());
    let again = turns.process(16_000, 1, &samples[8_000..]).unwrap();
    let event = turns.claim(&again[0]).unwrap().event;
    assert_eq!(event.kind, EventKind::SpeechStarted);
    assert!(event.speech_start_s >= begun[0].event.time_s);
}

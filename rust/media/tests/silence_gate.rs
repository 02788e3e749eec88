//! Turns in recordings are the same whether packets without voice are decoded or not.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test: recordings of seconds"
)]

use std::path::Path;
use std::time::Duration;

use gradio_webrtc_core::vad::SileroVad;
use gradio_webrtc_core::{
    EventKind, InboundTurns, PauseDetector, PauseOptions, Quality, Resampler, TurnEvent,
};
use gradio_webrtc_media::{AudioReceiver, GateTerms, OpusApplication, OpusEncoder, ReceiveStats};

const RATE_HZ: u32 = 24_000;
const PACKET: Duration = Duration::from_millis(20);

/// Noise of a room at these levels, in dB relative to full scale.
const FLOORS_DB: [f32; 3] = [-75.0, -60.0, -48.0];

struct Noise(u32, f32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Uniform: its effective value is its greatest one by the root of three.
        (self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0) * self.1 * 3_f32.sqrt()
    }
}

/// Seconds of a room, and recordings in it, at 48 kHz.
fn scene(names: &[&str], floor_db: f32) -> Vec<i16> {
    let mut noise = Noise(7, 10_f32.powf(floor_db / 20.0));
    let mut samples = vec![0.0; 3 * 48_000];
    for name in names {
        let path = format!(
            "{}/../../tests/data/{name}_16k.flac",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut reader = claxon::FlacReader::open(Path::new(&path)).unwrap();
        let read = reader.samples().map(|it| it.unwrap() as f32 / 32_768.0);
        let input: Vec<f32> = read.collect();
        Resampler::new(16_000, 48_000, Quality::High)
            .unwrap()
            .process(&input, &mut samples);
        samples.resize(samples.len() + 3 * 48_000 + 1_234, 0.0);
    }
    let with_noise = samples.into_iter().map(|it| it + noise.next());
    with_noise.map(|it| (it * 32_767.0) as i16).collect()
}

fn packets(samples: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(1, OpusApplication::Voice).unwrap();
    encoder.set_bit_rate(24_000).unwrap();
    let each = samples.chunks_exact(960).map(|frame| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet).unwrap();
        packet
    });
    each.collect()
}

/// A session as the media thread has it.
struct Session {
    receiver: AudioReceiver,
    turns: InboundTurns,
    is_gated: bool,
    events: Vec<TurnEvent>,
    /// Samples per channel at 48 kHz, decoded or not.
    samples: u64,
}

impl Session {
    fn new(is_gated: bool) -> Self {
        let vad = Box::new(SileroVad::new(16_000).unwrap());
        let detector = PauseDetector::new(RATE_HZ, vad, PauseOptions::default()).unwrap();
        Self {
            receiver: AudioReceiver::new(48_000, None).unwrap(),
            turns: InboundTurns::new(detector, 480),
            is_gated,
            events: Vec::new(),
            samples: 0,
        }
    }

    /// Receives a packet that was sent as that with this number, at this time in packets.
    fn receive(&mut self, now: Duration, number: usize, time: usize, packet: &[u8]) {
        let timestamp = time as u32 * 960;
        self.receiver
            .insert(now, 1, number as u16, timestamp, packet.to_vec());
        if self.receiver.is_due() {
            self.take(now);
        }
    }

    fn take(&mut self, now: Duration) {
        if self.is_gated {
            let terms = self.turns.quiet_terms(48_000);
            self.receiver.set_gate(terms.map(|terms| GateTerms {
                pre_roll: terms.pre_roll,
                step: terms.step,
            }));
        }
        let mut audio = Vec::new();
        self.receiver.take(now, &mut audio);
        let passed = self.receiver.take_passed();
        self.turns.pass_quiet(48_000, passed).unwrap();
        self.samples += passed + audio.len() as u64;
        let mut found = self.turns.process(48_000, 1, &audio).unwrap();
        while !found.is_empty() {
            self.events
                .extend(found.iter().filter_map(|event| self.turns.claim(event)));
            found = self.turns.proceed().unwrap();
        }
        self.receiver
            .set_allowance(self.turns.batch_allowance(48_000));
    }

    /// Takes all that is left.
    fn finish(&mut self, now: Duration) {
        self.take(now + PACKET * 50);
        self.is_gated = false;
        self.receiver.set_gate(None);
        self.take(now + PACKET * 50);
    }

    fn stats(&self) -> ReceiveStats {
        self.receiver.stats()
    }
}

/// All packets but those for which `is_lost`, one by one.
fn received(packets: &[Vec<u8>], is_gated: bool, is_lost: fn(usize) -> bool) -> Session {
    let mut session = Session::new(is_gated);
    for (number, packet) in packets.iter().enumerate() {
        let now = PACKET * number as u32;
        if !is_lost(number) {
            session.receive(now, number, number, packet);
        }
        if session.receiver.deadline().is_some_and(|at| at <= now) {
            session.take(now);
        }
    }
    session.finish(PACKET * packets.len() as u32);
    session
}

/// Pauses are where they were, and the audio before them is as long.
fn assert_same(gated: &Session, open: &Session) {
    let kinds = |session: &Session| -> Vec<EventKind> {
        session.events.iter().map(|it| it.event.kind).collect()
    };
    assert_eq!(kinds(gated), kinds(open));
    for (one, other) in gated.events.iter().zip(&open.events) {
        let start_s = one.event.speech_start_s - other.event.speech_start_s;
        assert!(start_s.abs() <= 0.02, "{one:?} {other:?}");
        assert!((one.event.time_s - other.event.time_s).abs() <= 0.02);
        let length = |event: &TurnEvent| event.utterance.as_ref().map(Vec::len);
        assert_eq!(length(one), length(other));
    }
    assert_eq!(gated.samples, open.samples);
}

const RECORDINGS: [&str; 4] = [
    "goforward",
    "asterisk_hello_world",
    "cards_003",
    "asterisk_demo_thanks",
];

#[test]
fn turns_are_the_same_and_fewer_packets_are_decoded() {
    for floor_db in FLOORS_DB {
        let packets = packets(&scene(&RECORDINGS, floor_db));
        let open = received(&packets, false, |_| false);
        let gated = received(&packets, true, |_| false);
        assert!(open.events.len() >= RECORDINGS.len() * 3);
        assert_same(&gated, &open);
        assert_eq!(open.stats().packets_gated, 0);
        assert!(gated.stats().packets_gated * 6 > packets.len() as u64);
    }
}

/// Each fifth packet comes behind the next one, and 400 ms of a silence are not sent.
#[test]
fn packets_out_of_order_and_discontinuous_ones_change_nothing() {
    let packets = packets(&scene(&RECORDINGS[..2], FLOORS_DB[0]));
    let mut order: Vec<usize> = (0..packets.len())
        .filter(|it| !(80..100).contains(it))
        .collect();
    order.chunks_exact_mut(5).for_each(|five| five.swap(3, 4));
    let run = |is_gated| {
        let mut session = Session::new(is_gated);
        for &number in &order {
            // Sequence numbers have no gap where nothing was sent.
            let sequence = if number < 80 { number } else { number - 20 };
            session.receive(PACKET * number as u32, sequence, number, &packets[number]);
        }
        session.finish(PACKET * packets.len() as u32);
        session
    };
    let (open, gated) = (run(false), run(true));
    assert_same(&gated, &open);
    assert!(gated.stats().packets_gated > 50);
}

#[test]
fn lost_packets_change_nothing() {
    let packets = packets(&scene(&RECORDINGS[..2], FLOORS_DB[1]));
    let is_lost = |number| number % 19 == 7;
    let (open, gated) = (
        received(&packets, false, is_lost),
        received(&packets, true, is_lost),
    );
    assert_same(&gated, &open);
    assert!(gated.stats().packets_gated > 50);
    assert_eq!(
        gated.stats().jitter.concealed_samples,
        open.stats().jitter.concealed_samples
    );
}

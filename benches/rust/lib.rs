//! The measured work: each function returns a closure that does one round of it.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "the inputs are known to be valid"
)]

use std::hint::black_box;
use std::path::Path;

use gradio_webrtc_core::vad::{SileroVad, Vad};
use gradio_webrtc_core::{
    Chunk, InboundAudio, InstructionSet, Layout, OutboundAudio, PauseDetector, PauseOptions,
    Pcm16Assembler, Quality, Resampler, sample,
};

/// The rate of a session in Hz: that of the clock of Opus in RTP (RFC 7587, section 4.1).
const SESSION_HZ: u32 = 48_000;
/// Frames of 20 ms in a second.
const FRAMES_PER_SECOND: usize = 50;
/// Bytes that the assembler takes in a round.
pub const ASSEMBLED_BYTES: usize = 64 * 1024;

/// Eleven seconds of speech, read aloud, at that rate.
fn speech(rate_hz: u32) -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    let mut reader = claxon::FlacReader::open(folder.join("austen_0880_16k.flac")).unwrap();
    let recorded_hz = reader.streaminfo().sample_rate;
    let samples = reader.samples().map(|sample| sample.unwrap());
    let input: Vec<f32> = samples
        .map(|sample| sample::i16_to_f32(i16::try_from(sample).unwrap()))
        .collect();
    let (mut converted, mut out) = (Vec::new(), Vec::new());
    let mut resampler = Resampler::new(recorded_hz, rate_hz, Quality::High).unwrap();
    resampler.process(&input, &mut converted);
    sample::append_i16(&converted, &mut out);
    out
}

/// Pieces of equal length, repeated from the start at the end.
struct Pieces<T> {
    samples: Vec<T>,
    length: usize,
    next: usize,
}

impl<T> Pieces<T> {
    fn of(samples: Vec<T>, length: usize) -> Self {
        Self {
            samples,
            length,
            next: 0,
        }
    }

    fn next(&mut self) -> &[T] {
        if self.next + self.length > self.samples.len() {
            self.next = 0;
        }
        self.next += self.length;
        &self.samples[self.next - self.length..self.next]
    }
}

fn frames(rate_hz: u32) -> Pieces<i16> {
    Pieces::of(speech(rate_hz), rate_hz as usize / FRAMES_PER_SECOND)
}

fn unit(samples: &[i16]) -> Vec<f32> {
    samples.iter().copied().map(sample::i16_to_f32).collect()
}

/// One window of 32 ms through the net for that rate.
pub fn silero(rate_hz: u32, set: InstructionSet) -> impl FnMut() {
    let mut vad = SileroVad::with_instruction_set(rate_hz, set).unwrap();
    let mut windows = Pieces::of(unit(&speech(rate_hz)), vad.window_samples());
    move || {
        black_box(vad.probability(black_box(windows.next())).unwrap());
    }
}

/// A frame of 20 ms from one rate to another; a rate that 50 does not divide has a little less.
pub fn resampler(from_hz: u32, to_hz: u32, quality: Quality, set: InstructionSet) -> impl FnMut() {
    let mut resampler = Resampler::with_instruction_set(from_hz, to_hz, quality, set).unwrap();
    let frame = frames(from_hz).length;
    let mut frames = Pieces::of(unit(&speech(from_hz)), frame);
    let mut out = Vec::new();
    move || {
        out.clear();
        resampler.process(black_box(frames.next()), &mut out);
        black_box(&out);
    }
}

/// A frame of 20 ms at the session's rate through the whole detector with the built-in net.
///
/// The recording is repeated: turns begin and end, and their utterances are taken.
pub fn pause_detector() -> impl FnMut() {
    let vad = Box::new(SileroVad::new(16_000).unwrap());
    let mut detector = PauseDetector::new(SESSION_HZ, vad, PauseOptions::default()).unwrap();
    let mut frames = frames(SESSION_HZ);
    let mut events = Vec::new();
    move || {
        events.clear();
        detector
            .process(black_box(frames.next()), &mut events)
            .unwrap();
        black_box((&events, detector.take_utterance()));
    }
}

/// A frame as aiortc decodes it, stereo, to mono frames at the handler's rate.
pub fn inbound(handler_hz: u32) -> impl FnMut() {
    let mut inbound = InboundAudio::new(SESSION_HZ, 2, handler_hz, Layout::Mono, 480).unwrap();
    let stereo = speech(SESSION_HZ).into_iter().flat_map(|both| [both, both]);
    let mut frames = Pieces::of(
        stereo.collect(),
        2 * SESSION_HZ as usize / FRAMES_PER_SECOND,
    );
    move || {
        inbound.process(black_box(frames.next())).unwrap();
        while let Some(frame) = inbound.next_frame() {
            black_box(frame);
        }
    }
}

/// 20 ms of speech at that rate, to a frame of the session.
pub fn outbound(voice_hz: u32) -> impl FnMut() {
    let mut outbound = OutboundAudio::new(SESSION_HZ, 1.0).unwrap();
    let mut frames = frames(voice_hz);
    move || {
        let chunk = Chunk::Mono(black_box(frames.next()));
        outbound.push(voice_hz, chunk).unwrap();
        while let Some(frame) = outbound.pull(false) {
            black_box(frame);
        }
    }
}

/// [`ASSEMBLED_BYTES`] bytes in chunks of that length, half of which end in mid-sample if it is
/// odd.
pub fn assembler(chunk_bytes: usize) -> impl FnMut() {
    let bytes: Vec<u8> = speech(SESSION_HZ)
        .into_iter()
        .flat_map(i16::to_le_bytes)
        .take(ASSEMBLED_BYTES)
        .collect();
    let mut assembler = Pcm16Assembler::new();
    let mut out = Vec::new();
    move || {
        for chunk in black_box(&bytes).chunks(chunk_bytes) {
            out.clear();
            assembler.push(chunk, &mut out);
            black_box(&out);
        }
    }
}

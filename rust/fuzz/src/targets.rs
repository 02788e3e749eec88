//! The targets: operations of the core on arbitrary bytes, and the properties that must hold.

use std::collections::VecDeque;

use gradio_webrtc_core::vad::{EnergyVad, SileroVad, Vad};
use gradio_webrtc_core::{
    AudioError, AudioFifo, Chunk, EndpointingOptions, InboundAudio, Layout, OutboundAudio,
    PauseDetector, PauseOptions, Pcm16Assembler, Quality, Resampler,
};

use crate::bytes::Bytes;

/// A part of the core, and a function that uses it.
pub struct Target {
    /// The name, which is also that of its corpus.
    pub name: &'static str,
    /// Runs one input; panics when a property does not hold.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "pcm",
        run: pcm,
    },
    Target {
        name: "fifo",
        run: fifo,
    },
    Target {
        name: "resampler",
        run: resampler,
    },
    Target {
        name: "inbound",
        run: inbound,
    },
    Target {
        name: "outbound",
        run: outbound,
    },
    Target {
        name: "vad",
        run: vad,
    },
    Target {
        name: "pause",
        run: pause,
    },
];

/// Chunks of bytes result in the samples of all bytes in a row.
fn pcm(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (mut assembler, mut out, mut fed) = (Pcm16Assembler::new(), Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let count = bytes.length(64);
        let chunk = bytes.slice(count);
        assembler.push(chunk, &mut out);
        fed.extend_from_slice(chunk);
    }
    let (pairs, odd) = fed.as_chunks::<2>();
    let expected: Vec<i16> = pairs.iter().copied().map(i16::from_le_bytes).collect();
    assert_eq!(out, expected);
    assert_eq!(assembler.has_pending_byte(), !odd.is_empty());
}

/// A FIFO agrees with a queue from which whole frames are taken.
fn fifo(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let frame_samples = bytes.length(2_000);
    let Ok(mut fifo) = AudioFifo::<i16>::new(frame_samples) else {
        return assert_eq!(frame_samples, 0);
    };
    let mut model = VecDeque::new();
    while !bytes.is_empty() {
        match bytes.byte() % 4 {
            0 => {
                let count = bytes.length(3_000);
                let samples = bytes.int16(count);
                assert_eq!(fifo.reserve(samples.len()), Ok(()));
                fifo.write(&samples);
                model.extend(samples);
            }
            1 => {
                let is_whole = model.len() >= frame_samples;
                let expected = is_whole.then(|| model.drain(..frame_samples).collect::<Vec<_>>());
                assert_eq!(fifo.read(), expected.as_deref());
            }
            2 => {
                model.resize(model.len().next_multiple_of(frame_samples), 0);
                fifo.pad();
            }
            _ => {
                assert_eq!(fifo.clear(), model.len());
                model.clear();
            }
        }
        assert_eq!(fifo.len(), model.len());
    }
}

/// The number of outputs follows from the ratio, and they do not depend on how the input is cut.
fn resampler(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (from_hz, to_hz) = (bytes.rate_hz(), bytes.rate_hz());
    let quality = bytes.one_of(&[Quality::High, Quality::LowLatency]);
    let Ok(mut resampler) = Resampler::new(from_hz, to_hz, quality) else {
        let rates = [from_hz, to_hz];
        return assert!(
            rates
                .iter()
                .any(|rate_hz| !(8_000..=192_000).contains(rate_hz))
        );
    };
    let (mut out, mut fed) = (Vec::new(), Vec::new());
    while !bytes.is_empty() && fed.len() < 20_000 {
        let count = bytes.length(4_000);
        let samples = bytes.floats(count);
        resampler.process(&samples, &mut out);
        fed.extend(samples);
        assert_eq!(out.len(), resampler.max_output(fed.len()));
    }
    resampler.flush(&mut out);
    let mut whole = Vec::new();
    resampler.process(&fed, &mut whole);
    resampler.flush(&mut whole);
    assert_eq!(out.len(), whole.len());
    if fed
        .iter()
        .all(|sample| sample.is_finite() && sample.abs() <= 1.0)
    {
        assert!(out.iter().all(|sample| sample.abs() < 4.0));
        // A difference and not equal bits: zero has two signs, and denormal samples result in
        // either.
        assert!(out.iter().zip(&whole).all(|(a, b)| a - b == 0.0));
    }
}

/// Every frame has the same length for any input.
fn inbound(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (from_hz, channels, to_hz) = (
        bytes.rate_hz(),
        u16::from(bytes.byte() % 4),
        bytes.rate_hz(),
    );
    let layout = bytes.one_of(&[Layout::Mono, Layout::Stereo]);
    let frame_samples = bytes.length(2_000);
    let Ok(mut inbound) = InboundAudio::new(from_hz, channels, to_hz, layout, frame_samples) else {
        return;
    };
    let length = frame_samples * layout.channels();
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 => inbound.reset(),
            1 => {
                // Terminates, because each flush takes a frame of the waiting samples.
                while let Some(frame) = inbound.flush() {
                    assert_eq!(frame.len(), length);
                }
            }
            _ => {
                let count = bytes.length(4_000);
                let samples = bytes.int16(count);
                let is_whole = samples.len().is_multiple_of(channels.into());
                assert_eq!(inbound.process(&samples).is_ok(), is_whole);
                while let Some(frame) = inbound.next_frame() {
                    assert_eq!(frame.len(), length);
                }
            }
        }
    }
}

/// The buffer stays within its bound, and frames have one length.
fn outbound(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (call_rate_hz, max_buffered_s) = (bytes.rate_hz(), bytes.setting());
    let Ok(mut outbound) = OutboundAudio::new(call_rate_hz, max_buffered_s) else {
        return;
    };
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 => outbound.end(),
            1 => drop(outbound.clear()),
            2 | 3 => {
                let is_partial = bytes.byte().is_multiple_of(2);
                let length = outbound.frame_samples() * outbound.channels();
                if let Some(frame) = outbound.pull(is_partial) {
                    assert_eq!(frame.len(), length);
                }
            }
            _ => push(&mut outbound, &mut bytes),
        }
        // Not exactly the bound: streams of other rates leave tails, which are stored beyond it.
        assert!(outbound.buffered_s() <= 2.0 * max_buffered_s + 1.0);
    }
}

fn push(outbound: &mut OutboundAudio, bytes: &mut Bytes<'_>) {
    let (rate_hz, kind) = (bytes.rate_hz(), bytes.byte());
    let (first, second) = (bytes.length(4_000), bytes.length(4_000));
    let second = if kind % 3 == 0 { second } else { first };
    let (left, right) = (bytes.floats(first), bytes.floats(second));
    let chunk = match kind % 4 {
        0 => Chunk::Mono(left.as_slice()),
        1 => Chunk::Interleaved(left.as_slice()),
        _ => Chunk::Planar(left.as_slice(), right.as_slice()),
    };
    let whole = chunk.samples();
    let is_audio = chunk.check().is_ok() && (8_000..=192_000).contains(&rate_hz);
    match outbound.push(rate_hz, chunk) {
        Ok(taken) => assert!(is_audio && taken <= whole),
        Err(_) => assert!(!is_audio),
    }
}

/// A window results in a probability or an error, and a reset detector equals a new one.
fn vad(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let rate_hz = bytes.rate_hz();
    let (Ok(mut energy), silero) = (EnergyVad::new(rate_hz), SileroVad::new(rate_hz)) else {
        return assert!(!(8_000..=192_000).contains(&rate_hz));
    };
    let Ok(mut silero) = silero else {
        return feed_windows(&mut energy, &mut bytes);
    };
    feed_windows(&mut silero, &mut bytes);
    silero.reset();
    let (silence, fresh) = (vec![0.0; silero.window_samples()], SileroVad::new(rate_hz));
    let expected = fresh.and_then(|mut fresh| fresh.probability(&silence));
    assert_eq!(silero.probability(&silence), expected);
}

fn feed_windows(vad: &mut dyn Vad, bytes: &mut Bytes<'_>) {
    let length = vad.window_samples();
    while !bytes.is_empty() {
        let count = if bytes.byte() == 0 {
            bytes.length(4_000)
        } else {
            length
        };
        let window = bytes.floats(count);
        let is_audio = window.iter().all(|sample| sample.abs() <= 1.0);
        let result = vad.probability(&window);
        assert_eq!(result.is_ok(), count == length);
        if let Ok(probability) = result
            && is_audio
        {
            assert!((0.0..=1.0).contains(&probability), "{probability}");
        }
        if !is_audio {
            // Samples out of range may spoil the detector's state, but only until a reset.
            vad.reset();
        }
    }
}

/// A detector that returns probabilities read from the input.
struct ScriptedVad {
    probabilities: Vec<f32>,
    next: usize,
    window_samples: usize,
}

impl Vad for ScriptedVad {
    fn sample_rate_hz(&self) -> u32 {
        16_000
    }

    fn window_samples(&self) -> usize {
        self.window_samples
    }

    fn probability(&mut self, _window: &[f32]) -> Result<f32, AudioError> {
        self.next += 1;
        Ok(self.probabilities[self.next % self.probabilities.len()])
    }

    fn reset(&mut self) {
        self.next = 0;
    }
}

/// Turns end in order, and no utterance is longer than the audio that was fed.
fn pause(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let rate_hz = bytes.rate_hz();
    let mut endpointing = EndpointingOptions::default();
    for duration_s in [
        &mut endpointing.started_talking_s,
        &mut endpointing.pause_s,
        &mut endpointing.candidate_s,
        &mut endpointing.forget_s,
        &mut endpointing.max_speech_s,
    ] {
        if bytes.byte() > 128 {
            *duration_s = bytes.setting();
        }
    }
    let pre_roll_s = bytes.setting();
    let probabilities = (0..=bytes.byte() % 16)
        .map(|_| match bytes.byte() {
            255 => bytes.float(),
            low => f32::from(low % 3) / 2.0,
        })
        .collect();
    let vad = ScriptedVad {
        probabilities,
        next: 0,
        window_samples: bytes.length(2_000),
    };
    let options = PauseOptions {
        endpointing,
        pre_roll_s,
    };
    if let Ok(detector) = PauseDetector::new(rate_hz, Box::new(vad), options) {
        feed_audio(detector, &mut bytes);
    }
}

fn feed_audio(mut detector: PauseDetector, bytes: &mut Bytes<'_>) {
    let (mut fed, mut last_s) = (0, 0.0);
    while !bytes.is_empty() && fed < 2_000_000 {
        if bytes.byte() == 0 {
            detector.reset();
            (fed, last_s) = (0, 0.0);
        }
        // Up to two of the pieces that are processed at once.
        let count = bytes.length(4_000) * usize::from(bytes.byte() % 25);
        let (samples, mut events) = (bytes.int16(count), Vec::new());
        // A result that is no probability is an error, and the detector goes on.
        let _ = detector.process(&samples, &mut events);
        fed += count;
        for event in events {
            assert!(event.time_s >= last_s && event.speech_start_s <= event.time_s);
            last_s = event.time_s;
        }
        assert!((0.0..=1.0).contains(&detector.probability()));
        assert!(
            detector
                .utterance_so_far()
                .is_ok_and(|turn| turn.len() <= fed)
        );
        while let Some(turn) = detector.take_utterance() {
            assert!(turn.len() <= fed);
        }
    }
}

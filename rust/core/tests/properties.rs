//! The output is the same for any cutting of the input: nothing lost, nothing reordered.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use gradio_webrtc_core::{AudioFifo, Chunk, InboundAudio, Layout, OutboundAudio, Pcm16Assembler};
use proptest::prelude::*;
use support::{LOUD, SOFT, audio, detector, turns};

/// Cuts `items` into pieces of the given lengths, repeated until all are cut.
fn cut<'a, T>(items: &'a [T], lengths: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    let (mut rest, mut lengths) = (items, lengths.iter().cycle());
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (head, tail) = rest.split_at(rest.len().min(*lengths.next()?));
        rest = tail;
        Some(head)
    })
}

/// Lengths up to `most`, of which at least one is not 0.
fn lengths(most: usize) -> impl Strategy<Value = Vec<usize>> {
    (1..=most, prop::collection::vec(0..=most, 0..6)).prop_map(|(first, mut others)| {
        others.push(first);
        others
    })
}

fn frames_of(inbound: &mut InboundAudio, chunks: &mut dyn Iterator<Item = &[i16]>) -> Vec<i16> {
    let mut samples_out = Vec::new();
    for chunk in chunks {
        inbound.process(chunk).unwrap();
        while let Some(frame) = inbound.next_frame() {
            samples_out.extend_from_slice(frame);
        }
    }
    while let Some(frame) = inbound.flush() {
        samples_out.extend_from_slice(frame);
    }
    samples_out
}

/// Pushes all chunks, pulls whenever the buffer is full; returns everything pulled.
fn pulled_from(
    outbound: &mut OutboundAudio,
    rate_hz: u32,
    chunks: &mut dyn Iterator<Item = &[i16]>,
) -> Vec<i16> {
    let mut samples_out = Vec::new();
    for mut chunk in chunks {
        while !chunk.is_empty() {
            let taken = outbound.push(rate_hz, Chunk::Mono(chunk)).unwrap();
            chunk = &chunk[taken..];
            if taken == 0 {
                samples_out.extend_from_slice(outbound.pull(false).unwrap());
            }
        }
    }
    outbound.end();
    while let Some(frame) = outbound.pull(false) {
        samples_out.extend_from_slice(frame);
    }
    samples_out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fifo(items: Vec<i16>, frame in 1_usize..50, lengths in lengths(70)) {
        let mut fifo = AudioFifo::new(frame).unwrap();
        let mut read = Vec::new();
        for chunk in cut(&items, &lengths) {
            fifo.write(chunk);
            while let Some(samples) = fifo.read() {
                prop_assert_eq!(samples.len(), frame);
                read.extend_from_slice(samples);
            }
        }
        prop_assert!(fifo.len() < frame);
        read.extend(fifo.flush().unwrap_or_default());
        prop_assert_eq!(&read[..items.len()], &items[..]);
        prop_assert!(read[items.len()..].iter().all(|&sample| sample == 0));
    }

    #[test]
    fn pcm(bytes: Vec<u8>, lengths in lengths(9)) {
        let (mut assembler, mut samples) = (Pcm16Assembler::new(), Vec::new());
        for chunk in cut(&bytes, &lengths) {
            assembler.push(chunk, &mut samples);
        }
        let whole: Vec<i16> =
            bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        prop_assert_eq!(samples, whole);
        prop_assert_eq!(assembler.has_pending_byte(), bytes.len() % 2 == 1);
    }

    #[test]
    fn inbound(
        groups in prop::collection::vec(any::<[i16; 2]>(), 0..4000),
        lengths in lengths(1500),
        rate_hz in prop::sample::select(vec![8_000_u32, 16_000, 24_000, 44_100, 48_000]),
        layout in prop::sample::select(vec![Layout::Mono, Layout::Stereo]),
    ) {
        let make = || InboundAudio::new(48_000, 2, rate_hz, layout, 160).unwrap();
        let whole = frames_of(&mut make(), &mut std::iter::once(groups.as_flattened()));
        let mut chunks = cut(&groups, &lengths).map(<[_]>::as_flattened);
        prop_assert_eq!(&frames_of(&mut make(), &mut chunks), &whole);
        prop_assert!(whole.len() >= groups.len() * rate_hz as usize / 48_000 * layout.channels());
    }

    #[test]
    fn outbound(
        samples: Vec<i16>,
        lengths in lengths(3000),
        rate_hz in prop::sample::select(vec![8_000_u32, 16_000, 24_000, 44_100, 48_000]),
    ) {
        let make = |max_s| OutboundAudio::new(48_000, max_s).unwrap();
        let repeated = samples.repeat(20);
        let whole = pulled_from(&mut make(10.0), rate_hz, &mut std::iter::once(&repeated[..]));
        let in_pieces = pulled_from(&mut make(0.05), rate_hz, &mut cut(&repeated, &lengths));
        prop_assert_eq!(&in_pieces, &whole);
        if rate_hz == 48_000 {
            prop_assert_eq!(&whole[..repeated.len()], &repeated[..]);
        }
    }

    #[test]
    fn turns_and_their_utterances(
        levels in prop::collection::vec((0.05_f64..1.2, 0.05_f64..1.2), 1..5),
        lengths in lengths(5000),
        rate_hz in prop::sample::select(vec![16_000_u32, 44_100, 48_000]),
    ) {
        let levels: Vec<_> =
            levels.into_iter().flat_map(|(soft, loud)| [(SOFT, soft), (LOUD, loud)]).collect();
        let mut samples = audio(rate_hz, &levels);
        samples.extend(audio(rate_hz, &[(SOFT, 1.0)]));
        let whole = turns(&mut detector(rate_hz), &samples, samples.len());
        let mut in_pieces = (Vec::new(), Vec::new());
        let mut pieces = detector(rate_hz);
        for chunk in cut(&samples, &lengths) {
            pieces.process(chunk, &mut in_pieces.0).unwrap();
            in_pieces.1.extend(std::iter::from_fn(|| pieces.take_utterance()));
        }
        prop_assert_eq!(&whole, &in_pieces);
        for utterance in whole.1 {
            prop_assert!(samples.windows(utterance.len()).any(|part| part == utterance));
        }
    }

    #[test]
    fn no_event_happens_within_the_batch_allowance(
        levels in prop::collection::vec((0.01_f64..0.7, 0.01_f64..0.4), 1..9),
        piece in 1_usize..4000,
        rate_hz in prop::sample::select(vec![8_000_u32, 16_000, 44_100, 48_000]),
    ) {
        let levels: Vec<_> =
            levels.into_iter().flat_map(|(soft, loud)| [(SOFT, soft), (LOUD, loud)]).collect();
        let samples = audio(rate_hz, &levels);
        let (mut detector, mut events) = (detector(rate_hz), Vec::new());
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let allowance = usize::try_from(detector.min_samples_until_event()).unwrap();
            let (batch, after) = rest.split_at(allowance.min(rest.len()));
            detector.process(batch, &mut events).unwrap();
            prop_assert_eq!(&events, &[]);
            let (next, after) = after.split_at(piece.min(after.len()));
            detector.process(next, &mut events).unwrap();
            events.clear();
            rest = after;
        }
    }
}

//! Missing memory for an input is an error, and the process goes on.
#![allow(unsafe_code)] // an allocator that refuses is unsafe by its trait
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout as Block, System};

use gradio_webrtc_core::{
    AudioError, AudioFifo, Chunk, InboundAudio, Layout, OutboundAudio, Quality, Resampler,
    Utterance,
};
use support::{LOUD, SOFT, audio, detector};

/// The largest block that is not refused, in bytes: the buffers for a piece are smaller, from any
/// rate to any other.
const LARGEST_BLOCK: usize = 16 * 1024 * 1024;

struct Refusing;

thread_local! {
    static REFUSES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

// SAFETY: every block is the system allocator's own, or null, which is defined as missing memory. A
// reallocation is the trait's own, by way of `alloc`.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        if REFUSES.get() && block.size() > LARGEST_BLOCK {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, block: Block) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// Runs `work` while large blocks are refused.
fn short_of_memory<T>(work: impl FnOnce() -> T) -> T {
    REFUSES.set(true);
    let done = work();
    REFUSES.set(false);
    done
}

fn is_refused<T>(result: &Result<T, AudioError>) -> bool {
    matches!(result, Err(AudioError::OutOfMemory { bytes }) if *bytes > 0)
}

/// More samples than fit in a block, at any rate and layout.
fn long_audio() -> Vec<i16> {
    vec![1_000; 4 * LARGEST_BLOCK]
}

#[test]
fn inbound_audio_is_refused_and_the_next_frame_is_whole() {
    let long = long_audio();
    for (rate_hz, layout) in [
        (48_000, Layout::Mono),
        (48_000, Layout::Stereo),
        (16_000, Layout::Mono),
        (192_000, Layout::Stereo),
    ] {
        let mut inbound = InboundAudio::new(48_000, 2, rate_hz, layout, 960).unwrap();
        let refused = short_of_memory(|| inbound.process(&long));
        assert!(is_refused(&refused), "{refused:?}");
        assert_eq!(inbound.next_frame(), None);
        inbound.process(&long[..19_200]).unwrap();
        assert!(inbound.next_frame().is_some());
    }
}

#[test]
fn an_outbound_chunk_is_refused_and_the_next_one_is_taken() {
    let long = long_audio();
    for rate_hz in [8_000, 44_100, 48_000] {
        let mut outbound = OutboundAudio::new(48_000, 3_600.0).unwrap();
        for chunk in [
            Chunk::Mono(long.as_slice()),
            Chunk::Interleaved(long.as_slice()),
            Chunk::Planar(long.as_slice(), long.as_slice()),
        ] {
            let refused = short_of_memory(|| outbound.push(rate_hz, chunk));
            assert!(is_refused(&refused), "{refused:?}");
        }
        assert_eq!(outbound.pull(false), None);
        assert_eq!(outbound.push(rate_hz, Chunk::Mono(&[7_i16; 960])), Ok(960));
    }
}

#[test]
fn a_turn_without_memory_is_lost_and_the_next_is_not() {
    let mut detector = detector(48_000);
    let mut events = Vec::with_capacity(8);
    // Stored in segments of a second, and copied into one block of 20 MB.
    let turn = audio(48_000, &[(SOFT, 1.0), (LOUD, 210.0)]);
    short_of_memory(|| detector.process(&turn, &mut events)).unwrap();
    assert!(is_refused(&short_of_memory(|| detector.utterance_so_far())));
    let pause = audio(48_000, &[(SOFT, 2.0)]);
    let refused = short_of_memory(|| detector.process(&pause, &mut events));
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(detector.take_utterance(), None);
    let next = audio(48_000, &[(SOFT, 1.0), (LOUD, 2.0), (SOFT, 2.0)]);
    detector.process(&next, &mut events).unwrap();
    assert!(detector.take_utterance().is_some());
}

#[test]
fn long_silence_needs_little_memory() {
    let mut detector = detector(48_000);
    let silence = vec![0; 1_200 * 48_000];
    short_of_memory(|| detector.process(&silence, &mut Vec::new())).unwrap();
}

#[test]
fn the_public_buffers_are_refused() {
    let mut fifo = AudioFifo::<i16>::new(960).unwrap();
    assert!(is_refused(&short_of_memory(|| fifo.reserve(LARGEST_BLOCK))));
    let mut utterance = Utterance::new(LARGEST_BLOCK);
    assert!(is_refused(&short_of_memory(|| utterance.reserve(1))));
}

#[test]
fn a_resampler_needs_little_memory_for_long_audio() {
    let long = vec![0.5_f32; 6_000_000];
    for (from_hz, to_hz) in [(8_000, 192_000), (192_000, 8_000), (44_101, 48_000)] {
        let mut resampler = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        let mut out = Vec::with_capacity(resampler.max_output(long.len()));
        short_of_memory(|| resampler.process(&long, &mut out));
        assert_eq!(out.len(), resampler.max_output(long.len()));
    }
}

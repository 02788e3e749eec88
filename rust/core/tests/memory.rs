//! Where there is no memory for what a caller hands in, an error says so, and the process goes on.
#![allow(unsafe_code)] // an allocator that refuses is unsafe by its trait
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout as Block, System};

use gradio_webrtc_core::{
    AudioError, AudioFifo, Chunk, InboundAudio, Layout, OutboundAudio, Quality, Resampler,
    Utterance,
};
use support::{LOUD, SOFT, detector, sound};

/// The largest block that there is memory for: what is worked on at once is less, from any rate to
/// any other.
const LARGEST_BLOCK: usize = 16 * 1024 * 1024;

struct Refusing;

thread_local! {
    static REFUSES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

// SAFETY: everything is the system allocator's own, or null, which says that there is no memory. A
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

/// What `work` gives while no large block is to be had.
fn short_of_memory<T>(work: impl FnOnce() -> T) -> T {
    REFUSES.set(true);
    let done = work();
    REFUSES.set(false);
    done
}

fn is_refused<T>(result: &Result<T, AudioError>) -> bool {
    matches!(result, Err(AudioError::OutOfMemory { bytes }) if *bytes > 0)
}

/// More than there is a block for, whatever is made of it.
fn long_sound() -> Vec<i16> {
    vec![1_000; 4 * LARGEST_BLOCK]
}

#[test]
fn what_arrives_is_refused_and_the_next_frame_comes_out_whole() {
    let long = long_sound();
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
fn what_goes_out_is_refused_and_the_next_chunk_is_taken() {
    let long = long_sound();
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
fn a_turn_that_there_is_no_memory_for_is_lost_and_the_next_is_not() {
    let mut detector = detector(48_000);
    let mut events = Vec::with_capacity(8);
    // Held in segments of a second, and 20 MB when asked for in one piece.
    let turn = sound(48_000, &[(SOFT, 1.0), (LOUD, 210.0)]);
    short_of_memory(|| detector.process(&turn, &mut events)).unwrap();
    assert!(is_refused(&short_of_memory(|| detector.utterance_so_far())));
    let pause = sound(48_000, &[(SOFT, 2.0)]);
    let refused = short_of_memory(|| detector.process(&pause, &mut events));
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(detector.take_utterance(), None);
    let next = sound(48_000, &[(SOFT, 1.0), (LOUD, 2.0), (SOFT, 2.0)]);
    detector.process(&next, &mut events).unwrap();
    assert!(detector.take_utterance().is_some());
}

#[test]
fn hours_of_silence_are_heard_in_little_memory() {
    let mut detector = detector(48_000);
    let silence = vec![0; 1_200 * 48_000];
    short_of_memory(|| detector.process(&silence, &mut Vec::new())).unwrap();
}

#[test]
fn buffers_of_a_callers_own_are_refused() {
    let mut fifo = AudioFifo::<i16>::new(960).unwrap();
    assert!(is_refused(&short_of_memory(|| fifo.reserve(LARGEST_BLOCK))));
    let mut utterance = Utterance::new(LARGEST_BLOCK);
    assert!(is_refused(&short_of_memory(|| utterance.reserve(1))));
}

#[test]
fn a_resampler_needs_little_memory_for_much_sound() {
    let long = vec![0.5_f32; 6_000_000];
    for (from_hz, to_hz) in [(8_000, 192_000), (192_000, 8_000), (44_101, 48_000)] {
        let mut resampler = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        let mut out = Vec::with_capacity(resampler.max_output(long.len()));
        short_of_memory(|| resampler.process(&long, &mut out));
        assert_eq!(out.len(), resampler.max_output(long.len()));
    }
}

//! Once warm, neither the resampler nor the detectors allocate.
#![allow(unsafe_code)] // an allocator that counts is unsafe by its trait

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gradio_webrtc_core::vad::{EnergyVad, SileroVad, Vad};
use gradio_webrtc_core::{Quality, Resampler};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every block is the system allocator's own; the counter is a thread local without a
// destructor, which may be touched at any time.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of `work`'s allocations.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        allocations(|| drop(std::hint::black_box(vec![0.0_f32; 16]))),
        1
    );
}

#[test]
fn a_warm_resampler_allocates_nothing() {
    for (from_hz, to_hz) in [
        (48_000, 16_000),
        (24_000, 48_000),
        (48_000, 44_100),
        (44_101, 48_000),
    ] {
        let mut resampler = Resampler::new(from_hz, to_hz, Quality::High).unwrap();
        let input = vec![0.25; from_hz as usize / 50];
        let mut out = Vec::with_capacity(resampler.max_output(input.len()));
        // The first frames fill the history; a later one may find it one sample longer.
        for _ in 0..3 {
            out.clear();
            resampler.process(&input, &mut out);
        }
        let count = allocations(|| {
            for _ in 0..100 {
                out.clear();
                resampler.process(&input, &mut out);
            }
        });
        assert_eq!(count, 0, "{from_hz} to {to_hz}");
    }
}

fn detector_allocations(mut vad: impl Vad) -> usize {
    let window = vec![0.1; vad.window_samples()];
    allocations(|| {
        for _ in 0..20 {
            let probability = vad.probability(&window);
            assert!(probability.is_ok_and(|probability| (0.0..=1.0).contains(&probability)));
        }
    })
}

#[test]
fn a_detector_allocates_nothing() {
    for sample_rate_hz in [8_000, 16_000] {
        assert_eq!(
            detector_allocations(SileroVad::new(sample_rate_hz).unwrap()),
            0
        );
    }
    assert_eq!(detector_allocations(EnergyVad::new(48_000).unwrap()), 0);
}

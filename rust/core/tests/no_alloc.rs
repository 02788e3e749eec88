//! Once warm, a frame in either direction allocates nothing, and a turn only memory for its
//! samples.
#![allow(unsafe_code)] // an allocator that counts is unsafe by its trait
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::cell::Cell;

use gradio_webrtc_core::{Chunk, InboundAudio, InboundTurns, Layout, OutboundAudio, PauseDetector};
use support::{LOUD, SOFT, audio, detector};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every block is the system allocator's own; the counters are thread locals without a
// destructor, which may be touched at any time. A reallocation is the trait's own: it counts as an
// allocation of the whole new size.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + block.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, block: Block) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of `work`'s allocations, and of their bytes.
fn allocated(work: impl FnOnce()) -> (usize, usize) {
    let before = (ALLOCATIONS.get(), BYTES.get());
    work();
    (ALLOCATIONS.get() - before.0, BYTES.get() - before.1)
}

#[test]
fn the_counter_counts() {
    let vector = || drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(allocated(vector), (1, 100));
}

#[test]
fn the_inbound_path_allocates_nothing() {
    for layout in [Layout::Mono, Layout::Stereo] {
        for rate_hz in [8_000, 16_000, 24_000, 44_100, 48_000] {
            let mut inbound = InboundAudio::new(48_000, 2, rate_hz, layout, 960).unwrap();
            let mut frames = |count| {
                for _ in 0..count {
                    inbound.process(&[1_000; 1920]).unwrap();
                    while let Some(frame) = inbound.next_frame() {
                        std::hint::black_box(frame);
                    }
                }
            };
            frames(50);
            assert_eq!(
                allocated(|| frames(500)),
                (0, 0),
                "{layout:?} at {rate_hz} Hz"
            );
        }
    }
}

#[test]
fn turns_in_received_audio_allocate_nothing_while_nobody_talks() {
    let mut turns = InboundTurns::new(detector(16_000), 320);
    let mut packets = |count| {
        for _ in 0..count {
            let events = turns.process(48_000, 2, &[SOFT; 1920]).unwrap();
            assert!(events.is_empty());
        }
    };
    packets(500);
    assert_eq!(allocated(|| packets(1_000)), (0, 0));
}

#[test]
fn the_outbound_path_allocates_nothing() {
    let mut outbound = OutboundAudio::new(48_000, 1.0).unwrap();
    let mut frames = |count| {
        for _ in 0..count {
            outbound
                .push(24_000, Chunk::Planar(&[0.5_f32; 480], &[0.25; 480]))
                .unwrap();
            while let Some(frame) = outbound.pull(false) {
                std::hint::black_box(frame);
            }
        }
    };
    frames(50);
    assert_eq!(allocated(|| frames(500)), (0, 0));
}

#[test]
fn a_live_source_that_catches_up_allocates_nothing() {
    let mut outbound = OutboundAudio::new(48_000, 1.0).unwrap();
    let push = |outbound: &mut OutboundAudio| {
        let frame: [i16; 960] =
            std::array::from_fn(|at| i16::try_from(at * at * 7_919 % 20_011).unwrap());
        outbound
            .push(48_000, Chunk::Planar(&frame, &frame))
            .unwrap();
    };
    let mut stall = || {
        for _ in 0..100 {
            push(&mut outbound);
            std::hint::black_box(outbound.pull(false));
        }
        std::hint::black_box(outbound.pull(false));
        (0..30).for_each(|_| push(&mut outbound));
        (outbound.removed(), outbound.inserted())
    };
    let before = [stall(), stall()][1];
    let mut after = before;
    assert_eq!(allocated(|| after = stall()), (0, 0));
    assert!(after.0 > before.0 + 20_000 && after.1 > before.1);
}

/// Feeds so many seconds of a level in frames of 20 ms.
fn feed(detector: &mut PauseDetector, rate_hz: u32, level: i16, seconds: u32) {
    let frame = audio(rate_hz, &[(level, 0.02)]);
    let mut events = Vec::with_capacity(4);
    for _ in 0..50 * seconds {
        detector.process(&frame, &mut events).unwrap();
    }
}

/// The allocations of feeding, without those of the test itself.
fn allocated_by_feeding(
    detector: &mut PauseDetector,
    rate_hz: u32,
    level: i16,
    seconds: u32,
) -> (usize, usize) {
    let own = allocated(|| feed(detector, rate_hz, level, 0));
    let whole = allocated(|| feed(detector, rate_hz, level, seconds));
    (whole.0 - own.0, whole.1 - own.1)
}

#[test]
fn silence_makes_the_pause_detector_allocate_nothing() {
    for rate_hz in [8_000, 16_000, 24_000, 44_100, 48_000] {
        let mut detector = detector(rate_hz);
        feed(&mut detector, rate_hz, SOFT, 5);
        assert_eq!(
            allocated_by_feeding(&mut detector, rate_hz, SOFT, 10),
            (0, 0),
            "{rate_hz} Hz"
        );
    }
}

#[test]
fn a_turn_allocates_eight_segments_a_second_however_long_it_is() {
    let mut detector = detector(48_000);
    feed(&mut detector, 48_000, LOUD, 10);
    let early = allocated_by_feeding(&mut detector, 48_000, LOUD, 10);
    feed(&mut detector, 48_000, LOUD, 280);
    let late = allocated_by_feeding(&mut detector, 48_000, LOUD, 10);
    let samples_bytes = 10 * 48_000 * 2;
    for (allocations, bytes) in [early, late] {
        // At most one growth of their list: 24 bytes for each segment of the turn.
        assert!(
            (80..=81).contains(&allocations),
            "{allocations} allocations"
        );
        assert!(bytes <= samples_bytes + 4_096 * 24, "{bytes} bytes");
    }
}

#[test]
fn the_next_turn_is_as_cheap_as_the_first() {
    let mut detector = detector(48_000);
    feed(&mut detector, 48_000, SOFT, 2);
    let mut turn = || {
        let allocations = allocated_by_feeding(&mut detector, 48_000, LOUD, 5);
        feed(&mut detector, 48_000, SOFT, 3);
        detector.take_utterance().unwrap();
        allocations
    };
    turn();
    let second = turn();
    assert_eq!(turn(), second);
    assert!(second.0 <= 5 * 8, "{second:?}");
}

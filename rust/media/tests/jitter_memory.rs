//! Once warm, packets in order, lost or late ones allocate nothing beyond their payloads; whatever
//! comes, memory is bounded.
#![allow(unsafe_code)] // an allocator that counts is unsafe by its trait
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gradio_webrtc_media::JitterBuffer;
use support::ms;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Below zero where another thread's memory is freed.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every block is the system allocator's own; the counters are thread locals without a
// destructor, which may be touched at any time. A reallocation is the trait's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + block.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, block: Layout) {
        BYTES.set(BYTES.get() - block.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, block) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Passes packets of 100 bytes; every `lost`th does not come, every `late`th comes after the next.
fn pass(buffer: &mut JitterBuffer, numbers: std::ops::Range<u64>, lost: u64, late: u64) {
    for number in numbers {
        let now = ms(20 * number);
        if number % lost != 0 && number % late != 0 {
            insert(buffer, now, number);
        }
        if number % late == 1 && number > 0 {
            insert(buffer, now, number - 1);
        }
        buffer.nacks(now);
        while let Some(slot) = buffer.next(now) {
            std::hint::black_box(slot);
        }
    }
}

fn insert(buffer: &mut JitterBuffer, now: std::time::Duration, number: u64) {
    let mut payload = vec![0; 100];
    payload[0] = 31 << 3;
    let sequence = u16::try_from(number % 65_536).unwrap();
    let timestamp = u32::try_from(number * 960 % (1 << 32)).unwrap();
    buffer.insert(now, sequence, timestamp, payload);
}

#[test]
fn packets_allocate_nothing_beyond_their_payloads() {
    let mut buffer = JitterBuffer::new();
    buffer.set_round_trip(Some(ms(40)));
    pass(&mut buffer, 0..1_000, 7, 11);
    let before = ALLOCATIONS.get();
    pass(&mut buffer, 1_000..2_000, 1_000_000, 1_000_000);
    assert_eq!(ALLOCATIONS.get() - before, 1_000);
    let (allocations, bytes) = (ALLOCATIONS.get(), BYTES.get());
    pass(&mut buffer, 2_000..3_000, 7, 11);
    assert!(ALLOCATIONS.get() - allocations < 1_000, "only the payloads");
    assert!(BYTES.get() <= bytes + 3 * 100, "at most what waits");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let before = BYTES.get();
    let mut buffer = JitterBuffer::new();
    let mut highest = 0;
    let mut state = 1_u64;
    for number in 0..100_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Far, near, alternating and equal ones, and nobody takes them out.
        let sequence = match number / 10_000 % 4 {
            0 => u16::try_from(state >> 48).unwrap(),
            1 => u16::try_from(state >> 56).unwrap(),
            2 => u16::try_from(number % 2 * 30_000).unwrap(),
            _ => 9,
        };
        let timestamp = u32::try_from(state >> 32).unwrap();
        buffer.insert(ms(number), sequence, timestamp, vec![31 << 3; 1_200]);
        buffer.insert_redundant(
            ms(number),
            sequence.wrapping_sub(1),
            timestamp,
            &[31 << 3; 9],
        );
        buffer.nacks(ms(number));
        highest = highest.max(BYTES.get() - before);
    }
    // 64 KiB of payloads, the places of 256 packets, and one packet that strayed.
    assert!((64 << 10..100 << 10).contains(&highest), "{highest} bytes");
}

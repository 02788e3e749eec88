//! The duration of the core's kernels, on each instruction set of this processor.
//!
//! `cargo bench --manifest-path benches/Cargo.toml`; a word after `--` selects some of them.

use std::fmt;

use divan::Bencher;
use divan::counter::BytesCount;
use gradio_webrtc_benches as work;
use gradio_webrtc_core::{InstructionSet, Quality};

fn main() {
    divan::main();
}

/// An instruction set, by name.
#[derive(Clone, Copy)]
struct On(InstructionSet);

impl fmt::Display for On {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name())
    }
}

fn every_set() -> impl Iterator<Item = On> {
    InstructionSet::available().map(On)
}

/// A conversion on an instruction set.
struct Conversion {
    from_hz: u32,
    to_hz: u32,
    on: On,
}

impl fmt::Display for Conversion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_hz, to_hz, on } = self;
        write!(formatter, "{from_hz} to {to_hz} Hz, {on}")
    }
}

/// The usual pairs of rates, two of many phases, and one that takes two filters.
fn conversions() -> impl Iterator<Item = Conversion> {
    [
        (48_000, 16_000),
        (48_000, 24_000),
        (48_000, 44_100),
        (24_000, 48_000),
        (16_000, 48_000),
        (8_000, 48_000),
        (44_100, 48_000),
        (8_000, 44_100),
        (11_025, 48_000),
        (44_101, 48_000),
    ]
    .into_iter()
    .flat_map(|(from_hz, to_hz)| every_set().map(move |on| Conversion { from_hz, to_hz, on }))
}

#[divan::bench(args = every_set())]
fn silero_window_16_khz(bencher: Bencher, on: On) {
    bencher.bench_local(work::silero(16_000, on.0));
}

#[divan::bench(args = every_set())]
fn silero_window_8_khz(bencher: Bencher, on: On) {
    bencher.bench_local(work::silero(8_000, on.0));
}

#[divan::bench(args = conversions())]
fn resample_20_ms(bencher: Bencher, conversion: &Conversion) {
    let Conversion { from_hz, to_hz, on } = conversion;
    bencher.bench_local(work::resampler(*from_hz, *to_hz, Quality::High, on.0));
}

#[divan::bench(args = conversions())]
fn resample_20_ms_low_latency(bencher: Bencher, conversion: &Conversion) {
    let Conversion { from_hz, to_hz, on } = conversion;
    bencher.bench_local(work::resampler(*from_hz, *to_hz, Quality::LowLatency, on.0));
}

#[divan::bench]
fn pause_detector_20_ms(bencher: Bencher) {
    bencher.bench_local(work::pause_detector());
}

#[divan::bench(args = [16_000, 24_000, 48_000])]
fn inbound_frame(bencher: Bencher, handler_hz: u32) {
    bencher.bench_local(work::inbound(handler_hz));
}

#[divan::bench(args = [16_000, 24_000, 48_000])]
fn outbound_frame(bencher: Bencher, voice_hz: u32) {
    bencher.bench_local(work::outbound(voice_hz));
}

#[divan::bench(args = [7, 64, 1_023, 65_536])]
fn assemble_64_kib(bencher: Bencher, chunk_bytes: usize) {
    bencher
        .counter(BytesCount::new(work::ASSEMBLED_BYTES))
        .bench_local(work::assembler(chunk_bytes));
}

//! Runs a number of rounds of one kernel, for a tool that counts instructions.
//!
//! `benches/python/instructions.py` runs it under callgrind, with two numbers of rounds: their
//! difference is the kernel alone, without the program's start. It names the kernels as [`kernel`]
//! does.
#![allow(clippy::print_stdout, reason = "the output is read by another program")]

use gradio_webrtc_benches as work;
use gradio_webrtc_core::{InstructionSet, Quality};

/// Returns the kernel of that name.
fn kernel(name: &str) -> Option<Box<dyn FnMut()>> {
    let set = InstructionSet::best();
    Some(match name {
        "silero window" => Box::new(work::silero(16_000, set)),
        "resample 48 to 16 kHz" => Box::new(work::resampler(48_000, 16_000, Quality::High, set)),
        "resample 24 to 48 kHz" => Box::new(work::resampler(24_000, 48_000, Quality::High, set)),
        "pause detector frame" => Box::new(work::pause_detector()),
        "inbound frame" => Box::new(work::inbound(24_000)),
        "outbound frame" => Box::new(work::outbound(24_000)),
        "assemble 64 KiB" => Box::new(work::assembler(63)),
        _ => return None,
    })
}

/// Prints the instruction set; runs a kernel if its name and a number of rounds are given.
fn main() {
    println!("{}", InstructionSet::best().name());
    let mut arguments = std::env::args().skip(1);
    let chosen = arguments.next().and_then(|name| kernel(&name));
    let rounds = arguments.next().and_then(|count| count.parse().ok());
    if let (Some(mut round), Some(rounds)) = (chosen, rounds) {
        (0..rounds).for_each(|_: u32| round());
    }
}

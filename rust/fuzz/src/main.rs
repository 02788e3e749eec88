//! Fuzzing of the parts of the audio core and of the media plane that take bytes and numbers from
//! outside.
//!
//! `fuzz SECONDS [TARGET] [SEED]` runs each target (or one) on its corpus, and then for that time
//! on mutations of it, as many targets side by side as there are cores. An input depends only on
//! the seed and its number, so that two runs differ only in their length. An input that panics, or
//! takes longer than [`INPUT_TIME_LIMIT`], is written into `findings/` and its path is logged; it
//! belongs into `corpus/` together with the fix.
//!
//! `fuzz seeds` writes the media plane's part of the corpus.
//!
//! Works on stable Rust, without instrumentation: targets read operations from the bytes, so that
//! random bytes reach deep enough.

mod bytes;
mod mutation;
mod seeds;
mod targets;
mod wire;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mutation::Mutator;
use targets::{TARGETS, Target};

/// The time limit for one input: about a thousand times that of the slowest.
const INPUT_TIME_LIMIT: Duration = Duration::from_secs(20);

/// The running inputs and their starts, for [`watch`]; a target has one at a time.
static RUNNING: Mutex<Vec<(Instant, &'static str, Vec<u8>)>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("seeds") {
        return write_seeds();
    }
    let seconds = first.and_then(|text| text.parse::<u64>().ok());
    let chosen = arguments.next().filter(|name| name != "all");
    let seed = arguments.next().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds else {
        log("usage: fuzz SECONDS [TARGET | all] [SEED], or fuzz seeds");
        return ExitCode::FAILURE;
    };
    thread::spawn(watch);
    let targets: Vec<&Target> = TARGETS
        .iter()
        .chain(&wire::TARGETS)
        .filter(|target| chosen.as_deref().is_none_or(|name| name == target.name))
        .collect();
    let duration = Duration::from_secs(seconds);
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !runs_through(target, duration, seed.unwrap_or(1)) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if failed.into_inner() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn write_seeds() -> ExitCode {
    match seeds::write(&here().join("corpus")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("no seeds: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one target; returns true if there was no finding.
fn runs_through(target: &Target, duration: Duration, seed: u64) -> bool {
    let corpus = corpus_of(target.name);
    let begin = Instant::now();
    let mutator = Mutator::new(seed, &corpus);
    let mutated =
        (0..).map_while(|number| (begin.elapsed() < duration).then(|| mutator.input(number)));
    let mut inputs = 0_u64;
    for input in corpus.iter().cloned().chain(mutated) {
        if !survives(target, &input) {
            return false;
        }
        inputs += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    log(&format!(
        "{:<10} {inputs:>9} inputs in {seconds:.0} s: ok",
        target.name
    ));
    true
}

/// Runs one input; returns true if it did not panic.
fn survives(target: &Target, input: &[u8]) -> bool {
    set_running(target.name, Some(input.to_owned()));
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    set_running(target.name, None);
    if ran.is_err() {
        report(target.name, input, "panicked");
    }
    ran.is_ok()
}

/// Ends the process when an input takes too long: a thread cannot be stopped from outside.
fn watch() {
    loop {
        thread::sleep(INPUT_TIME_LIMIT / 4);
        let overdue = RUNNING.lock().ok().and_then(|held| {
            held.iter()
                .find(|(since, ..)| since.elapsed() > INPUT_TIME_LIMIT)
                .cloned()
        });
        if let Some((_, name, input)) = overdue {
            report(name, &input, "takes too long");
            std::process::exit(1);
        }
    }
}

fn set_running(target: &'static str, input: Option<Vec<u8>>) {
    if let Ok(mut held) = RUNNING.lock() {
        held.retain(|(_, name, _)| *name != target);
        held.extend(input.map(|input| (Instant::now(), target, input)));
    }
}

/// Writes the input into `findings/` and logs its path.
fn report(name: &str, input: &[u8], what: &str) {
    let folder = here().join("findings");
    // FNV-1a: the same input results in the same name.
    let number = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let file = folder.join(format!("{name}-{number:016x}"));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
    log(&format!("{name} {what}: {} ({written:?})", file.display()));
}

/// The files of a target's corpus, in the order of their names; one empty input where there are
/// none.
fn corpus_of(name: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(here().join("corpus").join(name)) else {
        return vec![Vec::new()];
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().flat_map(std::fs::read).collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn log(line: &str) {
    // Standard error may be closed, which must not end a run.
    let _ = writeln!(std::io::stderr(), "{line}");
}

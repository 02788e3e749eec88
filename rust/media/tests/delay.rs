//! The delay at which audio would be played on, over links with jitter, in virtual time.
#![allow(clippy::print_stdout, reason = "shows its results")]

mod support;

use std::time::Duration;

use gradio_webrtc_media::DelayEstimator;
use support::{FRAME, Faults, Link, SAMPLES, ms};

/// Of the packets that a link lets through, the share that is in time by what was estimated before
/// each of them came, and the longest delay; the first second is left out.
fn play(faults: &Faults, seed: u64) -> (f64, Duration) {
    let mut link = Link::new(seed);
    let mut received = Vec::new();
    for number in 0..6_000_u32 {
        let times = link.pass(faults, FRAME * number);
        received.extend(times.into_iter().map(|at| (at, number)));
    }
    received.sort_unstable();
    let mut estimator = DelayEstimator::new();
    let (mut in_time, mut count, mut longest) = (0_u32, 0_u32, Duration::ZERO);
    for (at, number) in received {
        let timestamp = u64::from(number) * u64::from(SAMPLES);
        if number >= 50 {
            count += 1;
            in_time += u32::from(estimator.due(timestamp) >= Some(at));
            longest = longest.max(estimator.target());
        }
        estimator.add(at, timestamp);
    }
    (f64::from(in_time) / f64::from(count), longest)
}

#[test]
fn nineteen_of_twenty_packets_are_in_time() {
    for (delay, deviation) in [(50, 5), (50, 10), (80, 20), (200, 50)] {
        for keeps_order in [false, true] {
            let faults = Faults {
                delay: ms(delay),
                jitter: ms(deviation),
                keeps_order,
                ..Faults::NONE
            };
            for seed in 0..5 {
                let (in_time, longest) = play(&faults, seed);
                let name = format!("{deviation} ms, order kept: {keeps_order}");
                println!("{name}: {in_time:.3} in time, at most {longest:?}");
                assert!(
                    (0.93..=0.985).contains(&in_time),
                    "{name}: {in_time} in time"
                );
                // From three or four deviations below the mean to as many above it.
                assert!(longest <= ms(7 * deviation + 5), "{name}: {longest:?}");
            }
        }
    }
}

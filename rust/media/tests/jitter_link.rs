//! What a jitter buffer makes of a bad network, in virtual time: shares and delays by row, next to
//! the rule that gives a packet up when three later ones are there.
//!
//! `cargo test -p gradio-webrtc-media --test jitter_link -- --nocapture` shows the table.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::unchecked_time_subtraction,
    reason = "a model of small numbers, which shows its results"
)]

mod support;

use std::time::Duration;

use support::{Faults, Reception, SAMPLES, ms, receive, receive_by_count};

/// What a row must keep.
struct Row {
    name: &'static str,
    faults: Faults,
    has_fec: bool,
    /// The round trip of requests, in milliseconds.
    round_trip_ms: Option<u64>,
    /// The least share of the packets that came in time or late, in percent.
    real: f64,
    /// The least share of the lost packets of which a copy is emitted, in percent.
    copied: f64,
    /// The longest 50 and 95 % quantiles of the delay above the path's mean, in milliseconds.
    p50: u64,
    p95: u64,
}

const ROW: Row = Row {
    name: "",
    faults: Faults::NONE,
    has_fec: false,
    round_trip_ms: None,
    real: 100.0,
    copied: 0.0,
    p50: 0,
    p95: 20,
};

fn loss(percent: u32, burst: f64) -> Faults {
    Faults {
        loss: f64::from(percent) / 100.0,
        burst,
        ..Faults::NONE
    }
}

fn jitter(delay_ms: u64, deviation_ms: u64, keeps_order: bool) -> Faults {
    Faults {
        delay: ms(delay_ms),
        jitter: ms(deviation_ms),
        keeps_order,
        ..Faults::NONE
    }
}

/// Packets that overtake up to three others.
fn reorder(share: f64, loss: f64) -> Faults {
    Faults {
        delay: ms(60),
        reorder: share,
        loss,
        ..Faults::NONE
    }
}

/// Nothing comes for a time that ends a tenth of a second before the faults do.
fn blackout(length: Duration) -> Faults {
    let end = support::TROUBLE - ms(100);
    Faults {
        blackout: (end - length, end),
        ..Faults::NONE
    }
}

/// Of the packets that came, the share that was emitted, in percent; more than 100 if some were
/// requested again.
fn real(it: &Reception) -> f64 {
    100.0 * it.real as f64 / it.came as f64
}

/// Of those that did not come, the share of which a copy was emitted, in percent; meaningless where
/// others are merely late.
fn copied(it: &Reception) -> f64 {
    100.0 * it.copied as f64 / (it.sent - it.came).max(1) as f64
}

fn show(name: &str, it: &Reception) {
    println!(
        "{name:36} real {:5.1} % copies {:4.1} % delay p50 {:3} p95 {:3} max {:3} after {:3} ms",
        real(it),
        100.0 * it.copied as f64 / it.sent as f64,
        it.delay(0.5).as_millis(),
        it.delay(0.95).as_millis(),
        it.delay(1.0).as_millis(),
        it.delay_after.as_millis(),
    );
}

fn check(row: &Row) {
    for seed in 0..5 {
        let it = receive(row.faults, seed, row.has_fec, row.round_trip_ms.map(ms));
        if seed == 0 {
            show("  count to 3", &receive_by_count(row.faults, seed));
            show(row.name, &it);
        }
        let (name, p50, p95) = (row.name, it.delay(0.5), it.delay(0.95));
        assert!(real(&it) >= row.real, "{name}: {} % real", real(&it));
        assert!(
            copied(&it) >= row.copied,
            "{name}: {} % copied",
            copied(&it)
        );
        assert!(p50 <= ms(row.p50), "{name}: half are {p50:?} late");
        assert!(p95 <= ms(row.p95), "{name}: 95 % are {p95:?} late");
        assert!(it.delay_after <= ms(1), "{name}: {:?} stay", it.delay_after);
        assert!(it.is_ordered, "{name}: not in order, or twice");
        if it.stats.resynchronizations == 0 {
            assert_eq!(it.samples, it.span * u64::from(SAMPLES), "{name}");
        }
    }
}

#[test]
fn nothing_is_delayed_on_a_good_path() {
    check(&Row {
        name: "clean",
        p95: 0,
        ..ROW
    });
    for (name, deviation) in [("jitter 50 in order", 50), ("jitter 200 in order", 200)] {
        for seed in 0..5 {
            let faults = jitter(2 * deviation, deviation, true);
            let it = receive(faults, seed, false, None);
            if seed == 0 {
                show(name, &it);
            }
            assert!(it.real == it.sent && it.is_ordered, "{name}");
            assert_eq!(it.stats.jitter_buffer_delay_ns, 0, "{name}");
        }
    }
}

#[test]
fn random_loss_delays_by_one_packet_and_one_with_copies_by_none() {
    for (percent, name, with_copies) in [
        (1, "loss 1 %", "loss 1 %, FEC"),
        (5, "loss 5 %", "loss 5 %, FEC"),
        (10, "loss 10 %", "loss 10 %, FEC"),
        (20, "loss 20 %", "loss 20 %, FEC"),
    ] {
        let faults = loss(percent, 1.0);
        check(&Row {
            name,
            faults,
            ..ROW
        });
        check(&Row {
            name: with_copies,
            faults,
            has_fec: true,
            // The one before another loss has none.
            copied: 95.0 - f64::from(percent),
            p95: 0,
            ..ROW
        });
    }
}

#[test]
fn bursts_delay_by_one_packet() {
    for (name, percent, burst) in [
        ("bursts 5 % x 3", 5, 3.0),
        ("bursts 10 % x 4", 10, 4.0),
        ("bursts 20 % x 5", 20, 5.0),
    ] {
        let faults = loss(percent, burst);
        check(&Row {
            name,
            faults,
            ..ROW
        });
    }
}

#[test]
fn a_blackout_leaves_no_delay() {
    for (name, length) in [
        ("blackout 0.5 s", ms(500)),
        ("blackout 3 s", ms(3_000)),
        ("blackout 10 s", ms(10_000)),
        ("blackout 40 s", ms(40_000)),
    ] {
        check(&Row {
            name,
            faults: blackout(length),
            ..ROW
        });
    }
}

#[test]
fn packets_that_overtake_each_other_are_all_used() {
    for (name, faults) in [
        ("jitter 5 each for itself", jitter(20, 5, false)),
        ("jitter 10 each for itself", jitter(40, 10, false)),
        ("jitter 20 each for itself", jitter(60, 20, false)),
    ] {
        for has_fec in [false, true] {
            check(&Row {
                name,
                faults,
                has_fec,
                real: 97.0,
                p50: 10,
                p95: 40,
                ..ROW
            });
        }
    }
    for (name, faults) in [
        (
            "reorder 25 %, duplicate 10 %",
            Faults {
                duplicate: 0.1,
                ..reorder(0.25, 0.0)
            },
        ),
        ("reorder 25 %, loss 5 %", reorder(0.25, 0.05)),
    ] {
        check(&Row {
            name,
            faults,
            real: 99.5,
            p95: 40,
            ..ROW
        });
    }
}

#[test]
fn much_jitter_delays_by_less_than_itself() {
    for has_fec in [false, true] {
        check(&Row {
            name: "jitter 50 each for itself",
            faults: jitter(100, 50, false),
            has_fec,
            real: 97.0,
            p50: 50,
            p95: 100,
            ..ROW
        });
        check(&Row {
            name: "jitter 50 each for itself, loss 10 %",
            faults: Faults {
                loss: 0.1,
                ..jitter(100, 50, false)
            },
            has_fec,
            real: 97.0,
            p50: 70,
            p95: 180,
            ..ROW
        });
        check(&Row {
            name: "jitter 200 each for itself",
            faults: jitter(200, 200, false),
            has_fec,
            real: 88.0,
            p50: 220,
            p95: 320,
            ..ROW
        });
    }
}

#[test]
fn what_is_lost_is_requested_again_where_the_path_is_short() {
    for (name, round_trip_ms, p95) in [
        ("loss 10 %, round trip 20", 20, 50),
        ("loss 10 %, round trip 40", 40, 70),
        ("loss 10 %, round trip 60", 60, 90),
        ("loss 10 %, round trip 90", 90, 120),
    ] {
        check(&Row {
            name,
            faults: loss(10, 1.0),
            round_trip_ms: Some(round_trip_ms),
            // 10 % of the answers are lost as well.
            real: 108.0,
            p50: 20,
            p95,
            ..ROW
        });
    }
    check(&Row {
        name: "loss 10 %, round trip 150",
        faults: loss(10, 1.0),
        round_trip_ms: Some(150),
        ..ROW
    });
}

#[test]
fn the_rule_that_counts_falls_short_where_this_one_does_not() {
    let late = receive_by_count(jitter(200, 200, false), 0);
    assert!(real(&late) < 60.0, "{} % real", real(&late));
    let lost = receive_by_count(loss(20, 1.0), 0);
    assert!(lost.delay(0.95) >= ms(60), "{:?}", lost.delay(0.95));
}

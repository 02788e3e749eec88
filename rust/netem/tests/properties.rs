//! What a link promises under any conditions.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "small numbers, in tests"
)]

use std::collections::HashMap;
use std::time::Duration;

use gradio_webrtc_netem::{Conditions, HEADER_BYTES, Link, LinkStats, RateCap};
use proptest::prelude::*;

/// Between two packets of audio.
const FRAME: Duration = Duration::from_millis(20);

/// A packet whose first bytes are its number.
fn packet(number: u32, bytes: usize) -> Vec<u8> {
    let mut packet = number.to_be_bytes().to_vec();
    packet.resize(bytes, 0);
    packet
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]])
}

/// Sends packets at an even pace, and takes each at the link's deadline: the times and the packets.
fn pass(link: &mut Link, packets: u32, bytes: usize) -> Vec<(Duration, Vec<u8>)> {
    let mut taken = Vec::new();
    for each in 0..packets {
        let now = each * FRAME;
        take(link, now, &mut taken);
        link.send(now, packet(each, bytes));
    }
    // Longer than all conditions hold anything back, and still a time at which more can be sent.
    take(link, packets * FRAME + Duration::from_secs(600), &mut taken);
    assert_eq!(link.deadline(), None);
    taken
}

fn take(link: &mut Link, until: Duration, taken: &mut Vec<(Duration, Vec<u8>)>) {
    while let Some(due) = link.deadline().filter(|due| *due <= until) {
        taken.push((due, link.poll(due).expect("one is due")));
    }
    // What is left is not due yet.
    assert_eq!(link.poll(until), None);
}

fn link(conditions: Conditions, seed: u64) -> Link {
    Link::new(conditions, seed).expect("conditions that can be met")
}

fn counts(link: &Link) -> (u64, u64) {
    let stats = link.stats();
    let gone = stats.lost + stats.blacked_out + stats.overflowed;
    (stats.sent + stats.duplicated, stats.delivered + gone)
}

prop_compose! {
    fn rates()(bits_per_s in 8_000.0..200_000.0, queue_ms in 0..500_u64) -> RateCap {
        RateCap { bits_per_s, queue: Duration::from_millis(queue_ms) }
    }
}

prop_compose! {
    fn any_conditions()(
        loss in 0.0..1.0,
        burst_loss in 0.0..0.5,
        burst_packets in 1.0..6.0,
        delay_ms in 1..300_u64,
        jitter_ms in 0..300_u64,
        keeps_order: bool,
        (reorder, duplicate, corrupt) in (0.0..1.0, 0.0..1.0, 0.0..1.0),
        rate in prop::option::of(rates()),
        blackout in prop::option::of((0..2_000_u64, 1..2_000_u64)),
    ) -> Conditions {
        Conditions {
            loss,
            burst_loss,
            burst_packets,
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::from_millis(jitter_ms),
            keeps_order,
            reorder,
            duplicate,
            corrupt,
            rate,
            blackouts: blackout
                .map(|(begin, length)| {
                    Duration::from_millis(begin)..Duration::from_millis(begin + length)
                })
                .into_iter()
                .collect(),
        }
    }
}

proptest! {
    #[test]
    fn no_packet_is_invented_and_every_one_is_accounted_for(
        conditions in any_conditions(), seed: u64,
    ) {
        let conditions = Conditions { corrupt: 0.0, ..conditions };
        let mut link = link(conditions, seed);
        let mut seen: HashMap<u32, u64> = HashMap::new();
        for (at, each) in pass(&mut link, 200, 100) {
            let number = number(&each);
            prop_assert_eq!(&each, &packet(number, 100));
            prop_assert!(number < 200 && at >= number * FRAME);
            *seen.entry(number).or_default() += 1;
        }
        let twice = seen.values().filter(|times| **times == 2).count() as u64;
        prop_assert!(seen.values().all(|times| *times <= 2));
        prop_assert_eq!(twice, link.stats().duplicated);
        let (put_in, accounted_for) = counts(&link);
        prop_assert_eq!(put_in, accounted_for);
        prop_assert_eq!(link.deadline(), None);
    }

    #[test]
    fn the_seed_decides_everything(conditions in any_conditions(), seed: u64) {
        let first = pass(&mut link(conditions.clone(), seed), 100, 100);
        prop_assert_eq!(first, pass(&mut link(conditions, seed), 100, 100));
    }

    #[test]
    fn the_order_is_kept_where_it_is_promised(conditions in any_conditions(), seed: u64) {
        let conditions =
            Conditions { keeps_order: true, reorder: 0.0, corrupt: 0.0, ..conditions };
        let taken = pass(&mut link(conditions, seed), 200, 100);
        let numbers: Vec<u32> = taken.iter().map(|(_, each)| number(each)).collect();
        prop_assert!(numbers.is_sorted(), "{:?}", numbers);
    }

    #[test]
    fn the_same_packets_are_lost_with_and_without_other_faults(
        conditions in any_conditions(), seed: u64,
    ) {
        let others = Conditions { rate: None, duplicate: 0.0, corrupt: 0.0, ..conditions };
        let alone = Conditions {
            jitter: Duration::ZERO,
            reorder: 0.0,
            keeps_order: true,
            ..others.clone()
        };
        let numbers = |conditions| {
            let taken = pass(&mut link(conditions, seed), 200, 100);
            let mut numbers: Vec<u32> = taken.iter().map(|(_, each)| number(each)).collect();
            numbers.sort_unstable();
            numbers
        };
        prop_assert_eq!(numbers(others), numbers(alone));
    }

    #[test]
    fn a_cap_is_never_exceeded_and_nobody_waits_longer_than_the_queue(
        cap in rates(), bytes in 4..1_200_usize, seed: u64,
    ) {
        let conditions = Conditions { rate: Some(cap), ..Conditions::default() };
        let taken = pass(&mut link(conditions, seed), 200, bytes);
        let each_s = 8.0 * (bytes + HEADER_BYTES) as f64 / cap.bits_per_s;
        for pair in taken.windows(2) {
            let apart_s = pair[1].0.as_secs_f64() - pair[0].0.as_secs_f64();
            prop_assert!(apart_s >= each_s - 1e-6, "{} < {}", apart_s, each_s);
        }
        for (at, each) in &taken {
            let waited_s = at.as_secs_f64() - (number(each) * FRAME).as_secs_f64() - each_s;
            prop_assert!(waited_s <= cap.queue.as_secs_f64() + 1e-6, "{}", waited_s);
        }
        prop_assert!(!taken.is_empty());
    }

    #[test]
    fn one_bit_of_a_corrupted_packet_differs(bytes in 4..300_usize, seed: u64) {
        let conditions = Conditions { corrupt: 1.0, ..Conditions::default() };
        for (nth, (_, each)) in pass(&mut link(conditions, seed), 50, bytes).iter().enumerate() {
            let sent = packet(u32::try_from(nth).expect("few"), bytes);
            let bits: u32 = each.iter().zip(&sent).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert_eq!(bits, 1);
        }
    }

    #[test]
    fn nothing_that_is_sent_in_a_blackout_comes(begin_ms in 0..3_000_u64, length in 1..3_000_u64) {
        let dark = Duration::from_millis(begin_ms)..Duration::from_millis(begin_ms + length);
        let blackouts = vec![dark.clone()];
        let conditions = Conditions { blackouts, ..Conditions::default() };
        let taken = pass(&mut link(conditions, 1), 200, 10);
        let came: Vec<u32> = taken.iter().map(|(_, each)| number(each)).collect();
        let lit: Vec<u32> = (0..200).filter(|each| !dark.contains(&(*each * FRAME))).collect();
        prop_assert_eq!(came, lit);
    }
}

/// Of so many packets a share is met within five standard deviations (binomial): a wrong one is
/// refused, and of a right one each seed is tried once and for all.
const PACKETS: u32 = 20_000;

fn assert_share(found: u64, share: f64, cluster: f64, what: &str) {
    let packets = f64::from(PACKETS);
    let deviation = (packets * share * (1.0 - share) * cluster).sqrt();
    let off = (found as f64 - packets * share).abs();
    assert!(
        off <= 5.0 * deviation,
        "{what}: {found} of {packets}, expected {share}"
    );
}

fn stats_of(conditions: Conditions, seed: u64) -> LinkStats {
    let mut link = link(conditions, seed);
    pass(&mut link, PACKETS, 20);
    link.stats()
}

#[test]
fn shares_are_met_within_binomial_bounds() {
    for (seed, share) in [(1, 0.01), (2, 0.05), (3, 0.2), (4, 0.5)] {
        let stats = stats_of(
            Conditions {
                loss: share,
                delay: FRAME,
                ..Conditions::default()
            },
            seed,
        );
        assert_share(stats.lost, share, 1.0, "loss");
        let stats = stats_of(
            Conditions {
                delay: FRAME,
                reorder: share,
                duplicate: share,
                corrupt: share,
                ..Conditions::default()
            },
            seed,
        );
        assert_share(stats.reordered, share, 1.0, "reorder");
        assert_share(stats.duplicated, share, 1.0, "duplicate");
        assert_share(stats.corrupted, share, 1.0, "corrupt");
    }
}

#[test]
fn bursts_have_their_share_and_their_length() {
    for (seed, share, length) in [(1, 0.05, 3.0), (2, 0.1, 4.0), (3, 0.2, 5.0), (4, 0.1, 1.0)] {
        let conditions = Conditions {
            burst_loss: share,
            burst_packets: length,
            ..Conditions::default()
        };
        let mut link = link(conditions, seed);
        let taken = pass(&mut link, PACKETS, 20);
        // Of a Gilbert process the variance is larger by about twice the mean length.
        assert_share(link.stats().lost, share, 2.0 * length, "bursts");
        let bursts = taken
            .windows(2)
            .filter(|pair| number(&pair[1].1) - number(&pair[0].1) > 1)
            .count();
        let mean = link.stats().lost as f64 / bursts as f64;
        assert!((mean / length - 1.0).abs() < 0.15, "{mean} of {length}");
    }
}

#[test]
fn jitter_has_its_deviation_and_overtakes_only_where_it_may() {
    let conditions = Conditions {
        delay: Duration::from_millis(300),
        jitter: Duration::from_millis(50),
        keeps_order: false,
        ..Conditions::default()
    };
    let taken = pass(&mut link(conditions, 5), PACKETS, 20);
    let delays: Vec<f64> = taken
        .iter()
        .map(|(at, each)| at.as_secs_f64() - (number(each) * FRAME).as_secs_f64())
        .collect();
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    let variance = delays.iter().map(|each| (each - mean).powi(2)).sum::<f64>();
    let deviation = (variance / delays.len() as f64).sqrt();
    assert!((mean - 0.3).abs() < 0.002, "{mean}");
    assert!((deviation - 0.05).abs() < 0.002, "{deviation}");
    assert!(!taken.iter().map(|(_, each)| number(each)).is_sorted());
}

#[test]
fn packets_that_skip_the_delay_overtake_those_before() {
    let conditions = Conditions {
        delay: Duration::from_millis(50),
        reorder: 0.25,
        ..Conditions::default()
    };
    let mut link = link(conditions, 6);
    let taken = pass(&mut link, 1_000, 20);
    let overtaken = taken
        .windows(2)
        .filter(|pair| number(&pair[1].1) < number(&pair[0].1))
        .count();
    assert!(overtaken > 100, "{overtaken}");
    assert_eq!(taken.len(), 1_000);
}

#[test]
fn new_conditions_hold_from_then_on() {
    let mut link = link(Conditions::default(), 7);
    let lossy = Conditions {
        loss: 1.0,
        ..Conditions::default()
    };
    link.send(Duration::ZERO, packet(0, 4));
    link.set_conditions(lossy).expect("a share");
    link.send(FRAME, packet(1, 4));
    link.set_conditions(Conditions::default()).expect("none");
    link.send(2 * FRAME, packet(2, 4));
    let mut taken = Vec::new();
    take(&mut link, FRAME * 9, &mut taken);
    let came: Vec<u32> = taken.iter().map(|(_, each)| number(each)).collect();
    assert_eq!(came, [0, 2]);
}

#[test]
fn conditions_that_are_refused_change_nothing() {
    let mut link = link(Conditions::default(), 8);
    let wrong = Conditions {
        loss: 2.0,
        ..Conditions::default()
    };
    assert!(link.set_conditions(wrong).is_err());
    assert_eq!(pass(&mut link, 100, 4).len(), 100);
}

#[test]
fn packets_under_way_are_bounded() {
    let conditions = Conditions {
        delay: Duration::from_secs(3600),
        ..Conditions::default()
    };
    let mut link = link(conditions, 9);
    for _ in 0..gradio_webrtc_netem::MAX_UNDER_WAY + 10 {
        link.send(Duration::ZERO, Vec::new());
    }
    assert_eq!(link.stats().overflowed, 10);
}

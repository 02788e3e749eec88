//! The settings of an encoder as the path to the remote peer allows them.

mod path_report;
mod step;

use std::time::Duration;

use crate::least::RecentLeast;
pub use path_report::PathReport;
use step::{FIRST_STEP, STEPS, Step};

/// The share of what a path carries that is used while it has a queue, which becomes shorter by it.
const SHARE_OF_A_FULL_PATH: f64 = 0.85;

/// The share of lost packets from which copies of them pay, with a tenth of the bits or more.
const LOSS_FOR_FEC: f32 = 0.03;

/// Bits a second of a channel that a packet must have room for beside its copy of the one before: what
/// the speech codec needs for wideband.
const LEAST_WITH_COPY: i32 = 16_000;

/// The share from which the path is taken to be too narrow: half of it and more is usual on bad
/// radio links, at any bit rate.
const LOSS_OF_A_NARROW_PATH: f32 = 0.1;

/// The share at which the bit rate falls though a lower one did not help before.
const LOSS_OF_A_BLOCKED_PATH: f32 = 0.3;

/// A round trip longer than the shortest one by so much has a queue in it.
const QUEUE: Duration = Duration::from_millis(100);

/// The time after which a shortest round trip is discarded, at the latest twice as long: the path may
/// have become another one.
const ROUND_TRIP_WINDOW: Duration = Duration::from_secs(30);

/// The deviations by which a time may be longer without a queue. Of a normal deviation, which is
/// 0.9 times the mean one between two packets, these are 95 % of all.
const DEVIATIONS: u32 = 2;

/// The share of what was sent that arrives at least on a path that does not fill up.
const SHARE_THAT_ARRIVES: f64 = 0.95;

/// How many times longer than the packets that arrive those may wait that are sent now: a path that
/// carries a quarter of what is sent.
const MOST_GROWTH: u32 = 4;

/// Doublings of [`CALM`] before a bit rate is tried that the path did not carry.
const FAILURES_OF_TOO_MUCH: u32 = 2;

/// The time without loss and without a queue after which a higher bit rate is tried; doubled each
/// time that it failed.
const CALM: Duration = Duration::from_secs(5);
const MOST_CALM: Duration = Duration::from_secs(60);

/// A step up that is taken back within this time has failed.
const TRIAL: Duration = Duration::from_secs(5);

/// Weight of one report in the expected loss. Reports come once a second or less often.
const LOSS_WEIGHT: f32 = 0.5;

/// The settings of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderTerms {
    /// Bits a second for one channel; two get twice as many, but for packets of more than one frame.
    pub bits_per_s: i32,
    /// True for the speech codec with copies of earlier packets; false for the transform codec,
    /// which has none and costs a third.
    pub has_fec: bool,
    /// The share of packets that the path loses, in percent.
    pub expected_loss: i32,
    /// The packets before it that each one is to carry as redundant audio (RFC 2198): 0 or 1. They
    /// share the bit rate of the path, so that the encoder has half of it with one.
    pub redundancy: usize,
    /// Frames of 20 ms in a packet: 1, or 3 where headers would take most of a narrow path.
    pub frames: usize,
}

/// Follows the receiver reports of a remote peer (RFC 3550 section 6.4).
///
/// Loss of 3 % and more turns error correction on. The bit rate falls where packets queue up on their
/// path, to what arrives of them or by a step, and by a step where more than a tenth is lost; it
/// stays where falling did not help, since a bad radio link loses as much at any. It rises a step
/// after a calm, ever more rarely where that failed.
///
/// It begins with 32 kbit/s, which is also what the first loss leaves: with less, libopus makes no
/// copies.
///
/// Where redundant audio was negotiated, it is sent from the same loss on, while nothing queues up and
/// the bit rate has room for two: a path that is too narrow needs fewer bytes, and not more of them.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::{EncoderAdaptation, PathReport};
///
/// let mut adaptation = EncoderAdaptation::new(1);
/// assert_eq!(adaptation.terms().bits_per_s, 32_000);
/// adaptation.report(Duration::from_secs(1), &PathReport::new(0.2, None));
/// assert!(adaptation.terms().has_fec);
/// assert_eq!(adaptation.terms().bits_per_s, 32_000);
/// ```
#[derive(Debug)]
pub struct EncoderAdaptation {
    channels: usize,
    step: usize,
    /// True from a step down until the highest bit rate.
    is_lowered: bool,
    may_repeat: bool,
    is_queueing: bool,
    loss: f32,
    shortest: RecentLeast<Duration>,
    /// The time of the last report that was longer than usual.
    longest: Duration,
    /// The most bits a second that the path carried when it had a queue last.
    carried: Option<f64>,
    /// The loss at the last step down; `None` if there was none, or the path is free again.
    loss_before: Option<f32>,
    calm_since: Option<Duration>,
    raised: Option<Duration>,
    failures: u32,
}

impl EncoderAdaptation {
    /// That of an encoder of so many channels, at the beginning of a call.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            step: FIRST_STEP,
            is_lowered: false,
            may_repeat: false,
            is_queueing: false,
            loss: 0.0,
            shortest: RecentLeast::new(ROUND_TRIP_WINDOW),
            longest: Duration::ZERO,
            carried: None,
            loss_before: None,
            calm_since: None,
            raised: None,
            failures: 0,
        }
    }

    /// Sets the number of channels, each of which has the bit rate.
    pub fn set_channels(&mut self, channels: usize) {
        self.channels = channels;
    }

    /// The settings as of the last report.
    #[must_use]
    pub fn terms(&self) -> EncoderTerms {
        #[allow(clippy::cast_possible_truncation)] // 0 to 100
        let percent = (self.loss * 100.0).ceil() as i32;
        let step = STEPS[self.step];
        // Off again only at the highest rate: the speech codec is the better one at all others.
        let has_fec = self.is_lowered || self.loss >= LOSS_FOR_FEC;
        // A call that has just begun has no reason yet to save bits where packets are lost.
        let most = if self.is_lowered { step } else { STEPS[0] };
        let half = most.bits_per_s / 2;
        let repeats = self.may_repeat
            && !self.is_queueing
            && self.loss >= LOSS_FOR_FEC
            && half >= LEAST_WITH_COPY;
        EncoderTerms {
            bits_per_s: if repeats { half } else { step.bits_per_s },
            redundancy: usize::from(repeats),
            frames: step.frames,
            has_fec,
            expected_loss: if has_fec { percent.clamp(0, 100) } else { 0 },
        }
    }

    /// Lets packets carry those before them from now on: redundant audio was negotiated.
    pub fn allow_redundancy(&mut self) {
        self.may_repeat = true;
    }

    /// Takes a report in; returns the time that the packets sent now wait in a queue on their path,
    /// which is zero below 100 ms.
    pub fn report(&mut self, now: Duration, path: &PathReport) -> Duration {
        let lost = path.fraction_lost.clamp(0.0, 1.0);
        self.loss = if lost > self.loss {
            lost
        } else {
            self.loss + LOSS_WEIGHT * (lost - self.loss)
        };
        let queue = self.queue(now, path);
        self.is_queueing = !queue.is_zero();
        if self.is_queueing {
            self.make_room(now, path, lost);
        } else if self.is_too_much(lost) {
            let is_first = !self.is_lowered && lost < LOSS_OF_A_BLOCKED_PATH;
            self.lower(now, if is_first { FIRST_STEP } else { self.step + 1 }, lost);
        } else if lost >= LOSS_FOR_FEC {
            self.calm_since = None;
        } else {
            self.rise(now);
        }
        queue
    }

    fn queue(&mut self, now: Duration, path: &PathReport) -> Duration {
        if let Some(round_trip) = path.round_trip {
            self.shortest.add(now, round_trip);
        }
        let usual = self.shortest.get().map(|shortest| {
            let deviation = path.jitter.saturating_mul(DEVIATIONS);
            shortest + path.late + deviation
        });
        let (Some(usual), Some(longest)) = (usual, path.behind.or(path.round_trip)) else {
            return Duration::ZERO;
        };
        let queue = longest.saturating_sub(usual);
        if queue <= QUEUE {
            return Duration::ZERO;
        }
        let rates = path.arrived_bits_per_s.zip(path.sent_bits_per_s);
        let arrives = rates.is_some_and(|(came, sent)| came >= SHARE_THAT_ARRIVES * sent);
        let before = std::mem::replace(&mut self.longest, longest);
        if arrives {
            if longest.abs_diff(before) <= QUEUE / 2 {
                // And no sooner than before: the path has become longer.
                self.shortest = RecentLeast::new(ROUND_TRIP_WINDOW);
                self.shortest.add(now, longest);
            }
            return Duration::ZERO;
        }
        // What is sent now waits longer than what arrives now did: until all before it has arrived.
        let rest_s = path
            .carried_bits_per_s()
            .map(|rate| path.bits_behind / rate);
        let rest = rest_s.and_then(|rest_s| Duration::try_from_secs_f64(rest_s).ok());
        let rest = rest.unwrap_or_default().saturating_sub(usual);
        queue.max(rest.min(queue * MOST_GROWTH))
    }

    /// Lowers the bit rate to what a full path carries. While one that fits already takes its queue
    /// away, it stays.
    fn make_room(&mut self, now: Duration, path: &PathReport, lost: f32) {
        let Some(carried) = path.carried_bits_per_s() else {
            self.lower(now, self.step + 1, lost);
            return;
        };
        self.carried = Some(carried);
        let fits = |step: &Step| step.total(self.channels) <= SHARE_OF_A_FULL_PATH * carried;
        let needed = STEPS.iter().position(fits).unwrap_or(STEPS.len() - 1);
        self.lower(now, needed, lost);
    }

    fn is_too_much(&self, lost: f32) -> bool {
        match self.loss_before {
            _ if lost >= LOSS_OF_A_BLOCKED_PATH => true,
            // A step that took less than half of the loss away has not been the remedy.
            Some(before) => lost >= LOSS_OF_A_NARROW_PATH && lost < before / 2.0,
            None => lost >= LOSS_OF_A_NARROW_PATH,
        }
    }

    fn lower(&mut self, now: Duration, needed: usize, lost: f32) {
        self.calm_since = None;
        self.loss_before = Some(lost);
        self.is_lowered = true;
        let needed = needed.min(STEPS.len() - 1);
        if needed <= self.step {
            return;
        }
        self.step = needed;
        if self.raised.take().is_some_and(|at| now < at + TRIAL) {
            self.failures = (self.failures + 1).min(8);
        }
    }

    fn rise(&mut self, now: Duration) {
        let since = *self.calm_since.get_or_insert(now);
        let Some(next) = self.step.checked_sub(1) else {
            return;
        };
        let is_too_much = |carried| STEPS[next].total(self.channels) > carried;
        let failures = if self.carried.is_some_and(is_too_much) {
            self.failures.max(FAILURES_OF_TOO_MUCH)
        } else {
            self.failures
        };
        if now < since + CALM.saturating_mul(1 << failures).min(MOST_CALM) {
            return;
        }
        self.step = next;
        self.is_lowered &= next > 0;
        self.loss_before = None;
        self.raised = Some(now);
        self.calm_since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn report(adaptation: &mut EncoderAdaptation, at_s: u64, lost: f32, round_trip_ms: u64) {
        let round_trip = Some(Duration::from_millis(round_trip_ms));
        adaptation.report(s(10 + at_s), &PathReport::new(lost, round_trip));
    }

    /// One that has seen a free path for a while.
    fn free() -> EncoderAdaptation {
        let mut adaptation = EncoderAdaptation::new(1);
        let clean = PathReport::new(0.0, Some(Duration::from_millis(40)));
        for k in 0..=5 {
            adaptation.report(s(k), &clean);
        }
        assert_eq!(adaptation.terms().bits_per_s, 64_000);
        adaptation
    }

    #[test]
    fn a_call_begins_with_less_until_its_path_was_seen() {
        let mut adaptation = EncoderAdaptation::new(1);
        let terms = adaptation.terms();
        assert_eq!((terms.bits_per_s, terms.has_fec), (32_000, false));
        // The first loss turns copies on, for which less would be too little.
        adaptation.report(s(1), &PathReport::new(0.2, None));
        let terms = adaptation.terms();
        assert_eq!((terms.bits_per_s, terms.has_fec), (32_000, true));
        adaptation.report(s(2), &PathReport::new(0.3, None));
        assert_eq!(adaptation.terms().bits_per_s, 16_000);
    }

    #[test]
    fn a_full_path_gets_what_it_carries_at_once() {
        for (carried, bits_per_s) in [(65e3, 16_000), (24e3, 12_000), (77e3, 32_000)] {
            let mut adaptation = free();
            let full = PathReport {
                behind: Some(Duration::from_millis(700)),
                arrived_bits_per_s: Some(carried),
                sent_bits_per_s: Some(88e3),
                ..PathReport::new(0.0, None)
            };
            let queue = adaptation.report(s(10), &full);
            assert_eq!(queue, Duration::from_millis(660));
            assert_eq!(adaptation.terms().bits_per_s, bits_per_s);
            // The queue becomes shorter by that.
            adaptation.report(s(11), &full);
            assert_eq!(adaptation.terms().bits_per_s, bits_per_s);
            // What is known to be too much is tried after 20 s, not 5.
            let mut raised = (0..60).filter(|k| {
                let before = adaptation.terms().bits_per_s;
                report(&mut adaptation, 2 + k, 0.0, 40);
                adaptation.terms().bits_per_s > before
            });
            assert_eq!(raised.next(), Some(20));
        }
    }

    #[test]
    fn packets_of_two_channels_are_longer() {
        let mut adaptation = EncoderAdaptation::new(2);
        adaptation.report(s(0), &PathReport::new(0.0, Some(Duration::ZERO)));
        let full = PathReport {
            behind: Some(Duration::from_millis(200)),
            arrived_bits_per_s: Some(60e3),
            sent_bits_per_s: Some(90e3),
            ..PathReport::default()
        };
        adaptation.report(s(1), &full);
        assert_eq!(adaptation.terms().bits_per_s, 12_000);
        assert_eq!(adaptation.terms().frames, 3);
    }

    #[test]
    fn times_that_vary_are_no_queue() {
        let late = |jitter, late| PathReport {
            round_trip: Some(Duration::from_millis(340)),
            jitter: Duration::from_millis(jitter),
            late: Duration::from_millis(late),
            ..PathReport::default()
        };
        let ms = Duration::from_millis;
        for (jitter, late_ms, queue) in [(0, 0, 300), (50, 0, 200), (0, 150, 150), (60, 90, 0)] {
            let mut adaptation = free();
            assert_eq!(adaptation.report(s(10), &late(jitter, late_ms)), ms(queue));
        }
    }

    #[test]
    fn a_path_on_which_all_arrives_is_only_longer() {
        let mut adaptation = free();
        let longer = PathReport {
            behind: Some(Duration::from_millis(640)),
            arrived_bits_per_s: Some(87e3),
            sent_bits_per_s: Some(88e3),
            ..PathReport::new(0.0, Some(Duration::from_millis(640)))
        };
        for k in 10..20 {
            assert_eq!(adaptation.report(s(k), &longer), Duration::ZERO);
        }
        assert_eq!(adaptation.terms().bits_per_s, 64_000);
        // And a queue is one beyond that.
        let full = PathReport {
            behind: Some(Duration::from_millis(900)),
            arrived_bits_per_s: Some(60e3),
            ..longer
        };
        assert_eq!(adaptation.report(s(20), &full), Duration::from_millis(260));
    }

    #[test]
    fn a_path_that_became_longer_is_no_queue_for_ever() {
        let mut adaptation = free();
        for k in 0..150 {
            report(&mut adaptation, k, 0.0, 400);
        }
        assert_eq!(adaptation.terms().bits_per_s, 64_000);
    }

    #[test]
    fn a_clean_path_changes_nothing() {
        let mut adaptation = free();
        let free = adaptation.terms();
        assert_eq!((free.bits_per_s, free.has_fec), (64_000, false));
        for k in 0..100 {
            report(&mut adaptation, k, 0.01, 40);
            assert_eq!(adaptation.terms(), free);
        }
    }

    #[test]
    fn copies_are_sent_from_three_percent_on_and_until_the_loss_is_over() {
        let mut adaptation = free();
        report(&mut adaptation, 0, 0.05, 40);
        let terms = adaptation.terms();
        assert_eq!((terms.bits_per_s, terms.has_fec), (64_000, true));
        assert_eq!(terms.expected_loss, 5);
        for k in 1..5 {
            report(&mut adaptation, k, 0.0, 40);
        }
        assert!(!adaptation.terms().has_fec);
        assert_eq!(adaptation.terms().expected_loss, 0);
    }

    #[test]
    fn loss_that_a_lower_rate_does_not_cure_costs_one_step() {
        let mut adaptation = free();
        for k in 0..30 {
            report(&mut adaptation, k, 0.2, 40);
        }
        let terms = adaptation.terms();
        assert_eq!((terms.bits_per_s, terms.has_fec), (32_000, true));
        assert_eq!(terms.expected_loss, 20);
    }

    #[test]
    fn a_queue_in_the_path_lowers_the_rate_until_it_is_gone() {
        let mut adaptation = free();
        report(&mut adaptation, 0, 0.0, 40);
        for (k, round_trip) in [(1, 200), (2, 500), (3, 300)] {
            report(&mut adaptation, k, 0.0, round_trip);
        }
        assert_eq!(adaptation.terms().bits_per_s, 12_000);
        assert!(adaptation.terms().has_fec);
        report(&mut adaptation, 4, 0.0, 400);
        assert_eq!(
            adaptation.terms().bits_per_s,
            12_000,
            "there is no lower one"
        );
    }

    #[test]
    fn a_path_that_loses_what_does_not_fit_is_followed_down() {
        let mut adaptation = free();
        for (k, lost) in [(0, 0.7), (1, 0.5), (2, 0.3)] {
            report(&mut adaptation, k, lost, 40);
        }
        assert_eq!(adaptation.terms().bits_per_s, 12_000);
    }

    #[test]
    fn the_rate_comes_back_a_step_at_a_time() {
        let mut adaptation = free();
        for k in 0..3 {
            report(&mut adaptation, k, 0.5, 40);
        }
        let rates: Vec<i32> = (3..25)
            .map(|k| {
                report(&mut adaptation, k, 0.0, 40);
                adaptation.terms().bits_per_s
            })
            .collect();
        assert_eq!(rates[4], 12_000);
        assert_eq!(rates[5], 16_000);
        assert_eq!(rates[10], 32_000);
        assert_eq!(rates[15], 64_000);
        assert!(!adaptation.terms().has_fec);
    }

    #[test]
    fn a_rate_that_failed_is_tried_ever_more_rarely() {
        let mut adaptation = free();
        let mut raised = Vec::new();
        report(&mut adaptation, 0, 0.0, 40);
        let mut before = 64_000;
        for k in 1..400 {
            let is_too_wide = before > 32_000;
            report(&mut adaptation, k, 0.0, if is_too_wide { 300 } else { 40 });
            let now = adaptation.terms().bits_per_s;
            if now > before {
                raised.push(k);
            }
            before = now;
        }
        let gaps: Vec<u64> = raised.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.is_sorted(), "{gaps:?}");
        assert!(*gaps.last().unwrap() >= 60, "{gaps:?}");
    }

    fn redundant() -> EncoderAdaptation {
        let mut adaptation = free();
        adaptation.allow_redundancy();
        adaptation
    }

    #[test]
    fn a_packet_is_repeated_from_three_percent_on_and_shares_the_bit_rate() {
        let mut adaptation = redundant();
        let mut seen = Vec::new();
        for (k, lost) in [(0, 0.02), (1, 0.05), (2, 0.05), (3, 0.0), (4, 0.0)] {
            report(&mut adaptation, k, lost, 40);
            let terms = adaptation.terms();
            seen.push((terms.redundancy, terms.bits_per_s));
        }
        let (whole, half) = ((0, 64_000), (1, 32_000));
        assert_eq!(seen, [whole, half, half, whole, whole]);
        // A tenth lost is a step down, and the half of that.
        report(&mut adaptation, 5, 0.1, 40);
        let terms = adaptation.terms();
        assert_eq!((terms.redundancy, terms.bits_per_s), (1, 16_000));
    }

    #[test]
    fn nothing_is_repeated_on_a_path_that_is_narrow_or_fills_up() {
        let mut adaptation = redundant();
        report(&mut adaptation, 0, 0.05, 40);
        assert_eq!(adaptation.terms().redundancy, 1);
        report(&mut adaptation, 1, 0.05, 200);
        let terms = adaptation.terms();
        assert_eq!((terms.redundancy, terms.bits_per_s), (0, 32_000));
        // The queue is gone; a step further down there is no room.
        report(&mut adaptation, 2, 0.05, 40);
        assert_eq!(adaptation.terms().redundancy, 1);
        report(&mut adaptation, 3, 0.3, 40);
        let terms = adaptation.terms();
        assert_eq!((terms.redundancy, terms.bits_per_s), (0, 16_000));
    }

    #[test]
    fn nothing_is_repeated_where_that_was_not_negotiated() {
        let mut adaptation = free();
        report(&mut adaptation, 0, 0.05, 40);
        let terms = adaptation.terms();
        assert_eq!((terms.redundancy, terms.bits_per_s), (0, 64_000));
    }

    #[test]
    fn shares_outside_their_range_are_cut_off() {
        let mut adaptation = free();
        adaptation.report(s(10), &PathReport::new(7.0, None));
        assert_eq!(adaptation.terms().expected_loss, 100);
        adaptation.report(s(11), &PathReport::new(-1.0, None));
        assert_eq!(adaptation.terms().expected_loss, 50);
    }
}

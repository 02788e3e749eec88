//! The settings of an encoder as the path to the remote peer allows them.

use std::time::Duration;

/// Bits a second of one channel, from a free path to a narrow one. The first is the upper end that
/// RFC 7587 section 3.1.1 recommends for music in fullband, the others those for speech in
/// fullband, wideband and narrowband, rounded down: 12 kbit/s leave a path of 24 kbit/s the
/// headers of its packets.
const BIT_RATES: [i32; 4] = [64_000, 32_000, 16_000, 12_000];

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
    /// Bits a second for one channel; two get twice as many.
    pub bits_per_s: i32,
    /// True for the speech codec with copies of earlier packets; false for the transform codec,
    /// which has none and costs a third.
    pub has_fec: bool,
    /// The share of packets that the path loses, in percent.
    pub expected_loss: i32,
    /// The packets before it that each one is to carry as redundant audio (RFC 2198): 0 or 1. They
    /// share the bit rate of the path, so that the encoder has half of it with one.
    pub redundancy: usize,
}

/// Follows the receiver reports of a remote peer (RFC 3550 section 6.4).
///
/// Loss of 3 % and more turns error correction on. The bit rate falls a step where packets queue up
/// on their path, or more than a tenth is lost; it stays where falling did not help, since a bad
/// radio link loses as much at any. It rises a step after a calm, ever more rarely where that
/// failed.
///
/// Where redundant audio was negotiated, it is sent from the same loss on, while nothing queues up and
/// the bit rate has room for two: a path that is too narrow needs fewer bytes, and not more of them.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::EncoderAdaptation;
///
/// let mut adaptation = EncoderAdaptation::default();
/// assert_eq!(adaptation.terms().bits_per_s, 64_000);
/// adaptation.report(Duration::from_secs(1), 0.2, None);
/// assert!(adaptation.terms().has_fec);
/// assert_eq!(adaptation.terms().bits_per_s, 32_000);
/// ```
#[derive(Debug, Default)]
pub struct EncoderAdaptation {
    step: usize,
    may_repeat: bool,
    is_queueing: bool,
    loss: f32,
    has_fec: bool,
    shortest: Option<Duration>,
    /// The loss at the last step down; `None` if there was none, or the path is free again.
    loss_before: Option<f32>,
    calm_since: Option<Duration>,
    raised: Option<Duration>,
    failures: u32,
}

impl EncoderAdaptation {
    /// The settings as of the last report.
    #[must_use]
    pub fn terms(&self) -> EncoderTerms {
        #[allow(clippy::cast_possible_truncation)] // 0 to 100
        let percent = (self.loss * 100.0).ceil() as i32;
        let half = BIT_RATES[self.step] / 2;
        let repeats = self.may_repeat
            && !self.is_queueing
            && self.loss >= LOSS_FOR_FEC
            && half >= LEAST_WITH_COPY;
        EncoderTerms {
            bits_per_s: if repeats { half } else { BIT_RATES[self.step] },
            redundancy: usize::from(repeats),
            has_fec: self.has_fec,
            expected_loss: if self.has_fec {
                percent.clamp(0, 100)
            } else {
                0
            },
        }
    }

    /// Lets packets carry those before them from now on: redundant audio was negotiated.
    pub fn allow_redundancy(&mut self) {
        self.may_repeat = true;
    }

    /// Takes a report in.
    ///
    /// # Arguments
    /// `fraction_lost`: of the packets since the last report, 0 to 1. `round_trip`: if the report
    /// has what it takes to compute it.
    pub fn report(&mut self, now: Duration, fraction_lost: f32, round_trip: Option<Duration>) {
        let lost = fraction_lost.clamp(0.0, 1.0);
        self.loss = if lost > self.loss {
            lost
        } else {
            self.loss + LOSS_WEIGHT * (lost - self.loss)
        };
        self.is_queueing = self.has_queue(round_trip);
        if self.is_queueing || self.is_too_much(lost) {
            self.lower(now, lost);
        } else if lost >= LOSS_FOR_FEC {
            self.calm_since = None;
        } else {
            self.rise(now);
        }
        // Off again only at the highest rate: the speech codec is the better one at all others.
        self.has_fec = self.step > 0 || self.loss >= LOSS_FOR_FEC;
    }

    fn has_queue(&mut self, round_trip: Option<Duration>) -> bool {
        let Some(round_trip) = round_trip else {
            return false;
        };
        let shortest = self.shortest.map_or(round_trip, |it| it.min(round_trip));
        self.shortest = Some(shortest);
        round_trip > shortest + QUEUE
    }

    fn is_too_much(&self, lost: f32) -> bool {
        match self.loss_before {
            _ if lost >= LOSS_OF_A_BLOCKED_PATH => true,
            // A step that took less than half of the loss away has not been the remedy.
            Some(before) => lost >= LOSS_OF_A_NARROW_PATH && lost < before / 2.0,
            None => lost >= LOSS_OF_A_NARROW_PATH,
        }
    }

    fn lower(&mut self, now: Duration, lost: f32) {
        self.calm_since = None;
        self.loss_before = Some(lost);
        if self.step + 1 == BIT_RATES.len() {
            return;
        }
        self.step += 1;
        if self.raised.take().is_some_and(|at| now < at + TRIAL) {
            self.failures = (self.failures + 1).min(8);
        }
    }

    fn rise(&mut self, now: Duration) {
        let since = *self.calm_since.get_or_insert(now);
        let calm = CALM.saturating_mul(1 << self.failures).min(MOST_CALM);
        if self.step == 0 || now < since + calm {
            return;
        }
        self.step -= 1;
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
        adaptation.report(s(at_s), lost, Some(Duration::from_millis(round_trip_ms)));
    }

    #[test]
    fn a_clean_path_changes_nothing() {
        let mut adaptation = EncoderAdaptation::default();
        let free = adaptation.terms();
        assert_eq!((free.bits_per_s, free.has_fec), (64_000, false));
        for k in 0..100 {
            report(&mut adaptation, k, 0.01, 40);
            assert_eq!(adaptation.terms(), free);
        }
    }

    #[test]
    fn copies_are_sent_from_three_percent_on_and_until_the_loss_is_over() {
        let mut adaptation = EncoderAdaptation::default();
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
        let mut adaptation = EncoderAdaptation::default();
        for k in 0..30 {
            report(&mut adaptation, k, 0.2, 40);
        }
        let terms = adaptation.terms();
        assert_eq!((terms.bits_per_s, terms.has_fec), (32_000, true));
        assert_eq!(terms.expected_loss, 20);
    }

    #[test]
    fn a_queue_in_the_path_lowers_the_rate_until_it_is_gone() {
        let mut adaptation = EncoderAdaptation::default();
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
        let mut adaptation = EncoderAdaptation::default();
        for (k, lost) in [(0, 0.7), (1, 0.5), (2, 0.3)] {
            report(&mut adaptation, k, lost, 40);
        }
        assert_eq!(adaptation.terms().bits_per_s, 12_000);
    }

    #[test]
    fn the_rate_comes_back_a_step_at_a_time() {
        let mut adaptation = EncoderAdaptation::default();
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
        let mut adaptation = EncoderAdaptation::default();
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
        let mut adaptation = EncoderAdaptation::default();
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
        let mut adaptation = EncoderAdaptation::default();
        report(&mut adaptation, 0, 0.05, 40);
        let terms = adaptation.terms();
        assert_eq!((terms.redundancy, terms.bits_per_s), (0, 64_000));
    }

    #[test]
    fn shares_outside_their_range_are_cut_off() {
        let mut adaptation = EncoderAdaptation::default();
        adaptation.report(s(0), 7.0, None);
        assert_eq!(adaptation.terms().expected_loss, 100);
        adaptation.report(s(1), -1.0, None);
        assert_eq!(adaptation.terms().expected_loss, 50);
    }
}

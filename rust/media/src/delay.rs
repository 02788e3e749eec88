//! The delay at which inbound audio can be played without gaps.
//!
//! For what is played on at a steady pace: an echo, a recording, another remote peer. Audio that is
//! only listened to needs none, see [`crate::JitterBuffer`].

use std::time::Duration;

/// The share of packets that are in time at the target delay.
const QUANTILE: f32 = 0.95;

/// The time in which what was measured loses half of its weight: delays of a path that is good
/// again are below 5 % of all after 4.3 s, and a path that gets worse weighs as much after 75 ms.
const HALF_LIFE_S: f32 = 1.0;

/// The width of a class of delays, in seconds. The target is at the upper end of a class, and too
/// long by this at most.
const CLASS_S: f64 = 0.005;

/// The classes of delays. The last one is for all that are longer, so that the target is at most
/// 500 ms: a conversation is not possible beyond it (ITU-T G.114 advises against more than 400).
const CLASSES: usize = 100;

/// The time in which the fastest packet is looked for, at least; at most it is twice as long. The
/// clocks of two machines differ by up to 100 ppm, 0.4 ms in 4 s.
const WINDOW: Duration = Duration::from_secs(2);

/// A larger step of the delay, in seconds, is one of a clock, and begins the measurement again.
const MAX_STEP_S: f64 = 5.0;

/// Weights are scaled down when a new measurement would weigh more than this, far from the limits
/// of their type.
const MAX_WEIGHT: f32 = 1e9;

/// Estimates the 95 % quantile of the packets' delays beyond that of the fastest one of late.
///
/// Older measurements are discounted, so the target follows the path in both directions. Late
/// packets belong in it as well; those that never came do not exist. Allocates nothing.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use gradio_webrtc_media::DelayEstimator;
///
/// let mut estimator = DelayEstimator::new();
/// for packet in 0..100 {
///     // Every tenth one is 40 ms late.
///     let late = if packet % 10 == 0 { 40 } else { 0 };
///     estimator.add(Duration::from_millis(20 * packet + late), 960 * packet);
/// }
/// let target_ms = estimator.target().as_millis();
/// assert!((40..=45).contains(&target_ms));
/// ```
#[derive(Debug)]
pub struct DelayEstimator {
    /// The discounted number of packets by the class of their transit time. Instead of all of them
    /// shrinking, each new one is larger.
    weights: [f32; CLASSES],
    /// The number of the first class: transit times have an arbitrary zero.
    first_class: i64,
    total: f32,
    /// The weight of a measurement at `then`.
    weight: f32,
    then: Duration,
    /// The least transit times in seconds of the current window and the one before it.
    fastest_s: [f64; 2],
    window_end: Duration,
    last_s: f64,
}

impl Default for DelayEstimator {
    fn default() -> Self {
        Self::new()
    }
}

impl DelayEstimator {
    /// An estimator without measurements.
    #[must_use]
    pub fn new() -> Self {
        Self {
            weights: [0.0; CLASSES],
            first_class: 0,
            total: 0.0,
            weight: 1.0,
            then: Duration::ZERO,
            fastest_s: [f64::INFINITY; 2],
            window_end: Duration::ZERO,
            last_s: 0.0,
        }
    }

    /// Counts a packet that came at `now`; `timestamp` in samples at 48 kHz, without its wrapping,
    /// as in [`crate::Packet`].
    pub fn add(&mut self, now: Duration, timestamp: u64) {
        let transit_s = now.as_secs_f64() - sent_s(timestamp);
        if self.total == 0.0 || (transit_s - self.last_s).abs() > MAX_STEP_S {
            *self = Self {
                then: now,
                window_end: now.saturating_add(WINDOW),
                ..Self::new()
            };
        }
        self.last_s = transit_s;
        self.discount(now);
        self.measure_fastest(now, transit_s);
        self.move_classes(class_of(self.fastest_s()));
        let class = usize::try_from(class_of(transit_s) - self.first_class).unwrap_or(0);
        self.weights[class.min(CLASSES - 1)] += self.weight;
        self.total += self.weight;
    }

    /// The delay beyond that of the fastest packets of late, at which 95 % of the packets are in
    /// time; zero before the first packet, and at most 500 ms.
    #[must_use]
    pub fn target(&self) -> Duration {
        let target_s = self
            .quantile_s()
            .map_or(0.0, |quantile_s| quantile_s - self.fastest_s());
        Duration::try_from_secs_f64(target_s).unwrap_or_default()
    }

    /// The time at which the audio of a packet is to be played, in time for 95 % of them; `None`
    /// before the first packet.
    #[must_use]
    pub fn due(&self, timestamp: u64) -> Option<Duration> {
        let due_s = self.quantile_s()? + sent_s(timestamp);
        Duration::try_from_secs_f64(due_s.max(0.0)).ok()
    }

    /// The transit time, in seconds, that 95 % of the packets do not exceed.
    fn quantile_s(&self) -> Option<f64> {
        let mut rest = self.total * (1.0 - QUANTILE);
        let mut class = self.first_class + i64::try_from(CLASSES).unwrap_or(i64::MAX);
        // From the long delays down, each one's upper end.
        for weight in self.weights.iter().rev() {
            rest -= weight;
            if rest < 0.0 {
                #[allow(clippy::cast_precision_loss, reason = "a time in units of 5 ms")]
                return Some(class as f64 * CLASS_S);
            }
            class -= 1;
        }
        None
    }

    fn fastest_s(&self) -> f64 {
        self.fastest_s[0].min(self.fastest_s[1])
    }

    /// Makes another class the first one. What is beyond either end belongs to the outermost class.
    fn move_classes(&mut self, first_class: i64) {
        let step = first_class - self.first_class;
        self.first_class = first_class;
        if step == 0 || self.total == 0.0 {
            return;
        }
        let distance = usize::try_from(step.unsigned_abs()).map_or(CLASSES, |it| it.min(CLASSES));
        if step > 0 {
            let below: f32 = self.weights[..distance].iter().sum();
            self.weights.copy_within(distance.., 0);
            self.weights[CLASSES - distance..].fill(0.0);
            self.weights[0] += below;
        } else {
            let above: f32 = self.weights[CLASSES - distance..].iter().sum();
            self.weights.copy_within(..CLASSES - distance, distance);
            self.weights[..distance].fill(0.0);
            self.weights[CLASSES - 1] += above;
        }
    }

    /// Makes new measurements weigh more than those until `then`.
    fn discount(&mut self, now: Duration) {
        let passed_s = now.saturating_sub(self.then).as_secs_f32();
        self.then = self.then.max(now);
        self.weight *= (passed_s / HALF_LIFE_S).exp2();
        if self.weight > MAX_WEIGHT {
            let scale = self.weight.recip();
            for weight in &mut self.weights {
                *weight *= scale;
            }
            self.total *= scale;
            self.weight = 1.0;
        }
    }

    fn measure_fastest(&mut self, now: Duration, transit_s: f64) {
        if now >= self.window_end {
            let is_recent = now < self.window_end.saturating_add(WINDOW);
            let before = if is_recent {
                self.fastest_s[0]
            } else {
                f64::INFINITY
            };
            self.fastest_s = [f64::INFINITY, before];
            self.window_end = now.saturating_add(WINDOW);
        }
        self.fastest_s[0] = self.fastest_s[0].min(transit_s);
    }
}

/// The class of a transit time.
fn class_of(transit_s: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    let class = (transit_s / CLASS_S).floor() as i64;
    class
}

/// A timestamp in seconds.
fn sent_s(timestamp: u64) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "exact for 6,000 years at 48 kHz"
    )]
    let sent_s = timestamp as f64 / 48_000.0;
    sent_s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Adds packets of 20 ms, each with a delay in milliseconds beyond 1 s.
    fn add(estimator: &mut DelayEstimator, numbers: std::ops::Range<u64>, delay: fn(u64) -> u64) {
        for number in numbers {
            estimator.add(ms(1_000 + 20 * number + delay(number)), 960 * number);
        }
    }

    /// Expects a target between this delay and the next class.
    fn expect(estimator: &DelayEstimator, delay_ms: u64) {
        let target = estimator.target();
        let end = ms(delay_ms + 5) + Duration::from_nanos(10);
        assert!((ms(delay_ms)..=end).contains(&target), "{target:?}");
    }

    #[test]
    fn nothing_is_needed_before_the_first_packet() {
        assert_eq!(DelayEstimator::new().target(), Duration::ZERO);
        assert_eq!(DelayEstimator::new().due(0), None);
    }

    #[test]
    fn a_steady_path_needs_the_least_there_is() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |_| 0);
        expect(&estimator, 0);
        let due = estimator.due(960 * 500).unwrap().as_secs_f64();
        assert!((10.999..11.006).contains(&due), "{due}");
    }

    #[test]
    fn delays_of_fewer_than_one_packet_in_twenty_do_not_count() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |number| {
            100 * u64::from(number % 40 == 0)
        });
        expect(&estimator, 0);
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |number| {
            100 * u64::from(number % 10 == 0)
        });
        expect(&estimator, 100);
    }

    #[test]
    fn it_grows_within_a_fifth_of_a_second_and_comes_back_within_five() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |_| 0);
        add(&mut estimator, 500..510, |number| 80 * (number % 2));
        expect(&estimator, 80);
        add(&mut estimator, 510..1_000, |number| 80 * (number % 2));
        expect(&estimator, 80);
        add(&mut estimator, 1_000..1_250, |_| 0);
        expect(&estimator, 0);
    }

    #[test]
    fn a_path_that_got_longer_as_a_whole_needs_no_more() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |_| 0);
        add(&mut estimator, 500..600, |_| 200);
        expect(&estimator, 200);
        add(&mut estimator, 600..1_000, |_| 200);
        expect(&estimator, 0);
    }

    #[test]
    fn a_clock_that_runs_fast_or_slow_changes_nothing() {
        for skew in [-1.0, 1.0] {
            let mut estimator = DelayEstimator::new();
            let mut longest = Duration::ZERO;
            for number in 0..50_000_u32 {
                let sent_s = f64::from(number) * 0.02;
                let now = Duration::from_secs_f64(10.0 + sent_s * (1.0 + 1e-4 * skew));
                estimator.add(now, 960 * u64::from(number));
                longest = longest.max(estimator.target());
            }
            // In 4 s, 0.4 ms more.
            assert!(longest <= ms(6), "{longest:?}");
        }
    }

    #[test]
    fn the_target_is_bounded() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |number| 3_000 * (number % 2));
        expect(&estimator, 495);
    }

    #[test]
    fn a_jump_of_a_clock_begins_again() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |number| 80 * (number % 2));
        add(&mut estimator, 500..501, |_| 60_000);
        expect(&estimator, 0);
    }

    #[test]
    fn no_measurement_is_lost_when_the_path_gets_faster_or_slower() {
        let mut estimator = DelayEstimator::new();
        for (number, step) in (0..1_000).zip([0, 150, 480, 900].into_iter().cycle()) {
            // 100 ms faster or slower every five seconds.
            let path = 100 * (number / 250 * 7 % 4);
            estimator.add(ms(1_000 + 20 * number + step + path), 960 * number);
            let sum: f32 = estimator.weights.iter().sum();
            assert!((sum / estimator.total - 1.0).abs() < 1e-3, "{number}");
        }
    }

    #[test]
    fn hours_do_not_wear_it_out() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500_000, |number| 40 * (number % 2));
        expect(&estimator, 40);
        assert!(estimator.total < 1e12 && estimator.weight <= MAX_WEIGHT);
    }

    #[test]
    fn a_long_pause_leaves_a_usable_estimate() {
        let mut estimator = DelayEstimator::new();
        add(&mut estimator, 0..500, |number| 80 * (number % 2));
        // An hour of discontinuous transmission.
        let pause = 50 * 3_600;
        add(&mut estimator, pause..pause + 1, |_| 0);
        expect(&estimator, 0);
    }

    #[test]
    fn time_that_runs_backwards_does_no_harm() {
        let mut estimator = DelayEstimator::new();
        for (now, timestamp) in [(u64::MAX, 0), (0, u64::MAX), (5, 1 << 40), (4, 0)] {
            estimator.add(ms(now), timestamp);
            assert!(estimator.target() <= ms(500));
            std::hint::black_box(estimator.due(timestamp));
        }
    }
}

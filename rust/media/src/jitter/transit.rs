//! The jitter of a path, as RTCP reports it.

use std::time::Duration;

/// A larger step between two packets' transit times, in seconds, is one of a clock, and no jitter.
const MAX_DEVIATION_S: f64 = 5.0;

/// The mean deviation between the packets' spacing when sent and when received (RFC 3550 section
/// 6.4.1 and appendix A.8).
#[derive(Debug, Default)]
pub(super) struct TransitJitter {
    /// The transit time of the last packet in seconds, from an arbitrary zero.
    transit_s: Option<f64>,
    mean_s: f64,
}

impl TransitJitter {
    /// Counts a packet that was received at `now`, and its timestamp, which counts on when the
    /// 32 bits of RTP wrap.
    pub(super) fn add(&mut self, now: Duration, timestamp: u64) {
        #[allow(
            clippy::cast_precision_loss,
            reason = "exact for 6,000 years at 48 kHz"
        )]
        let sent_s = timestamp as f64 / 48_000.0;
        let transit_s = now.as_secs_f64() - sent_s;
        let before_s = self.transit_s.replace(transit_s).unwrap_or(transit_s);
        let deviation_s = (transit_s - before_s).abs();
        if deviation_s < MAX_DEVIATION_S {
            self.mean_s += (deviation_s - self.mean_s) / 16.0;
        }
    }

    /// The mean deviation, in seconds.
    pub(super) fn mean_s(&self) -> f64 {
        self.mean_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jitter_of(received_ms: impl Iterator<Item = u64>) -> f64 {
        let mut jitter = TransitJitter::default();
        for (k, ms) in (1..).zip(received_ms) {
            jitter.add(Duration::from_millis(ms), 960 * k);
        }
        jitter.mean_s()
    }

    #[test]
    fn a_steady_path_has_none() {
        assert!(jitter_of((0..500).map(|k| 20 * k)) < 1e-9);
    }

    #[test]
    fn packets_that_alternate_deviate_by_their_difference() {
        let mean_s = jitter_of((0..500).map(|k| 20 * k + 8 * (k % 2)));
        assert!((mean_s - 0.008).abs() < 1e-4, "{mean_s}");
    }

    #[test]
    fn a_step_of_a_clock_is_not_jitter() {
        assert!(jitter_of((0..500).map(|k| 20 * k + 60_000 * (k / 250))) < 1e-9);
    }
}

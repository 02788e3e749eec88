//! The low-pass filter of a conversion: a sinc under a Kaiser window, as a function of time.
//!
//! Formulas: Kaiser and Schafer, "On the use of the I0-sinh window for spectrum analysis" (IEEE
//! Trans. ASSP 28, 1980); Oppenheim and Schafer, *Discrete-Time Signal Processing*, section 7.6.

use std::f64::consts::PI;

use super::Quality;
use super::ratio::as_f64;

/// The attenuation in dB that one sample more of width adds at a transition of one radian a sample
/// (Kaiser's formula for the length of the window; [`KAISER_OFFSET_DB`] is its other constant).
const DB_PER_RADIAN: f64 = 2.285;

/// The attenuation in dB at which Kaiser's formula gives a window of no width.
const KAISER_OFFSET_DB: f64 = 7.95;

/// The end of a pass band and the start of a stop band, in Hz.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) pass_hz: f64,
    pub(super) stop_hz: f64,
}

impl Quality {
    /// The band of a conversion whose lower rate is `lower_hz`.
    pub(super) fn band(self, lower_hz: u32) -> Band {
        // The pass band ends slightly below the promised 0.9: 3 dB less noise for 0.0005 dB less
        // level.
        let (pass, stop) = match self {
            Self::High => (0.897, 1.0),
            Self::LowLatency => (0.9, 1.1),
        };
        let nyquist_hz = f64::from(lower_hz) / 2.0;
        Band {
            pass_hz: pass * nyquist_hz,
            stop_hz: stop * nyquist_hz,
        }
    }

    /// The reach of the response to either side, in periods of the lower rate.
    pub(super) fn reach_periods(self) -> u64 {
        match self {
            // 114 dB. 72 periods delay by 4.5 ms at 16 kHz and by 9 ms at 8 kHz.
            Self::High => 72,
            // 105 dB. Aliases fall only above 0.9 of Nyquist, a band that a detector does not need.
            Self::LowLatency => 34,
        }
    }
}

impl Band {
    /// The width of the transition, in radians a sample.
    fn transition(self, rate_hz: f64) -> f64 {
        2.0 * PI * (self.stop_hz - self.pass_hz) / rate_hz
    }

    /// The half width of the response that has this stop band, in samples.
    pub(super) fn half_width(self, rate_hz: f64, attenuation_db: f64) -> f64 {
        (attenuation_db - KAISER_OFFSET_DB) / (2.0 * DB_PER_RADIAN * self.transition(rate_hz))
    }
}

/// The impulse response in continuous time, sampled by the taps of every phase.
///
/// Times are in input samples. The response delays by half its width.
#[derive(Debug)]
pub(super) struct Prototype {
    half_width: f64,
    cycles_per_sample: f64,
    kaiser_beta: f64,
}

impl Prototype {
    pub(super) fn new(band: Band, rate_hz: f64, half_width: f64) -> Self {
        let attenuation_db =
            KAISER_OFFSET_DB + DB_PER_RADIAN * band.transition(rate_hz) * 2.0 * half_width;
        Self {
            half_width,
            cycles_per_sample: f64::midpoint(band.pass_hz, band.stop_hz) / rate_hz,
            // Kaiser's formula above 50 dB; every filter here is above 100.
            kaiser_beta: 0.1102 * (attenuation_db - 8.7),
        }
    }

    /// The most input samples that the response spans.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 < span < 4000
    pub(super) fn span(&self) -> usize {
        (2.0 * self.half_width).ceil() as usize
    }

    /// The taps of an output that lies `fraction` of an input sample after the newest of its `taps`
    /// inputs (and half the width earlier, as all outputs do).
    ///
    /// Oldest input first; the sum is one, so that a constant input gives the same constant in all
    /// phases.
    pub(super) fn taps(&self, fraction: f64, taps: usize) -> Vec<f64> {
        let at = |age: usize| self.response(as_f64(age as u64) + fraction - self.half_width);
        let response: Vec<f64> = (0..taps).rev().map(at).collect();
        let sum: f64 = response.iter().sum();
        response.into_iter().map(|tap| tap / sum).collect()
    }

    fn response(&self, time: f64) -> f64 {
        let relative = time / self.half_width;
        if relative.abs() >= 1.0 {
            return 0.0;
        }
        let window = bessel_i0(self.kaiser_beta * (1.0 - relative * relative).sqrt());
        window * sinc(2.0 * self.cycles_per_sample * time)
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter_square = x * x / 4.0;
    let (mut sum, mut term, mut order) = (1.0, 1.0, 1.0);
    while term > sum * f64::EPSILON {
        term *= quarter_square / (order * order);
        sum += term;
        order += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_matches_the_tables() {
        // Abramowitz and Stegun, table 9.8.
        for (x, expected) in [(0.0, 1.0), (1.0, 1.266_065_878), (10.0, 2_815.716_628)] {
            assert!((bessel_i0(x) / expected - 1.0).abs() < 1e-9, "I0({x})");
        }
    }

    #[test]
    fn the_taps_of_a_centred_phase_are_symmetric() {
        let prototype = Prototype::new(Quality::High.band(16_000), 48_000.0, 216.0);
        let taps = prototype.taps(0.0, prototype.span());
        // The newest tap of phase zero lies on the edge of the window, where the response ends.
        assert!(taps[taps.len() - 1].abs() < f64::EPSILON);
        for (older, newer) in taps.iter().zip(taps[..taps.len() - 1].iter().rev()) {
            assert!((older - newer).abs() < 1e-15);
        }
    }
}

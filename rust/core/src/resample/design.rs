//! The low-pass filter of a conversion: a sinc under a Kaiser window, as a function of time.
//!
//! Formulas: Kaiser and Schafer, "On the use of the I0-sinh window for spectrum analysis" (IEEE
//! Trans. ASSP 28, 1980); Oppenheim and Schafer, *Discrete-Time Signal Processing*, section 7.6.

use std::f64::consts::PI;

use super::Quality;
use super::ratio::as_f64;

/// Where the pass band ends and the stop band begins, as fractions of the lower rate's Nyquist
/// frequency, and how long the filter reaches to either side, in periods of the lower rate.
struct Band {
    pass: f64,
    stop: f64,
    reach_periods: u64,
}

impl Band {
    fn of(quality: Quality) -> Self {
        match quality {
            // 114 dB. 72 periods delay by 4.5 ms at 16 kHz and by 9 ms at 8 kHz. The band is drawn
            // slightly below the 0.9 that is promised: 3 dB less noise for 0.0005 dB less level.
            Quality::High => Self {
                pass: 0.897,
                stop: 1.0,
                reach_periods: 72,
            },
            // 105 dB. What folds back lies above 0.9 of Nyquist, where a detector hears nothing.
            Quality::LowLatency => Self {
                pass: 0.9,
                stop: 1.1,
                reach_periods: 34,
            },
        }
    }
}

/// The impulse response in continuous time, from which every phase takes its taps.
///
/// Times are in input samples.
#[derive(Debug)]
pub(super) struct Prototype {
    /// The constant delay in output samples; the response reaches as far to either side.
    pub(super) delay_outputs: u64,
    half_width: f64,
    cycles_per_sample: f64,
    kaiser_beta: f64,
}

impl Prototype {
    pub(super) fn new(from_hz: u32, to_hz: u32, quality: Quality) -> Self {
        let band = Band::of(quality);
        let lower_hz = from_hz.min(to_hz);
        // A whole number of output samples, so that the output lies on the input's own grid.
        let delay_outputs = band.reach_periods * u64::from(to_hz) / u64::from(lower_hz);
        let half_width = as_f64(delay_outputs) * f64::from(from_hz) / f64::from(to_hz);
        let nyquist = f64::from(lower_hz) / f64::from(from_hz) / 2.0;
        let transition = 2.0 * PI * (band.stop - band.pass) * nyquist;
        let attenuation_db = 7.95 + 2.285 * transition * 2.0 * half_width;
        Self {
            delay_outputs,
            half_width,
            cycles_per_sample: f64::midpoint(band.pass, band.stop) * nyquist,
            // Valid above 50 dB; both qualities are above 100.
            kaiser_beta: 0.1102 * (attenuation_db - 8.7),
        }
    }

    /// How many input samples the response spans at most.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 < span < 4000
    pub(super) fn span(&self) -> usize {
        (2.0 * self.half_width).ceil() as usize
    }

    /// The taps of the output that lies `fraction` of an input sample after the newest of the
    /// `taps` inputs it is made of (and [`Self::delay_outputs`] earlier, as all outputs do).
    ///
    /// Oldest input first; their sum is one, so that a constant stays that constant in all phases.
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
        let prototype = Prototype::new(48_000, 16_000, Quality::High);
        let taps = prototype.taps(0.0, prototype.span());
        // The newest tap of phase zero lies on the edge of the window, where the response ends.
        assert!(taps[taps.len() - 1].abs() < f64::EPSILON);
        for (older, newer) in taps.iter().zip(taps[..taps.len() - 1].iter().rev()) {
            assert!((older - newer).abs() < 1e-15);
        }
    }
}

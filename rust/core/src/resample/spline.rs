//! Cubic splines through evenly spaced rows of taps.
//!
//! Where a cubic through the four nearest points errs by 3 / 128 of the step's fourth power times
//! the fourth derivative, a spline errs by 1 / 384 (de Boor, *A Practical Guide to Splines*, chapter
//! V): nine times less, so that fewer rows do. In exchange the rows hold no values of the curve but
//! its coefficients, found by one recursion in each direction (Unser, "Splines: a perfect fit for
//! signal and image processing", IEEE Signal Processing Magazine 16, 1999).
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

/// Rows needed beyond either end: what is not known there comes in by 0.27 to this power, -183 dB.
pub(super) const MARGIN: usize = 16;

/// Turns rows of values at evenly spaced points into the coefficients of the spline through them.
/// The first and last [`MARGIN`] rows are of no use afterwards.
pub(super) fn fit(rows: &mut [Vec<f64>]) {
    let pole = 3.0_f64.sqrt() - 2.0;
    for nth in 0..rows.len() {
        let (before, here) = rows.split_at_mut(nth);
        for (tap, value) in here[0].iter_mut().enumerate() {
            *value = 6.0 * *value + before.last().map_or(0.0, |row| pole * row[tap]);
        }
    }
    for nth in (0..rows.len()).rev() {
        let (before, after) = rows.split_at_mut(nth + 1);
        for (tap, value) in before[nth].iter_mut().enumerate() {
            *value = pole * (after.first().map_or(0.0, |row| row[tap]) - *value);
        }
    }
}

/// What the coefficients at -1, 0, 1 and 2 count for in the values at each `x`, 0 to 1.
#[inline(always)]
pub(super) fn weights<const COUNT: usize>(x: [f32; COUNT]) -> [[f32; COUNT]; 4] {
    const SIXTH: f32 = 1.0 / 6.0;
    let rest = x.map(|x| 1.0 - x);
    let outer = |x: f32| x * x * x * SIXTH;
    let inner = |x: f32| (2.0 / 3.0) - x * x * (1.0 - x * 0.5);
    [rest.map(outer), x.map(inner), rest.map(inner), x.map(outer)]
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// The value of the spline through `curve`, a third of the way from one point to the next.
    fn between(curve: impl Fn(f64) -> f64) -> f64 {
        let point = |nth: u32| vec![curve(f64::from(nth))];
        let mut rows: Vec<_> = (0..48).map(point).collect();
        fit(&mut rows);
        let terms = weights([1.0 / 3.0]).into_iter().zip(&rows[23..27]);
        terms
            .map(|([weight], row)| f64::from(weight) * row[0])
            .sum()
    }

    #[test]
    fn a_cube_is_its_own_spline() {
        let cube = |x: f64| ((x - 24.0) / 8.0).powi(3);
        assert!((between(cube) - cube(24.0 + 1.0 / 3.0)).abs() < 1e-6);
    }

    #[test]
    fn a_wave_of_64_points_is_met_to_132_db() {
        let wave = |x: f64| (PI * x / 32.0).cos();
        assert!((between(wave) - wave(24.0 + 1.0 / 3.0)).abs() < 2.5e-7);
    }

    #[test]
    fn the_weights_add_up_to_one() {
        let [a, b, c, d] = weights([0.0, 0.25, 0.9, 1.0]);
        for nth in 0..4 {
            assert!((a[nth] + b[nth] + c[nth] + d[nth] - 1.0).abs() < 1e-6);
        }
    }
}

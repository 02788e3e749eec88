//! The net's activation functions, without branches, so that loops over them compile to vector
//! instructions.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// The exponential with a relative error below 2e-7: 2^n times a polynomial on half an octave to
/// either side.
///
/// The polynomial and the two parts of ln 2 are those of Moshier's Cephes library (`expf.c`). Not
/// the standard library's `exp`, which is a call and therefore not a vector instruction.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // Two parts, of which the product of the first with a whole number is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_1e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ];
    // Beyond these bounds the result would leave the range of normal numbers.
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let octaves = rounded - ROUND;
    let rest = x - octaves * LN_2_HIGH - octaves * LN_2_LOW;
    let curve = POLYNOMIAL
        .into_iter()
        .fold(0.0, |sum, factor| sum * rest + factor);
    let fraction = curve * rest * rest + rest + 1.0;
    // Adds the octaves to the exponent; the shift drops the upper bits of `rounded`.
    f32::from_bits(fraction.to_bits().wrapping_add(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> impl Iterator<Item = f32> {
        (-9_500_i16..=9_500).map(|i| f32::from(i) / 100.0)
    }

    #[test]
    fn the_exponential_has_the_stated_error() {
        for x in range().filter(|x| (-87.0..88.0).contains(x)) {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 2e-7, "exp({x}): {error}");
        }
    }

    #[test]
    fn the_curves_stay_close_and_within_their_bounds() {
        for x in range() {
            let exact = f64::from(x);
            let error = (f64::from(sigmoid(x)) - 1.0 / (1.0 + (-exact).exp())).abs();
            assert!(
                error < 1.5e-7 && (0.0..=1.0).contains(&sigmoid(x)),
                "sigmoid({x}): {error}"
            );
            let error = (f64::from(tanh(x)) - exact.tanh()).abs();
            assert!(error < 2.5e-7 && tanh(x).abs() <= 1.0, "tanh({x}): {error}");
        }
    }
}

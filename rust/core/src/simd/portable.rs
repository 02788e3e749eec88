//! Plain Rust over arrays, which the compiler vectorises as it can.

use super::{LANES, Simd};

/// No instructions beyond those the crate is compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// A fused multiply-add where the baseline has the instruction; elsewhere it would be a call into
/// libm, about fifty times as slow as two roundings.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

impl Simd for Portable {
    type Vector = [f32; LANES];

    const ACCUMULATORS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::Vector {
        *from
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]) {
        *to = vector;
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| {
            if FUSED {
                a[lane].mul_add(b[lane], c[lane])
            } else {
                a[lane] * b[lane] + c[lane]
            }
        })
    }

    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        // Halving keeps the additions as independent as the vector registers' own.
        let eight: [f32; 8] = std::array::from_fn(|lane| vector[lane] + vector[lane + 8]);
        let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
}

//! NEON on 64-bit ARM, where it is part of the baseline.

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vst1q_f32,
};

use super::{LANES, Simd};

/// The baseline of every 64-bit ARM processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// Present by the definition of the architecture.
    pub(super) fn baseline() -> Self {
        Self(())
    }
}

impl Simd for Neon {
    type Vector = [float32x4_t; 4];

    // Four vectors are sixteen of the thirty-two registers.
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: NEON is the baseline of 64-bit ARM.
        [unsafe { vdupq_n_f32(value) }; 4]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::Vector {
        let quarters = from.as_chunks::<4>().0;
        // SAFETY: each quarter holds four floats; the load has no alignment to keep.
        std::array::from_fn(|i| unsafe { vld1q_f32(quarters[i].as_ptr()) })
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]) {
        for (quarter, lanes) in to.as_chunks_mut::<4>().0.iter_mut().zip(vector) {
            // SAFETY: each quarter holds four floats; the store has no alignment to keep.
            unsafe { vst1q_f32(quarter.as_mut_ptr(), lanes) }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: NEON is the baseline of 64-bit ARM.
        std::array::from_fn(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }

    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        let [a, b, c, d] = vector;
        // SAFETY: NEON is the baseline of 64-bit ARM.
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d))) }
    }
}

//! SSE2, AVX2 with FMA, and AVX-512 on x86-64.

use std::arch::x86_64::{
    __m128, __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_ps, _mm_movehl_ps,
    _mm_movelh_ps, _mm_mul_ps, _mm_set1_ps, _mm_shuffle_ps, _mm_storeu_ps, _mm_unpackhi_ps,
    _mm_unpacklo_ps, _mm256_add_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_castps512_ps256,
    _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

use super::{Kernel, LANES, Simd};

/// The baseline of every x86-64 processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sse2(());

/// AVX2 and FMA (x86-64-v3): Intel since 2013, AMD since 2015.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

/// AVX-512 F, VL, DQ and BW (x86-64-v4): Intel servers since 2017, AMD since 2022.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Sse2 {
    /// Present by the definition of x86-64.
    pub(super) fn baseline() -> Self {
        Self(())
    }
}

impl Avx2 {
    /// Detects the instructions at run time.
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        present.then_some(Self(()))
    }

    #[inline(always)]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn with_features<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: an `Avx2` is constructed only by `detect`, which found both features.
        unsafe { with_features(self, kernel) }
    }
}

impl Avx512 {
    /// Detects the instructions at run time.
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        present.then_some(Self(()))
    }

    #[inline(always)]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn with_features<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: an `Avx512` is constructed only by `detect`, which found all six features.
        unsafe { with_features(self, kernel) }
    }
}

/// The sum of four lanes: first and third, second and fourth, then both.
#[inline(always)]
fn sum_of_four(lanes: __m128) -> f32 {
    // SAFETY: SSE2 is the baseline of x86-64.
    unsafe {
        let pairs = _mm_add_ps(lanes, _mm_movehl_ps(lanes, lanes));
        _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps::<1>(pairs, pairs)))
    }
}

/// [`sum_of_four`] of each of four, by transposing rows into columns.
#[inline(always)]
fn sums_of_four(a: __m128, b: __m128, c: __m128, d: __m128) -> [f32; 4] {
    let mut sums = [0.0; 4];
    // SAFETY: SSE2 is the baseline of x86-64; `sums` holds four floats.
    unsafe {
        let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        let first_and_third = _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movelh_ps(ab_high, cd_high));
        let second_and_fourth = _mm_add_ps(_mm_movehl_ps(cd, ab), _mm_movehl_ps(cd_high, ab_high));
        _mm_storeu_ps(
            sums.as_mut_ptr(),
            _mm_add_ps(first_and_third, second_and_fourth),
        );
    }
    sums
}

/// Sixteen lanes added up to four.
#[inline(always)]
fn quarter([a, b, c, d]: [__m128; 4]) -> __m128 {
    // SAFETY: SSE2 is the baseline of x86-64.
    unsafe { _mm_add_ps(_mm_add_ps(a, c), _mm_add_ps(b, d)) }
}

impl Simd for Sse2 {
    type Vector = [__m128; 4];

    // Two vectors fill eight of the sixteen registers.
    const ACCUMULATORS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: SSE2 is the baseline of x86-64.
        [unsafe { _mm_set1_ps(value) }; 4]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::Vector {
        let quarters = from.as_chunks::<4>().0;
        // SAFETY: each quarter holds four floats; the load has no alignment to keep.
        std::array::from_fn(|i| unsafe { _mm_loadu_ps(quarters[i].as_ptr()) })
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]) {
        for (quarter, lanes) in to.as_chunks_mut::<4>().0.iter_mut().zip(vector) {
            // SAFETY: each quarter holds four floats; the store has no alignment to keep.
            unsafe { _mm_storeu_ps(quarter.as_mut_ptr(), lanes) }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: SSE2 is the baseline of x86-64.
        std::array::from_fn(|i| unsafe { _mm_add_ps(_mm_mul_ps(a[i], b[i]), c[i]) })
    }

    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        sum_of_four(quarter(vector))
    }

    #[inline(always)]
    fn sum_each(self, [a, b, c, d]: [Self::Vector; 4]) -> [f32; 4] {
        sums_of_four(quarter(a), quarter(b), quarter(c), quarter(d))
    }
}

impl Simd for Avx2 {
    type Vector = [__m256; 2];

    // Four vectors are eight registers: two additions a cycle, four cycles each.
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: `self` proves AVX2.
        [unsafe { _mm256_set1_ps(value) }; 2]
    }

    // Pairs are spelled out: a closure would not carry the features, should it not be inlined.
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::Vector {
        let (low, high) = from.split_at(LANES / 2);
        // SAFETY: `self` proves AVX2; each half holds eight floats, and no alignment is needed.
        unsafe {
            [
                _mm256_loadu_ps(low.as_ptr()),
                _mm256_loadu_ps(high.as_ptr()),
            ]
        }
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]) {
        let (low, high) = to.split_at_mut(LANES / 2);
        // SAFETY: `self` proves AVX2; each half holds eight floats, and no alignment is needed.
        unsafe {
            _mm256_storeu_ps(low.as_mut_ptr(), vector[0]);
            _mm256_storeu_ps(high.as_mut_ptr(), vector[1]);
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves FMA.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }

    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        sum_of_four(self.quarter(vector))
    }

    #[inline(always)]
    fn sum_each(self, [a, b, c, d]: [Self::Vector; 4]) -> [f32; 4] {
        sums_of_four(
            self.quarter(a),
            self.quarter(b),
            self.quarter(c),
            self.quarter(d),
        )
    }
}

impl Avx2 {
    /// Sixteen lanes added up to four.
    #[inline(always)]
    #[allow(clippy::unused_self, reason = "the proof")]
    fn quarter(self, [low, high]: [__m256; 2]) -> __m128 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let eight = _mm256_add_ps(low, high);
            _mm_add_ps(
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            )
        }
    }
}

impl Simd for Avx512 {
    type Vector = __m512;

    // Eight registers: two additions a cycle, four cycles each.
    const ACCUMULATORS: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::Vector {
        // SAFETY: `self` proves AVX-512; the array holds sixteen floats, and no alignment is
        // needed.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]) {
        // SAFETY: `self` proves AVX-512; the array holds sixteen floats, and no alignment is
        // needed.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        sum_of_four(self.quarter(vector))
    }

    #[inline(always)]
    fn sum_each(self, [a, b, c, d]: [Self::Vector; 4]) -> [f32; 4] {
        sums_of_four(
            self.quarter(a),
            self.quarter(b),
            self.quarter(c),
            self.quarter(d),
        )
    }
}

impl Avx512 {
    /// Sixteen lanes added up to four.
    #[inline(always)]
    #[allow(clippy::unused_self, reason = "the proof")]
    fn quarter(self, vector: __m512) -> __m128 {
        // SAFETY: `self` proves AVX-512, DQ included.
        unsafe {
            let eight = _mm256_add_ps(
                _mm512_castps512_ps256(vector),
                _mm512_extractf32x8_ps::<1>(vector),
            );
            _mm_add_ps(
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            )
        }
    }
}

//! Vectors of sixteen `f32` lanes, on the widest instructions of the processor.
//!
//! Wheels are built for the baseline of their platform, so the choice is made at run time, once per
//! [`Kernel`] call. Kernels are written once against [`Simd`] and compiled per instruction set.
//!
//! A value of a [`Simd`] type is the proof that the processor has these instructions: the types
//! cannot be constructed outside this module, and this module constructs them only after detection.

// Intrinsics and calls across target features are unsafe by nature. Nothing outside this module is.
#![allow(unsafe_code)]
// Kernels and vector operations must end up inside the one function that carries the target
// features; anything less than "always" leaves function calls in the innermost loops.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
use neon::Neon;
use portable::Portable;
#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512, Sse2};

/// Lanes of a vector on every instruction set: one AVX-512 register, and several of the others.
pub(crate) const LANES: usize = 16;

/// Sixteen lanes in memory, aligned to a cache line so that no load straddles two.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(crate) struct Row(pub(crate) [f32; LANES]);

impl Row {
    /// All lanes zero.
    pub(crate) const ZERO: Self = Self([0.0; LANES]);

    /// Lanes in double precision, rounded to the precision of the samples.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn rounded(lanes: &[f64; LANES]) -> Self {
        Self(lanes.map(|lane| lane as f32))
    }
}

/// The operations of one instruction set on vectors of sixteen lanes.
pub(crate) trait Simd: Copy {
    /// Sixteen lanes in registers.
    type Vector: Copy;

    /// The number of vectors that a kernel should accumulate into at once: enough independent
    /// additions to hide their latency (about eight registers), few enough to stay in registers.
    const ACCUMULATORS: usize;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// Sixteen lanes from memory.
    fn load(self, from: &[f32; LANES]) -> Self::Vector;
    /// Sixteen lanes to memory.
    fn store(self, vector: Self::Vector, to: &mut [f32; LANES]);
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The sum of all lanes.
    fn sum(self, vector: Self::Vector) -> f32;
    /// The sums of four vectors, each equal to [`Self::sum`] to the last bit.
    #[inline(always)]
    fn sum_each(self, [a, b, c, d]: [Self::Vector; 4]) -> [f32; 4] {
        [self.sum(a), self.sum(b), self.sum(c), self.sum(d)]
    }
}

/// A computation that is compiled for every instruction set.
pub(crate) trait Kernel {
    /// The result.
    type Output;
    /// Computes the result; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// An instruction set of this processor.
///
/// For tests and measurements, which compare them; everything else uses [`Self::best`].
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct InstructionSet(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Portable(Portable),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[cfg(target_arch = "x86_64")]
    Sse2(Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl InstructionSet {
    /// The fastest instruction set of this processor.
    #[must_use]
    pub fn best() -> Self {
        let mut sets = Self::available();
        sets.next().unwrap_or(Self(Kind::Portable(Portable)))
    }

    /// Every instruction set of this processor, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let sets = [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Kind::Avx512),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Kind::Avx2),
            #[cfg(target_arch = "x86_64")]
            Some(Kind::Sse2(Sse2::baseline())),
            #[cfg(target_arch = "aarch64")]
            Some(Kind::Neon(Neon::baseline())),
            Some(Kind::Portable(Portable)),
        ];
        sets.into_iter().flatten().map(Self)
    }

    /// The name that the processor's maker uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable(_) => "portable",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "NEON",
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2(_) => "SSE2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
        }
    }

    /// Runs `kernel` on these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Portable(simd) => kernel.run(simd),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => kernel.run(simd),
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2(simd) => kernel.run(simd),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(simd) => simd.run(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies every operation to lanes that are easy to follow.
    struct EveryOperation;

    impl Kernel for EveryOperation {
        type Output = ([f32; LANES], [f32; 4]);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let counting =
                std::array::from_fn(|lane| f32::from(u8::try_from(lane).unwrap_or(u8::MAX)));
            let ramp = simd.load(&counting);
            let tripled = simd.mul_add(ramp, simd.splat(2.0), ramp);
            let shifted = simd.mul_add(tripled, simd.splat(1.0), simd.splat(1.0));
            let mut lanes = [0.0; LANES];
            simd.store(shifted, &mut lanes);
            let sums = simd.sum_each([ramp, shifted, tripled, shifted]);
            assert_eq!(sums[1].to_bits(), simd.sum(shifted).to_bits());
            (lanes, sums)
        }
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for set in InstructionSet::available() {
            let (lanes, sums) = set.run(EveryOperation);
            for (lane, expected) in lanes.into_iter().zip([1.0, 4.0, 7.0, 10.0, 13.0, 16.0]) {
                assert_eq!(lane.to_bits(), f32::to_bits(expected), "{}", set.name());
            }
            assert_eq!(lanes[15].to_bits(), 46.0_f32.to_bits(), "{}", set.name());
            for (sum, expected) in sums.into_iter().zip([120.0, 376.0, 360.0, 376.0]) {
                assert_eq!(sum.to_bits(), f32::to_bits(expected), "{}", set.name());
            }
        }
    }

    #[test]
    fn the_best_set_comes_first() {
        let first = InstructionSet::available().next().map(InstructionSet::name);
        assert_eq!(first, Some(InstructionSet::best().name()));
    }
}

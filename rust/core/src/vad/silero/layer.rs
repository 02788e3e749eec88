//! One convolution of the net, packed so that sixteen outputs are the lanes of a vector.
//!
//! Most of a window's time goes into reading the weights. After a rectifier a third to three
//! quarters of the channels are zero, and the weights of a zero need not be read.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

use super::active_channel::ActiveChannel;
use crate::simd::{LANES, Row, Simd};

/// The weights of a channel in `BLOCKS` times sixteen outputs, side by side in memory.
type Weights<const TAPS: usize, const BLOCKS: usize> = [[Row; TAPS]; BLOCKS];

/// Neighbouring outputs of a layer.
#[derive(Debug)]
struct Group<const TAPS: usize, const BLOCKS: usize> {
    biases: [Row; BLOCKS],
    channels: Vec<Weights<TAPS, BLOCKS>>,
}

/// A convolution of `TAPS` taps, or with one tap a plain matrix, in groups of `BLOCKS` blocks of
/// sixteen outputs: as many as the widest instructions compute at once.
#[derive(Debug)]
pub(super) struct Layer<const TAPS: usize, const BLOCKS: usize> {
    groups: Vec<Group<TAPS, BLOCKS>>,
}

impl<const TAPS: usize, const BLOCKS: usize> Layer<TAPS, BLOCKS> {
    /// Packs the weights and biases of `outputs` outputs (a multiple of `BLOCKS` times sixteen)
    /// with `channels` inputs.
    ///
    /// `weight` takes an output, a channel and a tap.
    pub(super) fn pack(
        outputs: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let row = |first: usize, value: &dyn Fn(usize) -> f32| {
            Row(std::array::from_fn(|lane| value(first + lane)))
        };
        let group = |start: usize| {
            let first = |block: usize| start + block * LANES;
            let weights = |block: usize, channel: usize| {
                std::array::from_fn(|tap| row(first(block), &|output| weight(output, channel, tap)))
            };
            Group {
                biases: std::array::from_fn(|block| row(first(block), &bias)),
                channels: (0..channels)
                    .map(|channel| std::array::from_fn(|block| weights(block, channel)))
                    .collect(),
            }
        };
        Self {
            groups: (0..outputs).step_by(BLOCKS * LANES).map(group).collect(),
        }
    }

    /// Computes every output at `POSITIONS` positions, `STRIDE` apart on the input.
    ///
    /// Tap `t` of position `p` meets step `p * STRIDE + t - PADDING`, or the zeros around the
    /// steps. `AT_ONCE` blocks are computed side by side: the caller chooses as many as the
    /// instruction set has accumulators for.
    #[inline(always)]
    pub(super) fn apply<
        S: Simd,
        const AT_ONCE: usize,
        const STRIDE: usize,
        const PADDING: usize,
        const STEPS: usize,
        const POSITIONS: usize,
    >(
        &self,
        simd: S,
        input: &[ActiveChannel<STEPS>],
        mut output: [&mut [f32]; POSITIONS],
    ) {
        for (nth, group) in self.groups.iter().enumerate() {
            for part in 0..BLOCKS / AT_ONCE {
                let sums =
                    group.sums::<S, AT_ONCE, STRIDE, PADDING, STEPS, POSITIONS>(simd, part, input);
                for (block, positions) in sums.into_iter().enumerate() {
                    for (sum, output) in positions.into_iter().zip(&mut output) {
                        let place = nth * BLOCKS + part * AT_ONCE + block;
                        simd.store(sum, &mut output.as_chunks_mut().0[place]);
                    }
                }
            }
        }
    }
}

impl<const TAPS: usize, const BLOCKS: usize> Group<TAPS, BLOCKS> {
    /// The outputs of `AT_ONCE` blocks at `POSITIONS` positions: as many independent sums, each in
    /// the order of the channels.
    #[inline(always)]
    fn sums<
        S: Simd,
        const AT_ONCE: usize,
        const STRIDE: usize,
        const PADDING: usize,
        const STEPS: usize,
        const POSITIONS: usize,
    >(
        &self,
        simd: S,
        part: usize,
        input: &[ActiveChannel<STEPS>],
    ) -> [[S::Vector; POSITIONS]; AT_ONCE] {
        let biases = &self.biases.as_chunks::<AT_ONCE>().0[part];
        let mut sums = biases.map(|biases| [simd.load(&biases.0); POSITIONS]);
        for active in input {
            let weights = &self.channels[active.channel].as_chunks::<AT_ONCE>().0[part];
            for (sums, weights) in sums.iter_mut().zip(weights) {
                for (tap, row) in weights.iter().enumerate() {
                    let row = simd.load(&row.0);
                    for (position, sum) in sums.iter_mut().enumerate() {
                        let step = (position * STRIDE + tap).wrapping_sub(PADDING);
                        // The padding before the first step wraps to a large number.
                        if step < STEPS {
                            *sum = simd.mul_add(row, simd.splat(active.steps[step]), *sum);
                        }
                    }
                }
            }
        }
        sums
    }
}

//! One convolution of the net, packed so that sixteen outputs are the lanes of a vector.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

use crate::simd::{LANES, Row, Simd};

/// Sixteen outputs of a layer.
#[derive(Debug)]
struct Block<const TAPS: usize> {
    biases: Row,
    /// For each input channel, what its taps count for in each output.
    channels: Vec<[Row; TAPS]>,
}

/// A convolution of `TAPS` taps, or with one tap a plain matrix.
#[derive(Debug)]
pub(super) struct Layer<const TAPS: usize> {
    blocks: Vec<Block<TAPS>>,
}

impl<const TAPS: usize> Layer<TAPS> {
    /// Packs `outputs` (a multiple of sixteen) times `channels` weights and the biases.
    ///
    /// `weight` is asked for an output, a channel and a tap.
    pub(super) fn pack(
        outputs: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let row = |first: usize, value: &dyn Fn(usize) -> f32| {
            Row(std::array::from_fn(|lane| value(first + lane)))
        };
        let block = |first: usize| Block {
            biases: row(first, &bias),
            channels: (0..channels)
                .map(|channel| {
                    let tap = |tap| row(first, &|output| weight(output, channel, tap));
                    std::array::from_fn(tap)
                })
                .collect(),
        };
        Self {
            blocks: (0..outputs).step_by(LANES).map(block).collect(),
        }
    }

    /// Gives every output at `POSITIONS` positions, `STRIDE` apart on the input.
    ///
    /// `input` holds all channels of each position, the zeros of the padding included: tap `t` of
    /// position `p` meets `input[p * STRIDE + t]`. `BLOCKS` blocks are computed side by side, which
    /// is for the instruction set to choose.
    #[inline(always)]
    pub(super) fn apply<
        S: Simd,
        const BLOCKS: usize,
        const STRIDE: usize,
        const PADDED: usize,
        const POSITIONS: usize,
    >(
        &self,
        simd: S,
        input: [&[f32]; PADDED],
        mut output: [&mut [f32]; POSITIONS],
    ) {
        for (nth, blocks) in self.blocks.as_chunks::<BLOCKS>().0.iter().enumerate() {
            let sums = sums::<S, TAPS, BLOCKS, STRIDE, PADDED, POSITIONS>(simd, blocks, input);
            for (block, positions) in sums.into_iter().enumerate() {
                for (sum, output) in positions.into_iter().zip(&mut output) {
                    let lanes = &mut output.as_chunks_mut().0[nth * BLOCKS + block];
                    simd.store(sum, lanes);
                }
            }
        }
    }
}

/// The outputs of `BLOCKS` blocks at `POSITIONS` positions: as many independent sums, each in the
/// order of the channels.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // an index counts channels of several slices at once
fn sums<
    S: Simd,
    const TAPS: usize,
    const BLOCKS: usize,
    const STRIDE: usize,
    const PADDED: usize,
    const POSITIONS: usize,
>(
    simd: S,
    blocks: &[Block<TAPS>; BLOCKS],
    input: [&[f32]; PADDED],
) -> [[S::Vector; POSITIONS]; BLOCKS] {
    let channels = blocks[0].channels.len();
    let input = input.map(|position| &position[..channels]);
    let weights: [&[[Row; TAPS]]; BLOCKS] =
        std::array::from_fn(|block| &blocks[block].channels[..channels]);
    let mut sums = [[simd.splat(0.0); POSITIONS]; BLOCKS];
    for (sums, block) in sums.iter_mut().zip(blocks) {
        *sums = [simd.load(&block.biases.0); POSITIONS];
    }
    for channel in 0..channels {
        for (sums, weights) in sums.iter_mut().zip(&weights) {
            for (tap, row) in weights[channel].iter().enumerate() {
                let row = simd.load(&row.0);
                for (position, sum) in sums.iter_mut().enumerate() {
                    let sample = simd.splat(input[position * STRIDE + tap][channel]);
                    *sum = simd.mul_add(row, sample, *sum);
                }
            }
        }
    }
    sums
}

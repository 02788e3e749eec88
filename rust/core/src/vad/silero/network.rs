//! Silero's net: four convolutions over four frames, an LSTM, and one output.
//!
//! The time steps shrink from four to two to one, in one function for each layer.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

use super::activation::{sigmoid, tanh};
use super::active_channel::{ActiveChannel, rectified};
use super::layer::Layer;
use super::spectrum::{MAX_BINS, Spectrum};
use crate::AudioError;
use crate::simd::{Kernel, LANES, Simd};
use crate::vad::weights::{NARROW, WIDE, Weights};

/// The gates of the LSTM: input, forget, cell, output.
const GATES: usize = 4;

/// The net's state from window to window.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    hidden: [f32; WIDE],
    cell: [f32; WIDE],
}

impl Memory {
    pub(super) const EMPTY: Self = Self {
        hidden: [0.0; WIDE],
        cell: [0.0; WIDE],
    };
}

/// The packed weights of one net, shared by all detectors of the process.
#[derive(Debug)]
pub(super) struct Network {
    spectrum: Spectrum,
    convolution_1: Layer<3, 2>,
    convolution_2: Layer<3, 4>,
    convolution_3: Layer<2, 4>,
    convolution_4: Layer<1, 8>,
    /// The four gates of sixteen units side by side, then of the next sixteen.
    gates: Layer<1, 8>,
    head: [f32; WIDE],
    head_bias: f32,
}

impl Network {
    /// Reads a file of weights and packs it; `points` is the length of a frame in samples.
    ///
    /// # Errors
    /// Those of [`Weights::read`].
    pub(super) fn new(file: &[u8], points: usize) -> Result<Self, AudioError> {
        let spectrum = Spectrum::new(points);
        let bins = spectrum.bins();
        let weights = Weights::read(file, bins)?;
        let gate = |output: usize| {
            let (units, gate, unit) = (
                output / (GATES * LANES),
                output / LANES % GATES,
                output % LANES,
            );
            gate * WIDE + units * LANES + unit
        };
        let (input, hidden) = (&weights.lstm_input, &weights.lstm_hidden);
        Ok(Self {
            spectrum,
            convolution_1: Layer::pack(
                WIDE,
                bins,
                |output, channel, tap| weights.convolution_1.weight(output, channel * 3 + tap),
                |output| weights.convolution_1.bias(output),
            ),
            convolution_2: Layer::pack(
                NARROW,
                WIDE,
                |output, channel, tap| weights.convolution_2.weight(output, channel * 3 + tap),
                |output| weights.convolution_2.bias(output),
            ),
            convolution_3: Layer::pack(
                NARROW,
                NARROW,
                |output, channel, tap| weights.convolution_3.weight(output, channel * 2 + tap),
                |output| weights.convolution_3.bias(output),
            ),
            convolution_4: Layer::pack(
                WIDE,
                NARROW,
                |output, channel, _| weights.convolution_4.weight(output, channel),
                |output| weights.convolution_4.bias(output),
            ),
            gates: Layer::pack(
                GATES * WIDE,
                2 * WIDE,
                |output, channel, _| match channel.checked_sub(WIDE) {
                    None => input.weight(gate(output), channel),
                    Some(channel) => hidden.weight(gate(output), channel),
                },
                |output| input.bias(gate(output)) + hidden.bias(gate(output)),
            ),
            head: std::array::from_fn(|unit| weights.head.weight(0, unit)),
            head_bias: weights.head.bias(0),
        })
    }
}

/// The probability of speech in one window, as a computation for any instruction set.
pub(super) struct Forward<'a> {
    pub(super) network: &'a Network,
    pub(super) memory: &'a mut Memory,
    /// The window between its context and its reflection: five halves of a frame.
    pub(super) samples: &'a [f32],
}

impl Kernel for Forward<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let Self {
            network,
            memory,
            samples,
        } = self;
        let mut spectrum = [ActiveChannel::EMPTY; MAX_BINS];
        let spectrum = network.spectrum.magnitudes(samples, &mut spectrum);
        let four_steps = network.first_convolution(simd, spectrum);
        let mut list = [ActiveChannel::EMPTY; WIDE];
        let two_steps = network.second_convolution(simd, rectified(&four_steps, &mut list));
        let mut list = [ActiveChannel::EMPTY; NARROW];
        let one_step = network.third_convolution(simd, rectified(&two_steps, &mut list));
        let mut list = [ActiveChannel::EMPTY; NARROW];
        let features = network.fourth_convolution(simd, rectified(&one_step, &mut list));
        let mut list = [ActiveChannel::EMPTY; 2 * WIDE];
        let gates = network.lstm_gates(simd, with_hidden(&features, memory, &mut list));
        update_memory(&gates, memory);
        network.head(memory)
    }
}

/// The inputs of the LSTM: the features of this window, and its own state after them.
#[inline(always)]
fn with_hidden<'a>(
    features: &[[f32; WIDE]; 1],
    memory: &Memory,
    list: &'a mut [ActiveChannel<1>; 2 * WIDE],
) -> &'a [ActiveChannel<1>] {
    let count = rectified(features, list).len();
    // All units, zero or not: no rectifier precedes them, so hardly one is zero.
    for ((unit, &value), active) in memory.hidden.iter().enumerate().zip(&mut list[count..]) {
        *active = ActiveChannel {
            channel: WIDE + unit,
            steps: [value],
        };
    }
    &list[..count + WIDE]
}

/// The layers, each with as many blocks at a time as the instruction set has accumulators for.
impl Network {
    /// Four time steps to four.
    #[inline(always)]
    fn first_convolution<S: Simd>(&self, simd: S, input: &[ActiveChannel<4>]) -> [[f32; WIDE]; 4] {
        let mut output = [[0.0; WIDE]; 4];
        let out = output.each_mut().map(|step| &mut step[..]);
        match S::ACCUMULATORS {
            8.. => self
                .convolution_1
                .apply::<S, 2, 1, 1, 4, 4>(simd, input, out),
            _ => self
                .convolution_1
                .apply::<S, 1, 1, 1, 4, 4>(simd, input, out),
        }
        output
    }

    /// Four time steps to two.
    #[inline(always)]
    fn second_convolution<S: Simd>(
        &self,
        simd: S,
        input: &[ActiveChannel<4>],
    ) -> [[f32; NARROW]; 2] {
        let mut output = [[0.0; NARROW]; 2];
        let out = output.each_mut().map(|step| &mut step[..]);
        match S::ACCUMULATORS {
            8.. => self
                .convolution_2
                .apply::<S, 4, 2, 1, 4, 2>(simd, input, out),
            4.. => self
                .convolution_2
                .apply::<S, 2, 2, 1, 4, 2>(simd, input, out),
            _ => self
                .convolution_2
                .apply::<S, 1, 2, 1, 4, 2>(simd, input, out),
        }
        output
    }

    /// Two time steps to one: the first tap meets the padding and is left out.
    #[inline(always)]
    fn third_convolution<S: Simd>(
        &self,
        simd: S,
        input: &[ActiveChannel<2>],
    ) -> [[f32; NARROW]; 1] {
        let mut output = [[0.0; NARROW]];
        let out = output.each_mut().map(|step| &mut step[..]);
        match S::ACCUMULATORS {
            4.. => self
                .convolution_3
                .apply::<S, 4, 1, 0, 2, 1>(simd, input, out),
            _ => self
                .convolution_3
                .apply::<S, 2, 1, 0, 2, 1>(simd, input, out),
        }
        output
    }

    /// One time step to one: the outer taps meet the padding and are left out.
    #[inline(always)]
    fn fourth_convolution<S: Simd>(&self, simd: S, input: &[ActiveChannel<1>]) -> [[f32; WIDE]; 1] {
        let mut output = [[0.0; WIDE]];
        let out = output.each_mut().map(|step| &mut step[..]);
        match S::ACCUMULATORS {
            8.. => self
                .convolution_4
                .apply::<S, 8, 1, 0, 1, 1>(simd, input, out),
            4.. => self
                .convolution_4
                .apply::<S, 4, 1, 0, 1, 1>(simd, input, out),
            _ => self
                .convolution_4
                .apply::<S, 2, 1, 0, 1, 1>(simd, input, out),
        }
        output
    }

    /// The gates before their activation functions, in the order of the packing.
    #[inline(always)]
    fn lstm_gates<S: Simd>(&self, simd: S, input: &[ActiveChannel<1>]) -> [f32; GATES * WIDE] {
        let mut gates = [0.0; GATES * WIDE];
        match S::ACCUMULATORS {
            8.. => self
                .gates
                .apply::<S, 8, 1, 0, 1, 1>(simd, input, [&mut gates]),
            4.. => self
                .gates
                .apply::<S, 4, 1, 0, 1, 1>(simd, input, [&mut gates]),
            _ => self
                .gates
                .apply::<S, 2, 1, 0, 1, 1>(simd, input, [&mut gates]),
        }
        gates
    }

    /// The probability: one unit on the rectified hidden state.
    #[inline(always)]
    fn head(&self, memory: &Memory) -> f32 {
        let products = memory
            .hidden
            .iter()
            .zip(&self.head)
            .map(|(h, weight)| h.max(0.0) * weight);
        sigmoid(products.sum::<f32>() + self.head_bias)
    }
}

/// The LSTM's step (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000).
#[inline(always)]
fn update_memory(gates: &[f32; GATES * WIDE], memory: &mut Memory) {
    let units = gates.as_chunks::<{ GATES * LANES }>().0.iter();
    let cells = memory.cell.as_chunks_mut::<LANES>().0.iter_mut();
    let hiddens = memory.hidden.as_chunks_mut::<LANES>().0.iter_mut();
    for ((gates, cell), hidden) in units.zip(cells).zip(hiddens) {
        for unit in 0..LANES {
            let gate = |nth: usize| gates[nth * LANES + unit];
            let (input, forget, output) = (sigmoid(gate(0)), sigmoid(gate(1)), sigmoid(gate(3)));
            cell[unit] = forget * cell[unit] + input * tanh(gate(2));
            hidden[unit] = output * tanh(cell[unit]);
        }
    }
}

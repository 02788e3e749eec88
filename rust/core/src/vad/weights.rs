//! Silero's weights: the embedded files, read and checked.
//!
//! A file is the layers of [`Weights`] in order, of each layer the weights and then the biases: of
//! all numbers first the sign and fraction, then the exponent, as [`unpack`] reads them.
//! `models/PROVENANCE.md` says where they come from.

use crate::AudioError;

/// The net for 16 kHz.
pub(super) const SILERO_16_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_16k.f32packed");

/// The net for 8 kHz.
pub(super) const SILERO_8_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_8k.f32packed");

/// The largest exponent, as `f32` keeps it, in both files; the others are stored as what they are
/// below it.
const LARGEST_EXPONENT: u8 = 132;

/// Stands for an exponent so far below that it takes a byte of its own, at the end of the file.
const FAR_BELOW: u8 = 15;

/// Channels that the first and the fourth convolution give, and units of the LSTM.
pub(super) const WIDE: usize = 128;

/// Channels that the second and the third convolution give.
pub(super) const NARROW: usize = 64;

/// A weighted sum of inputs, and a bias, for each output.
#[derive(Debug, PartialEq)]
pub(super) struct Affine {
    inputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

impl Affine {
    /// What `input` counts for in `output`.
    pub(super) fn weight(&self, output: usize, input: usize) -> f32 {
        self.weights[output * self.inputs + input]
    }

    /// What `output` is without any input.
    pub(super) fn bias(&self, output: usize) -> f32 {
        self.biases[output]
    }
}

/// The layers of one net. Inputs of a convolution are channels, and within each its taps.
#[derive(Debug, PartialEq)]
pub(super) struct Weights {
    /// Three taps on each bin of the spectrum.
    pub(super) convolution_1: Affine,
    /// Three taps.
    pub(super) convolution_2: Affine,
    /// The last two of three taps; the first would meet padding alone.
    pub(super) convolution_3: Affine,
    /// The middle one of three taps; the others would meet padding alone.
    pub(super) convolution_4: Affine,
    /// Gates in the order input, forget, cell, output.
    pub(super) lstm_input: Affine,
    /// The same gates.
    pub(super) lstm_hidden: Affine,
    /// One output.
    pub(super) head: Affine,
}

impl Weights {
    /// Reads a file for a net that takes `bins` bins of the spectrum.
    ///
    /// # Errors
    /// [`AudioError::WeightsLength`] when the file is of another length than such a net's,
    /// [`AudioError::WeightNotFinite`] when a number in it is none.
    pub(super) fn read(file: &[u8], bins: usize) -> Result<Self, AudioError> {
        let shapes = [
            (WIDE, bins * 3),
            (NARROW, WIDE * 3),
            (NARROW, NARROW * 2),
            (WIDE, NARROW),
            (4 * WIDE, WIDE),
            (4 * WIDE, WIDE),
            (1, WIDE),
        ];
        let numbers: usize = shapes
            .iter()
            .map(|(outputs, inputs)| outputs * (inputs + 1))
            .sum();
        let mut numbers = unpack(file, numbers)?.into_iter();
        if let Some(index) = numbers.as_slice().iter().position(|it| !it.is_finite()) {
            return Err(AudioError::WeightNotFinite { index });
        }
        let [
            convolution_1,
            convolution_2,
            convolution_3,
            convolution_4,
            lstm_input,
            lstm_hidden,
            head,
        ] = shapes.map(|(outputs, inputs)| Affine {
            inputs,
            weights: numbers.by_ref().take(outputs * inputs).collect(),
            biases: numbers.by_ref().take(outputs).collect(),
        });
        Ok(Self {
            convolution_1,
            convolution_2,
            convolution_3,
            convolution_4,
            lstm_input,
            lstm_hidden,
            head,
        })
    }
}

/// The `count` numbers of a file.
///
/// Its first three byte planes, the lowest first, are 23 bits of fraction and the sign. Then come
/// the exponents, two in a byte, the lower half first; then those that are far below.
fn unpack(file: &[u8], count: usize) -> Result<Vec<f32>, AudioError> {
    let halves = 3 * count;
    let rest = halves + count.div_ceil(2);
    let half = |i: usize| (file[halves + i / 2] >> (4 * (i % 2))) & 0xf;
    let is_whole = file.len() >= rest;
    let far_below = (0..count).filter(|&i| is_whole && half(i) == FAR_BELOW);
    let expected = rest + far_below.count();
    if file.len() != expected {
        let got = file.len();
        return Err(AudioError::WeightsLength { expected, got });
    }
    let mut bytes = file[rest..].iter().copied();
    let number = |i: usize| {
        let below = match half(i) {
            FAR_BELOW => bytes.next().unwrap_or(FAR_BELOW),
            near => near,
        };
        let exponent = u32::from(LARGEST_EXPONENT.wrapping_sub(below));
        let low = u32::from_le_bytes([file[i], file[count + i], file[2 * count + i], 0]);
        let (sign, fraction) = (low >> 23, low & 0x7f_ffff);
        f32::from_bits(sign << 31 | exponent << 23 | fraction)
    };
    Ok((0..count).map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINS_8_KHZ: usize = 65;

    #[test]
    fn both_files_are_whole() {
        let net = Weights::read(SILERO_16_KHZ, 129).unwrap();
        assert_eq!(net.convolution_1.weights.len(), 128 * 129 * 3);
        assert!(Weights::read(SILERO_8_KHZ, BINS_8_KHZ).is_ok());
    }

    #[test]
    fn a_file_for_another_net_is_refused() {
        for (file, bins) in [(SILERO_16_KHZ, BINS_8_KHZ), (SILERO_8_KHZ, 129), (&[], 129)] {
            let refused = Weights::read(file, bins).unwrap_err();
            assert!(matches!(refused, AudioError::WeightsLength { got, .. } if got == file.len()));
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let mut damaged = SILERO_8_KHZ.to_vec();
        // The last exponent, and the last that is far below, is made that of infinity.
        *damaged.last_mut().unwrap() = LARGEST_EXPONENT.wrapping_sub(0xff);
        let refused = Weights::read(&damaged, BINS_8_KHZ).unwrap_err();
        assert!(matches!(refused, AudioError::WeightNotFinite { .. }));
    }

    #[test]
    fn numbers_are_put_together_of_their_parts() {
        // 1.0, -3.140625 and 2^-20: exponents 127, 128 and 107, the last far below 132.
        let planes = [0, 0, 0, 0, 0, 0, 0, 0xc9, 0];
        let exponents = [0x45, 0x0f, 25];
        let file = [planes.as_slice(), &exponents].concat();
        assert_eq!(
            unpack(&file, 3).unwrap(),
            [1.0, -3.140_625, 2_f32.powi(-20)]
        );
    }

    #[test]
    fn an_exponent_too_few_or_too_many_is_refused() {
        for tail in [&[0x0f][..], &[0x0f, 25, 25]] {
            let file = [&[0, 0, 0], tail].concat();
            let (expected, got) = (5, file.len());
            let refused = unpack(&file, 1).unwrap_err();
            assert_eq!(refused, AudioError::WeightsLength { expected, got });
        }
    }
}

//! Silero's weights: the embedded files, read and checked.
//!
//! A file is the layers of [`Weights`] in order, of each layer the weights and then the biases: of
//! all numbers first the sign and fraction, then the exponent, as [`unpack`] reads them. Exponents
//! have a plane of their own, in half a byte each, because few values occur: it makes the files
//! smaller. `models/PROVENANCE.md` names their source.

use crate::AudioError;

/// The net for 16 kHz.
pub(super) const SILERO_16_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_16k.f32packed");

/// The net for 8 kHz.
pub(super) const SILERO_8_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_8k.f32packed");

/// The largest biased exponent (IEEE 754) in both files; the others are stored as their distance
/// below it.
const LARGEST_EXPONENT: u8 = 132;

/// Marks an exponent so far below that it is stored in a byte of its own, at the end of the file:
/// the largest value of half a byte.
const FAR_BELOW: u8 = 15;

/// Output channels of the first and the fourth convolution, and units of the LSTM.
pub(super) const WIDE: usize = 128;

/// Output channels of the second and the third convolution.
pub(super) const NARROW: usize = 64;

/// A weighted sum of inputs, and a bias, for each output.
#[derive(Debug, PartialEq)]
pub(super) struct Affine {
    inputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

impl Affine {
    /// The weight of `input` in `output`.
    pub(super) fn weight(&self, output: usize, input: usize) -> f32 {
        self.weights[output * self.inputs + input]
    }

    /// The constant term of `output`.
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
    /// The last two of three taps; the first would meet only padding.
    pub(super) convolution_3: Affine,
    /// The middle one of three taps; the others would meet only padding.
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
    /// [`AudioError::WeightsLength`] for a file of another length than such a net's,
    /// [`AudioError::WeightNotFinite`] for a number that is NaN or infinite.
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
/// Its first two byte planes, the lower first, are 15 bits of fraction and the sign. Then come the
/// exponents, two in a byte, the lower half first; then those that are far below.
fn unpack(file: &[u8], count: usize) -> Result<Vec<f32>, AudioError> {
    let halves = 2 * count;
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
        let low = u32::from(u16::from_le_bytes([file[i], file[count + i]]));
        let (sign, fraction) = (low >> 15, low & 0x7fff);
        f32::from_bits(sign << 31 | exponent << 23 | fraction << 8)
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
    fn a_weight_that_is_not_finite_is_refused() {
        let mut damaged = SILERO_8_KHZ.to_vec();
        // The last byte is the last exponent that is far below: changed into that of infinity.
        *damaged.last_mut().unwrap() = LARGEST_EXPONENT.wrapping_sub(0xff);
        let refused = Weights::read(&damaged, BINS_8_KHZ).unwrap_err();
        assert!(matches!(refused, AudioError::WeightNotFinite { .. }));
    }

    #[test]
    fn numbers_are_assembled_from_their_planes() {
        // 1.0, -3.140625 and 2^-20: exponents 127, 128 and 107, the last far below 132.
        let planes = [0, 0, 0, 0, 0xc9, 0];
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
            let file = [&[0, 0], tail].concat();
            let (expected, got) = (4, file.len());
            let refused = unpack(&file, 1).unwrap_err();
            assert_eq!(refused, AudioError::WeightsLength { expected, got });
        }
    }
}

//! Silero's weights: the embedded files, read and checked.
//!
//! A file is the layers of [`Weights`] in order, of each layer the weights and then the biases, as
//! little-endian `f32` in four byte planes: the lowest bytes of all numbers first, the highest
//! last. `models/PROVENANCE.md` says where they come from.

use crate::AudioError;

/// The net for 16 kHz.
pub(super) const SILERO_16_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_16k.f32planes");

/// The net for 8 kHz.
pub(super) const SILERO_8_KHZ: &[u8] = include_bytes!("../../models/silero_vad_6.2_8k.f32planes");

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
        if file.len() != numbers * size_of::<f32>() {
            let expected = numbers * size_of::<f32>();
            return Err(AudioError::WeightsLength {
                expected,
                got: file.len(),
            });
        }
        let mut numbers = from_byte_planes(file);
        if let Some(index) = numbers.clone().position(|number| !number.is_finite()) {
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

/// The numbers of a file, whose length is a multiple of four.
fn from_byte_planes(file: &[u8]) -> impl Iterator<Item = f32> + Clone {
    let plane = file.len() / size_of::<f32>();
    (0..plane).map(move |i| f32::from_le_bytes([0, 1, 2, 3].map(|byte| file[byte * plane + i])))
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
        let refused = Weights::read(SILERO_16_KHZ, BINS_8_KHZ).unwrap_err();
        let (expected, got) = (SILERO_8_KHZ.len(), SILERO_16_KHZ.len());
        assert_eq!(refused, AudioError::WeightsLength { expected, got });
        assert!(Weights::read(&[], BINS_8_KHZ).is_err());
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let mut damaged = SILERO_8_KHZ.to_vec();
        let plane = damaged.len() / 4;
        (damaged[plane * 2 + 7], damaged[plane * 3 + 7]) = (0x80, 0x7f);
        let refused = Weights::read(&damaged, BINS_8_KHZ).unwrap_err();
        assert_eq!(refused, AudioError::WeightNotFinite { index: 7 });
    }

    #[test]
    fn planes_are_put_together_lowest_byte_first() {
        let file = [0x00, 0x01, 0x00, 0x02, 0x80, 0x03, 0x3f, 0x40];
        let numbers: Vec<u32> = from_byte_planes(&file).map(f32::to_bits).collect();
        assert_eq!(numbers, [0x3f80_0000, 0x4003_0201]);
    }
}

//! Conversion of samples between number formats, and between one channel and two.
//!
//! Inside the crate samples are `f32` from -1 to 1, int16 divided by 32768, so that int16 to `f32`
//! and back is exact. Everything saturates; NaN and the infinities become silence.

use crate::AudioError;

/// Full scale of int16: the divisor on the way in, the factor on the way out.
const FULL_SCALE: f32 = 32768.0;

/// A number format of input samples.
pub trait Sample: Copy + Send + Sync {
    /// Returns the sample from -1 to 1, saturated; `None` for NaN and the infinities.
    fn to_unit(self) -> Option<f32>;
}

impl Sample for i16 {
    fn to_unit(self) -> Option<f32> {
        Some(i16_to_f32(self))
    }
}

impl Sample for f32 {
    fn to_unit(self) -> Option<f32> {
        self.is_finite().then(|| self.clamp(-1.0, 1.0))
    }
}

impl Sample for f64 {
    // Clamped before the conversion: 1e300 is finite here and an infinity as f32.
    #[allow(clippy::cast_possible_truncation, reason = "f32 samples have 24 bits")]
    fn to_unit(self) -> Option<f32> {
        self.is_finite().then(|| self.clamp(-1.0, 1.0) as f32)
    }
}

impl Sample for i32 {
    #[allow(clippy::cast_precision_loss, reason = "f32 samples have 24 bits")]
    fn to_unit(self) -> Option<f32> {
        Some(self as f32 / 2_147_483_648.0)
    }
}

/// `NumPy`'s default integer: arithmetic on int16 samples often results in this type, so the values
/// are read as int16, saturated.
impl Sample for i64 {
    #[allow(clippy::cast_possible_truncation, reason = "clamped to int16 first")]
    fn to_unit(self) -> Option<f32> {
        Some(i16_to_f32(
            self.clamp(i16::MIN.into(), i16::MAX.into()) as i16
        ))
    }
}

impl Sample for i8 {
    fn to_unit(self) -> Option<f32> {
        Some(f32::from(self) / 128.0)
    }
}

/// Offset binary, as in 8-bit WAV files: 128 is silence.
impl Sample for u8 {
    fn to_unit(self) -> Option<f32> {
        Some((f32::from(self) - 128.0) / 128.0)
    }
}

/// An int16 sample as `f32`, from -1 to just below 1; exact.
#[must_use]
pub fn i16_to_f32(sample: i16) -> f32 {
    f32::from(sample) / FULL_SCALE
}

/// An `f32` sample as int16: rounded to the nearest, saturated beyond -1 to 1; NaN and the
/// infinities become 0.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, as intended"
)]
pub fn f32_to_i16(sample: f32) -> i16 {
    if !sample.is_finite() {
        return 0;
    }
    let scaled = sample * FULL_SCALE;
    // Half away from zero by truncation: `round` is a library call on baseline x86-64, once for
    // each sample.
    (scaled + 0.5_f32.copysign(scaled)) as i16
}

/// Appends `input` as `f32` to `out`; returns how many samples were NaN or infinite.
pub fn append_f32<S: Sample>(input: impl Iterator<Item = S>, out: &mut Vec<f32>) -> usize {
    let mut non_finite = 0;
    out.extend(input.map(|sample| {
        sample.to_unit().unwrap_or_else(|| {
            non_finite += 1;
            0.0
        })
    }));
    non_finite
}

/// Appends `input` as int16 to `out`; see [`f32_to_i16`].
pub fn append_i16(input: &[f32], out: &mut Vec<i16>) {
    out.extend(input.iter().map(|&sample| f32_to_i16(sample)));
}

/// The samples of one channel out of interleaved ones.
///
/// # Panics
/// When `channels` is 0.
pub fn channel<S: Copy>(
    interleaved: &[S],
    channels: usize,
    index: usize,
) -> impl Iterator<Item = S> {
    interleaved.iter().skip(index).step_by(channels).copied()
}

/// Appends the mean of the channels of interleaved int16 samples to `out`.
///
/// # Panics
/// When `channels` is 0.
pub fn append_downmix(interleaved: &[i16], channels: u16, out: &mut Vec<f32>) {
    let sum = |group: &[i16]| group.iter().map(|&sample| i32::from(sample)).sum::<i32>();
    let scale = 1.0 / (FULL_SCALE * f32::from(channels));
    #[allow(
        clippy::cast_precision_loss,
        reason = "a sum of 65,535 int16 fits in 32 bits"
    )]
    let mean = |sum: i32| sum as f32 * scale;
    match channels {
        // A group of constant length compiles to vector instructions: a tenth of the time.
        2 => out.extend(
            interleaved
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| mean(sum(pair))),
        ),
        _ => out.extend(
            interleaved
                .chunks_exact(channels.into())
                .map(|group| mean(sum(group))),
        ),
    }
}

/// Appends the mean of two interleaved channels to `out`, rounded half away from zero.
///
/// The result equals that of [`append_downmix`] and [`append_i16`] to the last bit, so that equal
/// and different rates downmix alike.
pub fn append_mean(interleaved: &[i16], out: &mut Vec<i16>) {
    out.extend(interleaved.as_chunks::<2>().0.iter().map(|&[left, right]| {
        let sum = i32::from(left) + i32::from(right);
        // The shift rounds down; a sum above zero is raised by one before, so that a half goes up.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a mean of int16 is within int16"
        )]
        let mean = ((sum + i32::from(sum > 0)) >> 1) as i16;
        mean
    }));
}

/// Appends two channels of the same length, left first, to `out`.
pub fn append_interleaved(left: &[i16], right: &[i16], out: &mut Vec<i16>) {
    debug_assert_eq!(left.len(), right.len());
    out.extend(
        left.iter()
            .zip(right)
            .flat_map(|(&left, &right)| [left, right]),
    );
}

/// A duration in samples, rounded to the nearest; an infinite one saturates.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, as intended"
)]
pub(crate) fn samples_in(duration_s: f64, rate_hz: u32) -> u64 {
    (duration_s * f64::from(rate_hz)).round() as u64
}

/// One or two channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One channel.
    Mono,
    /// Left and right.
    Stereo,
}

impl Layout {
    /// The number of channels.
    #[must_use]
    pub fn channels(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// A chunk of input audio: one or two channels, any number format.
#[derive(Debug, Clone, Copy)]
pub enum Chunk<'a, S> {
    /// One channel.
    Mono(&'a [S]),
    /// Two channels, left and right alternating (also called packed).
    Interleaved(&'a [S]),
    /// Two channels, one after the other.
    Planar(&'a [S], &'a [S]),
}

impl<S: Sample> Chunk<'_, S> {
    /// Samples per channel.
    #[must_use]
    pub fn samples(&self) -> usize {
        match self {
            Self::Mono(samples) | Self::Planar(samples, _) => samples.len(),
            Self::Interleaved(samples) => samples.len() / 2,
        }
    }

    /// One or two channels.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self {
            Self::Mono(_) => Layout::Mono,
            Self::Interleaved(_) | Self::Planar(..) => Layout::Stereo,
        }
    }

    /// Checks that both channels have the same length.
    ///
    /// # Errors
    /// [`AudioError::InterleavedLength`] for an odd number of interleaved samples,
    /// [`AudioError::PlaneLength`] for planes that differ in length.
    pub fn check(&self) -> Result<(), AudioError> {
        match self {
            Self::Interleaved(samples) if samples.len() % 2 != 0 => {
                Err(AudioError::InterleavedLength {
                    channels: 2,
                    got: samples.len(),
                })
            }
            Self::Planar(left, right) if left.len() != right.len() => {
                Err(AudioError::PlaneLength {
                    left: left.len(),
                    right: right.len(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Appends the first `samples` of one channel (0 is left) as `f32` to `out`; returns how many
    /// were NaN or infinite. A mono chunk has the same samples on both channels.
    pub(crate) fn append_channel(&self, index: usize, samples: usize, out: &mut Vec<f32>) -> usize {
        match self {
            Self::Mono(all) => append_f32(all[..samples].iter().copied(), out),
            Self::Interleaved(all) => append_f32(channel(&all[..2 * samples], 2, index), out),
            Self::Planar(left, right) => {
                let plane = if index == 0 { left } else { right };
                append_f32(plane[..samples].iter().copied(), out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int16_survives_the_conversion_to_float_and_back() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(f32_to_i16(i16_to_f32(sample)), sample);
        }
    }

    #[test]
    fn floats_beyond_full_scale_saturate() {
        assert_eq!(
            [1.5, 1.0, -1.0, -7.0].map(f32_to_i16),
            [32767, 32767, -32768, -32768]
        );
    }

    #[test]
    fn halves_round_away_from_zero() {
        let steps = [0.5, -0.5, 0.49, 1.5].map(|step: f32| f32_to_i16(step / FULL_SCALE));
        assert_eq!(steps, [1, -1, 0, 2]);
    }

    #[test]
    fn non_finite_samples_become_silence_and_are_counted() {
        let mut out = Vec::new();
        let input = [f32::NAN, 0.25, f32::INFINITY, f32::NEG_INFINITY, -2.0];
        assert_eq!(append_f32(input.into_iter(), &mut out), 3);
        assert_eq!(out, [0.0, 0.25, 0.0, 0.0, -1.0]);
        assert_eq!(f32_to_i16(f32::NAN), 0);
        assert_eq!(f32_to_i16(f32::INFINITY), 0);
    }

    #[test]
    fn a_double_too_large_for_f32_saturates() {
        assert_eq!(1e300_f64.to_unit(), Some(1.0));
        assert_eq!(f64::NAN.to_unit(), None);
    }

    #[test]
    fn integer_formats_reach_full_scale() {
        assert_eq!(i32::MIN.to_unit(), Some(-1.0));
        assert_eq!((1_i32 << 30).to_unit(), Some(0.5));
        assert_eq!(i8::MIN.to_unit(), Some(-1.0));
        assert_eq!(
            [0_u8, 128, 192].map(Sample::to_unit),
            [Some(-1.0), Some(0.0), Some(0.5)]
        );
    }

    #[test]
    fn wide_integers_are_int16_values() {
        let scaled = [16384_i64, 40_000, -40_000].map(Sample::to_unit);
        assert_eq!(scaled, [Some(0.5), Some(i16_to_f32(i16::MAX)), Some(-1.0)]);
    }

    #[test]
    fn the_mean_in_integers_is_the_one_in_floats() {
        let edges = [i16::MIN, -32767, -3, -2, -1, 0, 1, 2, 3, i16::MAX];
        let pairs: Vec<i16> = edges
            .into_iter()
            .flat_map(|left| edges.into_iter().flat_map(move |right| [left, right]))
            .collect();
        let (mut floats, mut expected, mut got) = (Vec::new(), Vec::new(), Vec::new());
        append_downmix(&pairs, 2, &mut floats);
        append_i16(&floats, &mut expected);
        append_mean(&pairs, &mut got);
        assert_eq!(got, expected);
    }

    #[test]
    fn downmix_is_the_mean_and_cannot_overflow() {
        let mut out = Vec::new();
        append_downmix(
            &[i16::MAX, i16::MAX, 100, -100, i16::MIN, i16::MIN],
            2,
            &mut out,
        );
        assert_eq!(
            out.iter().map(|&mean| f32_to_i16(mean)).collect::<Vec<_>>(),
            [i16::MAX, 0, i16::MIN]
        );
    }

    #[test]
    fn every_layout_has_the_same_channels() {
        let (left, right) = ([1_i16, 2, 3], [-1_i16, -2, -3]);
        let mut packed = Vec::new();
        append_interleaved(&left, &right, &mut packed);
        assert_eq!(packed, [1, -1, 2, -2, 3, -3]);
        for chunk in [Chunk::Interleaved(&packed), Chunk::Planar(&left, &right)] {
            assert_eq!((chunk.samples(), chunk.layout()), (3, Layout::Stereo));
            for (index, plane) in [left, right].iter().enumerate() {
                let mut out = Vec::new();
                assert_eq!(chunk.append_channel(index, 2, &mut out), 0);
                assert_eq!(
                    out,
                    plane[..2]
                        .iter()
                        .map(|&s| i16_to_f32(s))
                        .collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn channels_of_unequal_length_are_refused() {
        let odd = Chunk::Interleaved(&[1_i16, 2, 3]).check();
        assert_eq!(
            odd,
            Err(AudioError::InterleavedLength {
                channels: 2,
                got: 3
            })
        );
        let uneven = Chunk::Planar(&[1_i16], &[1, 2]).check();
        assert_eq!(uneven, Err(AudioError::PlaneLength { left: 1, right: 2 }));
        assert_eq!(Chunk::Mono(&[1_i16]).check(), Ok(()));
    }
}

//! The magnitudes of Silero's short-time Fourier transform: four overlapping frames at once.
//!
//! The model stores the transform as a convolution with 2 * (N / 2 + 1) filters; they are a
//! periodic Hann window times the discrete Fourier transform to 8e-8, so that a fast transform
//! gives the same. The four frames are the lanes of its arithmetic. A real transform of N points is
//! a complex one of N / 2, on pairs of samples (Press et al., *Numerical Recipes*, section 12.3);
//! that one is Stockham's, of radix four, with a last pass of radix two where needed.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

use std::f64::consts::TAU;
use std::ops::{Add, Sub};

use super::active_channel::ActiveChannel;

/// Overlapping frames of a window.
pub(super) const FRAMES: usize = 4;

/// Points of the longer transform, at 16 kHz.
const MAX_POINTS: usize = 256;

/// Bins of the longer transform.
pub(super) const MAX_BINS: usize = MAX_POINTS / 2 + 1;

/// A number for each frame.
type Lanes = [f32; FRAMES];

/// A complex number for each frame.
#[derive(Debug, Clone, Copy)]
struct Bin {
    re: Lanes,
    im: Lanes,
}

/// A factor on the unit circle.
#[derive(Debug, Clone, Copy)]
struct Twiddle {
    re: f32,
    im: f32,
}

impl Twiddle {
    /// `exp(-2 pi i * turns)`.
    #[allow(clippy::cast_possible_truncation)] // the precision of the samples
    fn new(turns: f64) -> Self {
        let (sin, cos) = (-TAU * turns).sin_cos();
        Self {
            re: cos as f32,
            im: sin as f32,
        }
    }
}

#[inline(always)]
fn lanes(value: impl Fn(usize) -> f32) -> Lanes {
    [value(0), value(1), value(2), value(3)]
}

impl Bin {
    const ZERO: Self = Self {
        re: [0.0; FRAMES],
        im: [0.0; FRAMES],
    };

    #[inline(always)]
    fn times(self, by: Twiddle) -> Self {
        Self {
            re: lanes(|i| self.re[i] * by.re - self.im[i] * by.im),
            im: lanes(|i| self.re[i] * by.im + self.im[i] * by.re),
        }
    }

    /// Times the imaginary unit.
    #[inline(always)]
    fn turned(self) -> Self {
        Self {
            re: lanes(|i| -self.im[i]),
            im: self.re,
        }
    }

    #[inline(always)]
    fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: lanes(|i| -self.im[i]),
        }
    }

    #[inline(always)]
    fn magnitude(self) -> Lanes {
        lanes(|i| (self.re[i] * self.re[i] + self.im[i] * self.im[i]).sqrt())
    }
}

impl Add for Bin {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self {
            re: lanes(|i| self.re[i] + other.re[i]),
            im: lanes(|i| self.im[i] + other.im[i]),
        }
    }
}

impl Sub for Bin {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self {
            re: lanes(|i| self.re[i] - other.re[i]),
            im: lanes(|i| self.im[i] - other.im[i]),
        }
    }
}

/// The tables of one transform length.
#[derive(Debug)]
pub(super) struct Spectrum {
    points: usize,
    /// A periodic Hann window, halved, because the split into even and odd parts divides by two.
    window: Vec<f32>,
    /// For each pass of radix four, the factors of the second to fourth output of a butterfly.
    passes: Vec<Vec<[Twiddle; 3]>>,
    /// The factors of the odd samples' transform in the last step, by bin.
    unpacking: Vec<Twiddle>,
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // at most 256 points
impl Spectrum {
    /// Tables for frames of `points` samples, 128 or 256.
    pub(super) fn new(points: usize) -> Self {
        let fraction = |part: usize, whole: usize| part as f64 / whole as f64;
        let hann = |i| 0.5 - 0.5 * (TAU * fraction(i, points)).cos();
        let lengths = std::iter::successors(Some(points / 2), |length| Some(length / 4));
        let butterfly = |i, length| [1, 2, 3].map(|nth| Twiddle::new(fraction(nth * i, length)));
        Self {
            points,
            window: (0..points).map(|i| (hann(i) / 2.0) as f32).collect(),
            passes: lengths
                .take_while(|&length| length >= 4)
                .map(|length| (0..length / 4).map(|i| butterfly(i, length)).collect())
                .collect(),
            unpacking: (0..=points / 4)
                .map(|i| Twiddle::new(fraction(i, points)))
                .collect(),
        }
    }

    /// The number of frequencies of a frame's transform.
    pub(super) fn bins(&self) -> usize {
        self.points / 2 + 1
    }

    /// Computes the magnitudes of the four frames of `samples`, which overlap by half: a channel of
    /// the net for each bin, none of which is left out.
    #[inline(always)]
    pub(super) fn magnitudes<'a>(
        &self,
        samples: &[f32],
        out: &'a mut [ActiveChannel<FRAMES>; MAX_BINS],
    ) -> &'a [ActiveChannel<FRAMES>] {
        let half = self.points / 2;
        // Stockham's passes are not in place: they alternate between two buffers.
        let (mut bins, mut scratch) = ([Bin::ZERO; MAX_POINTS / 2], [Bin::ZERO; MAX_POINTS / 2]);
        let (mut from, mut to) = (&mut bins[..half], &mut scratch[..half]);
        self.take_frames(samples, from);
        let mut stride = 1;
        for twiddles in &self.passes {
            radix_4(twiddles, stride, from, to);
            std::mem::swap(&mut from, &mut to);
            stride *= 4;
        }
        if stride < half {
            radix_2(from, to);
            std::mem::swap(&mut from, &mut to);
        }
        let out = &mut out[..=half];
        self.unpack(from, out);
        out
    }

    /// Windows the frames and joins pairs of samples to complex numbers.
    #[inline(always)]
    fn take_frames(&self, samples: &[f32], bins: &mut [Bin]) {
        let hop = self.points / 2;
        let frames: [&[f32]; FRAMES] = [0, 1, 2, 3].map(|i| &samples[i * hop..][..self.points]);
        for (i, bin) in bins.iter_mut().enumerate() {
            let (even, odd) = (2 * i, 2 * i + 1);
            bin.re = lanes(|frame| frames[frame][even] * self.window[even]);
            bin.im = lanes(|frame| frames[frame][odd] * self.window[odd]);
        }
    }

    /// Converts the transform of the pairs into the magnitudes of the transform of the samples.
    #[inline(always)]
    fn unpack(&self, bins: &[Bin], out: &mut [ActiveChannel<FRAMES>]) {
        for (i, &twiddle) in self.unpacking.iter().enumerate() {
            let mirrored = bins.len() - i;
            let (here, there) = (bins[i], bins[mirrored % bins.len()].conjugate());
            let even = here + there;
            let odd = (there - here).turned().times(twiddle);
            let (lower, upper) = ((even + odd).magnitude(), (even - odd).magnitude());
            for (channel, steps) in [(i, lower), (mirrored, upper)] {
                out[channel] = ActiveChannel { channel, steps };
            }
        }
    }
}

/// A pass of four-point transforms; `stride` results of earlier passes lie side by side.
#[inline(always)]
fn radix_4(twiddles: &[[Twiddle; 3]], stride: usize, from: &[Bin], to: &mut [Bin]) {
    let quarter = from.len() / 4;
    let (first, rest) = from.split_at(quarter);
    let (second, rest) = rest.split_at(quarter);
    let (third, fourth) = rest.split_at(quarter);
    for (nth, (butterfly, out)) in twiddles
        .iter()
        .zip(to.chunks_exact_mut(4 * stride))
        .enumerate()
    {
        let start = nth * stride;
        for i in 0..stride {
            let place = start + i;
            let (sum_02, difference_02) =
                (first[place] + third[place], first[place] - third[place]);
            let sum_13 = second[place] + fourth[place];
            let difference_13 = (second[place] - fourth[place]).turned();
            out[i] = sum_02 + sum_13;
            out[i + stride] = (difference_02 - difference_13).times(butterfly[0]);
            out[i + 2 * stride] = (sum_02 - sum_13).times(butterfly[1]);
            out[i + 3 * stride] = (difference_02 + difference_13).times(butterfly[2]);
        }
    }
}

/// The last pass, of two-point transforms, whose factors are all one.
#[inline(always)]
fn radix_2(from: &[Bin], to: &mut [Bin]) {
    let (first, second) = from.split_at(from.len() / 2);
    let (sums, differences) = to.split_at_mut(first.len());
    for (i, (&a, &b)) in first.iter().zip(second).enumerate() {
        sums[i] = a + b;
        differences[i] = a - b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform as it is defined, in double precision.
    #[allow(clippy::cast_precision_loss)]
    fn by_definition(frame: &[f32], bin: usize) -> f64 {
        let points = frame.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (i, &sample) in frame.iter().enumerate() {
            let hann = 0.5 - 0.5 * (TAU * i as f64 / points).cos();
            let (sin, cos) = (TAU * (i * bin) as f64 / points).sin_cos();
            re += f64::from(sample) * hann * cos;
            im += f64::from(sample) * hann * sin;
        }
        re.hypot(im)
    }

    #[test]
    fn both_lengths_agree_with_the_definition() {
        for points in [128_usize, 256] {
            let wave = |i: u16| (f32::from(i) * 0.37).sin() + f32::from(i % 7) / 7.0 - 0.5;
            let samples: Vec<f32> = (0..640).map(wave).take(points / 2 * 5).collect();
            let spectrum = Spectrum::new(points);
            let mut magnitudes = [ActiveChannel::EMPTY; MAX_BINS];
            let magnitudes = spectrum.magnitudes(&samples, &mut magnitudes);
            assert_eq!(magnitudes.len(), spectrum.bins());
            for (bin, active) in magnitudes.iter().enumerate() {
                assert_eq!(active.channel, bin);
                for (nth, magnitude) in active.steps.into_iter().enumerate() {
                    let expected = by_definition(&samples[nth * points / 2..][..points], bin);
                    let error = (f64::from(magnitude) - expected).abs();
                    assert!(
                        error < 2e-5,
                        "{points} points, frame {nth}, bin {bin}: {error}"
                    );
                }
            }
        }
    }
}

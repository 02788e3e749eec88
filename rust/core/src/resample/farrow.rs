//! Conversion for any ratio: taps that are cubics of an output's place between two inputs.
//!
//! The structure of Farrow, "A continuously variable digital delay element" (ISCAS 1988). Between
//! two inputs lie sixteen segments; in each, every tap is the cubic that interpolates it at the
//! four Chebyshev nodes. Such a cubic errs by at most 1 / 3072 of the segment's fourth power times
//! the fourth derivative (Hildebrand, *Introduction to Numerical Analysis*, chapter 9): -150 dB for
//! a wave of four samples.
#![allow(clippy::inline_always)] // kernels, see `simd`

use std::f64::consts::PI;
use std::ops::Range;

use super::design::Prototype;
use super::ratio::{Ratio, as_f64, as_index};
use crate::simd::{InstructionSet, Kernel, LANES, Row, Simd};

/// Segments between two inputs; with cubics, enough for the error stated above.
const SEGMENTS: u64 = 16;
/// The number of a cubic's coefficients.
const ORDER: usize = 4;
/// Binary places of a position in segments. The rounding of `per_rest`, times a rest below 2^20,
/// stays below 2^-20 of a segment, and 16 segments with 40 places fit in 64 bits.
const FRACTION_BITS: u32 = 40;

/// The taps of one segment by powers of the place in it, from -1 to 1: constant, linear and so on.
type Cubics = [Row; ORDER];

/// The taps of every place between two inputs.
#[derive(Debug)]
pub(super) struct FarrowTables {
    ratio: Ratio,
    segments: Vec<Cubics>,
    /// Segments in `1 / up` of an input sample, in fixed point, rounded down; see
    /// [`FRACTION_BITS`].
    per_rest: u64,
}

impl FarrowTables {
    /// The number of inputs that an output needs: one vector of taps.
    pub(super) const TAPS: usize = LANES;
    /// The widest response that so many taps can hold, in inputs to either side.
    pub(super) const HALF_WIDTH: f64 = 8.0;

    pub(super) fn new(prototype: &Prototype, ratio: Ratio) -> Self {
        Self {
            segments: (0..SEGMENTS).map(|nth| cubics(prototype, nth)).collect(),
            per_rest: (SEGMENTS << FRACTION_BITS) / ratio.up,
            ratio,
        }
    }

    /// Appends the outputs of the range to `out`.
    ///
    /// `history` begins with the first input that the first output needs.
    pub(super) fn convert(
        &self,
        set: InstructionSet,
        history: &[f32],
        outputs: Range<u64>,
        out: &mut Vec<f32>,
    ) {
        set.run(Outputs {
            tables: self,
            history,
            cursor: Cursor::new(self.ratio, outputs.start),
            count: as_index(outputs.end - outputs.start),
            out,
        });
    }
}

/// The cubics of one segment, through the taps at the Chebyshev nodes.
fn cubics(prototype: &Prototype, segment: u64) -> Cubics {
    let angles: [f64; ORDER] = std::array::from_fn(|nth| PI * as_f64(2 * nth as u64 + 1) / 8.0);
    let nodes = angles.map(|angle| {
        let fraction = (as_f64(segment) + f64::midpoint(angle.cos(), 1.0)) / as_f64(SEGMENTS);
        prototype.taps(fraction, FarrowTables::TAPS)
    });
    let mut cubics = [[0.0; LANES]; ORDER];
    for lane in 0..LANES {
        // The series of Chebyshev polynomials, converted to powers below.
        let term = |degree: f64| {
            let parts = angles.iter().zip(&nodes);
            let sum: f64 = parts
                .map(|(angle, taps)| (degree * angle).cos() * taps[lane])
                .sum();
            sum / 2.0
        };
        let (mean, linear, square, cube) = (term(0.0) / 2.0, term(1.0), term(2.0), term(3.0));
        let powers = [mean - square, linear - 3.0 * cube, 2.0 * square, 4.0 * cube];
        for (row, power) in cubics.iter_mut().zip(powers) {
            row[lane] = power;
        }
    }
    cubics.map(|row| Row::rounded(&row))
}

/// The place of an output between the inputs.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The first of the inputs that the output needs.
    input: usize,
    /// The distance of the output from the newest of them, in `1 / up` of an input sample.
    rest: u32,
}

/// The places of one output after the other.
struct Cursor {
    next: Place,
    up: u32,
    /// The step from one output to the next: whole inputs, and the rest.
    step: usize,
    step_rest: u32,
}

impl Cursor {
    // Rates are at most 192 kHz, and the numbers of a ratio in lowest terms at most a few times
    // that.
    #[allow(clippy::cast_possible_truncation)]
    fn new(ratio: Ratio, output: u64) -> Self {
        Self {
            next: Place {
                input: 0,
                rest: ratio.rest(output) as u32,
            },
            up: ratio.up as u32,
            step: as_index(ratio.down / ratio.up),
            step_rest: (ratio.down % ratio.up) as u32,
        }
    }

    /// This output's place; the cursor moves on to the next output.
    #[inline(always)]
    fn advance(&mut self) -> Place {
        let here = self.next;
        // A carry, because a division for each output would take longer than its products.
        let rest = here.rest + self.step_rest;
        let carry = rest >= self.up;
        self.next = Place {
            input: here.input + self.step + usize::from(carry),
            rest: rest - if carry { self.up } else { 0 },
        };
        here
    }
}

/// Outputs that are computed at once: one [`Simd::sum_each`] adds up the lanes of all four.
const OUTPUTS_PER_STEP: usize = 4;

/// The next `count` outputs from `cursor` on.
struct Outputs<'a> {
    tables: &'a FarrowTables,
    history: &'a [f32],
    cursor: Cursor,
    count: usize,
    out: &'a mut Vec<f32>,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            tables,
            history,
            mut cursor,
            count,
            out,
        } = self;
        let begin = out.len();
        out.resize(begin + count, 0.0);
        let (fours, rest) = out[begin..].as_chunks_mut::<OUTPUTS_PER_STEP>();
        for four in fours {
            let places = std::array::from_fn(|_| cursor.advance());
            *four = tables.outputs(simd, places, history);
        }
        if !rest.is_empty() {
            // The first output is computed repeatedly in place of those beyond the end, whose
            // inputs may be missing.
            let mut places = [cursor.advance(); OUTPUTS_PER_STEP];
            for place in &mut places[1..rest.len()] {
                *place = cursor.advance();
            }
            let four = tables.outputs(simd, places, history);
            rest.copy_from_slice(&four[..rest.len()]);
        }
    }
}

impl FarrowTables {
    #[inline(always)]
    fn outputs<S: Simd>(
        &self,
        simd: S,
        places: [Place; OUTPUTS_PER_STEP],
        history: &[f32],
    ) -> [f32; OUTPUTS_PER_STEP] {
        // Spelled out: a closure that is not inlined would not carry the processor's features.
        simd.sum_each([
            self.products(simd, places[0], history),
            self.products(simd, places[1], history),
            self.products(simd, places[2], history),
            self.products(simd, places[3], history),
        ])
    }

    /// The products of a place's inputs and taps.
    #[inline(always)]
    fn products<S: Simd>(&self, simd: S, place: Place, history: &[f32]) -> S::Vector {
        let position = u64::from(place.rest) * self.per_rest;
        let [constant, linear, square, cube] = &self.segments[as_index(position >> FRACTION_BITS)];
        let x = simd.splat(within_segment(position));
        let taps = simd.mul_add(simd.load(&cube.0), x, simd.load(&square.0));
        let taps = simd.mul_add(taps, x, simd.load(&linear.0));
        let taps = simd.mul_add(taps, x, simd.load(&constant.0));
        let inputs = &history[place.input..].as_chunks().0[0];
        simd.mul_add(taps, simd.load(inputs), simd.splat(0.0))
    }
}

/// The place of a position within its segment, -1 to 1, 0 in the middle.
#[inline(always)]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // 31 bits, of which f32 keeps 24
fn within_segment(position: u64) -> f32 {
    const KEPT: u32 = 31;
    let kept = (position >> (FRACTION_BITS - KEPT)) & ((1 << KEPT) - 1);
    kept as i32 as f32 / (1_u32 << (KEPT - 1)) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::super::design::Band;
    use super::*;

    /// Outputs of an impulse at the newest input but seven, for every seventh place.
    #[test]
    fn the_cubics_are_the_taps_to_130_db() {
        let room = Band {
            pass_hz: 20_000.0,
            stop_hz: 68_000.0,
        };
        let prototype = Prototype::new(room, 88_000.0, FarrowTables::HALF_WIDTH);
        let ratio = Ratio::of(1_009, 1_024);
        let tables = FarrowTables::new(&prototype, ratio);
        let mut impulse = [0.0; FarrowTables::TAPS];
        impulse[FarrowTables::TAPS - 8] = 1.0;
        for set in InstructionSet::available() {
            for output in (0..ratio.up).step_by(7) {
                let mut out = Vec::new();
                tables.convert(set, &impulse, output..output + 1, &mut out);
                let fraction = as_f64(ratio.rest(output)) / as_f64(ratio.up);
                let tap = prototype.taps(fraction, FarrowTables::TAPS)[FarrowTables::TAPS - 8];
                let error = (f64::from(out[0]) - tap).abs();
                assert!(error < 3.2e-7, "{}, {fraction}: {error}", set.name());
            }
        }
    }
}

//! Conversion for ratios of many phases: each output is the scalar product of inputs and taps.
//!
//! A ratio of a few hundred phases has a row of taps for each. Beyond that, rows stand at 64 points
//! per period of the lower rate, and a cubic through four of them gives the output in between: a
//! table below 128 kB and an error below -130 dB whatever the rates, for four products instead of
//! one.
#![allow(clippy::inline_always)] // kernels, see `simd`

use std::ops::Range;

use super::design::Prototype;
use super::ratio::{Ratio, as_f64, as_index};
use crate::simd::{InstructionSet, Kernel, LANES, Row, Simd};

/// Rows per period of the lower rate when phases are interpolated. The cubic's error is
/// 3 / 128 * (pi / 64)^4 at the band edge: -137 dB.
const ROWS_PER_PERIOD: u64 = 64;

/// The taps of each phase, or of evenly spaced fractions of an input sample.
#[derive(Debug)]
pub(super) struct RowTables {
    ratio: Ratio,
    rows: Vec<Row>,
    /// Vectors in the row of one phase.
    vectors: usize,
    /// Rows per input sample, when phases are interpolated.
    points: Option<u64>,
}

impl RowTables {
    /// A row for each phase of the ratio; `taps` is a multiple of sixteen.
    pub(super) fn exact(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let fractions = (0..ratio.up).map(|rest| as_f64(rest) / as_f64(ratio.up));
        Self::tabulate(prototype, ratio, taps, fractions, None)
    }

    /// Rows from one point before an input sample to two points after the next.
    pub(super) fn interpolated(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let points = (ROWS_PER_PERIOD * ratio.up.min(ratio.down)).div_ceil(ratio.down);
        let fractions = (0..points + 3).map(|point| (as_f64(point) - 1.0) / as_f64(points));
        Self::tabulate(prototype, ratio, taps, fractions, Some(points))
    }

    fn tabulate(
        prototype: &Prototype,
        ratio: Ratio,
        taps: usize,
        fractions: impl Iterator<Item = f64>,
        points: Option<u64>,
    ) -> Self {
        let mut rows = Vec::new();
        for fraction in fractions {
            let phase_taps = prototype.taps(fraction, taps);
            #[allow(clippy::cast_possible_truncation)] // the precision of the samples
            let lanes = |taps: &[f64; LANES]| Row(taps.map(|tap| tap as f32));
            rows.extend(phase_taps.as_chunks::<LANES>().0.iter().map(lanes));
        }
        Self {
            ratio,
            rows,
            vectors: taps / LANES,
            points,
        }
    }

    /// Appends the outputs of the range to `out`.
    ///
    /// `history` begins with the first input that the first output is made of.
    pub(super) fn convert(
        &self,
        set: InstructionSet,
        history: &[f32],
        outputs: Range<u64>,
        out: &mut Vec<f32>,
    ) {
        let cursor = Cursor::new(self.ratio, outputs.start);
        let count = as_index(outputs.end - outputs.start);
        set.run(Outputs {
            tables: self,
            history,
            cursor,
            count,
            out,
        });
    }

    #[inline(always)]
    fn row(&self, index: u64) -> &[Row] {
        &self.rows[as_index(index) * self.vectors..][..self.vectors]
    }
}

/// Where an output lies between the inputs.
struct Cursor {
    /// The first of the inputs it is made of.
    input: usize,
    /// How far after the newest of them it lies, in `1 / up` of an input sample.
    rest: u64,
    up: u64,
    /// From one output to the next: whole inputs, and the rest.
    step: usize,
    step_rest: u64,
}

impl Cursor {
    fn new(ratio: Ratio, output: u64) -> Self {
        Self {
            input: 0,
            rest: ratio.rest(output),
            up: ratio.up,
            step: as_index(ratio.down / ratio.up),
            step_rest: ratio.down % ratio.up,
        }
    }

    /// This output's first input and rest; the cursor moves on to the next output.
    #[inline(always)]
    fn next(&mut self) -> (usize, u64) {
        let here = (self.input, self.rest);
        // A division for each output would take as long as a third of its products.
        self.rest += self.step_rest;
        let carry = self.rest >= self.up;
        self.rest -= if carry { self.up } else { 0 };
        self.input += self.step + usize::from(carry);
        here
    }
}

/// The next `count` outputs from `cursor` on.
struct Outputs<'a> {
    tables: &'a RowTables,
    history: &'a [f32],
    cursor: Cursor,
    count: usize,
    out: &'a mut Vec<f32>,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        while self.count > 0 {
            self.count -= match (self.tables.points, self.count.min(S::ACCUMULATORS)) {
                (Some(points), _) => self.interpolated(simd, points),
                (None, 4..) => self.exact::<S, 4>(simd),
                (None, 2..) => self.exact::<S, 2>(simd),
                (None, _) => self.exact::<S, 1>(simd),
            };
        }
    }
}

impl Outputs<'_> {
    /// `COUNT` outputs, each with the row of its phase.
    #[inline(always)]
    fn exact<S: Simd, const COUNT: usize>(&mut self, simd: S) -> usize {
        let places: [_; COUNT] = std::array::from_fn(|_| self.cursor.next());
        let rows = places.map(|(_, rest)| self.tables.row(rest));
        let inputs = places.map(|(input, _)| self.inputs(input));
        self.out.extend(products(simd, rows, inputs));
        COUNT
    }

    /// One output, between the second and the third of four neighbouring rows.
    #[inline(always)]
    fn interpolated<S: Simd>(&mut self, simd: S, points: u64) -> usize {
        let (input, rest) = self.cursor.next();
        let (position, up) = (rest * points, self.tables.ratio.up);
        let rows = [0, 1, 2, 3].map(|nth| self.tables.row(position / up + nth));
        let weights = cubic(as_f64(position % up) / as_f64(up));
        let outputs = products(simd, rows, [self.inputs(input); 4]);
        self.out.push(
            outputs
                .iter()
                .zip(weights)
                .map(|(output, weight)| output * weight)
                .sum(),
        );
        1
    }

    #[inline(always)]
    fn inputs(&self, first: usize) -> &[[f32; LANES]] {
        self.history[first..][..self.tables.vectors * LANES]
            .as_chunks::<LANES>()
            .0
    }
}

/// The weights of four points at -1, 0, 1 and 2 for a value at `x` (Lagrange).
#[allow(clippy::cast_possible_truncation)] // the precision of the samples
fn cubic(x: f64) -> [f32; 4] {
    let (before, after, last) = (x + 1.0, x - 1.0, x - 2.0);
    [
        -x * after * last / 6.0,
        before * after * last / 2.0,
        -before * x * last / 2.0,
        before * x * after / 6.0,
    ]
    .map(|weight| weight as f32)
}

/// The scalar products of rows and inputs, each summed alone so that none depends on the others.
#[inline(always)]
fn products<S: Simd, const COUNT: usize>(
    simd: S,
    rows: [&[Row]; COUNT],
    inputs: [&[[f32; LANES]]; COUNT],
) -> [f32; COUNT] {
    let vectors = rows[0].len();
    let (rows, inputs) = (
        rows.map(|row| &row[..vectors]),
        inputs.map(|input| &input[..vectors]),
    );
    let mut sums = [simd.splat(0.0); COUNT];
    for i in 0..vectors {
        for (sum, (row, input)) in sums.iter_mut().zip(rows.iter().zip(&inputs)) {
            *sum = simd.mul_add(simd.load(&input[i]), simd.load(&row[i].0), *sum);
        }
    }
    // Not `map`: a closure would be compiled without the instruction set's features.
    let mut products = [0.0; COUNT];
    for (product, sum) in products.iter_mut().zip(sums) {
        *product = simd.sum(sum);
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_passes_through_its_points() {
        for (x, point) in [(0.0, 1), (1.0, 2)] {
            for (nth, weight) in cubic(x).into_iter().enumerate() {
                assert!((weight - f32::from(nth == point)).abs() < f32::EPSILON);
            }
        }
    }

    #[test]
    fn a_cubic_reproduces_a_cube() {
        let value: f32 = cubic(0.5)
            .iter()
            .zip([-1.0, 0.0, 1.0, 8.0])
            .map(|(w, y)| w * y)
            .sum();
        assert!((value - 0.125).abs() < 1e-6);
    }

    #[test]
    fn interpolated_tables_stay_small_whatever_the_rates() {
        for (from_hz, to_hz) in [(8_000, 191_999), (191_999, 8_000), (44_101, 48_000)] {
            let prototype = Prototype::new(from_hz, to_hz, super::super::Quality::High);
            let taps = prototype.span().next_multiple_of(LANES);
            let tables = RowTables::interpolated(&prototype, Ratio::new(from_hz, to_hz), taps);
            assert!(size_of_val(&tables.rows[..]) <= 128 * 1024);
        }
    }
}

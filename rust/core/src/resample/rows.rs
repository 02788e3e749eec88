//! Conversion for ratios of many phases: each output is the scalar product of inputs and taps.
//!
//! A ratio of a few hundred phases has a row of taps for each. Beyond that, rows stand at 64 points
//! per period of the lower rate, and a cubic through four of them gives the output in between: a
//! table below 128 kB and an error below -130 dB whatever the rates, for five multiplications a tap
//! instead of one.
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
    ///
    /// In the order of the outputs, so that memory is read from one end to the other.
    pub(super) fn exact(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let fractions = (0..ratio.up).map(|output| as_f64(ratio.rest(output)) / as_f64(ratio.up));
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

    /// So many rows, one behind the other.
    #[inline(always)]
    fn rows(&self, first: usize, count: usize) -> &[Row] {
        &self.rows[first * self.vectors..][..count * self.vectors]
    }
}

/// Where an output lies between the inputs.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The first of the inputs it is made of.
    input: usize,
    /// How far after the newest of them it lies, in `1 / up` of an input sample.
    rest: u32,
    /// Which of the `up` outputs it is after which phases repeat.
    phase: u32,
}

/// The places of one output after the other.
struct Cursor {
    next: Place,
    up: u32,
    /// From one output to the next: whole inputs, and the rest.
    step: usize,
    step_rest: u32,
}

impl Cursor {
    // Rates end at 192 kHz, and so do the numbers of a ratio in lowest terms.
    #[allow(clippy::cast_possible_truncation)]
    fn new(ratio: Ratio, output: u64) -> Self {
        Self {
            next: Place {
                input: 0,
                rest: ratio.rest(output) as u32,
                phase: (output % ratio.up) as u32,
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
        // A division for each output would take as long as a third of its products.
        let rest = here.rest + self.step_rest;
        let carry = rest >= self.up;
        let phase = here.phase + 1;
        self.next = Place {
            input: here.input + self.step + usize::from(carry),
            rest: rest - if carry { self.up } else { 0 },
            phase: if phase == self.up { 0 } else { phase },
        };
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

/// How many outputs are computed at once: their sums across lanes are formed together.
const TOGETHER: usize = 4;

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        while self.count > 0 {
            let count = self.count.min(TOGETHER);
            // Where fewer are left the first is computed again: what follows it may lack inputs.
            let mut places = [self.cursor.advance(); TOGETHER];
            for place in &mut places[1..count] {
                *place = self.cursor.advance();
            }
            let sums = match self.tables.points {
                Some(points) => self.interpolated(simd, places, points),
                None => self.exact(simd, places),
            };
            self.out.extend_from_slice(&simd.sum_each(sums)[..count]);
            self.count -= count;
        }
    }
}

impl Outputs<'_> {
    /// The products of each place's inputs with the row of its phase, lane by lane.
    #[inline(always)]
    fn exact<S: Simd>(&self, simd: S, [a, b, c, d]: [Place; TOGETHER]) -> [S::Vector; TOGETHER] {
        if S::ACCUMULATORS >= TOGETHER {
            return self.products(simd, [a, b, c, d]);
        }
        let ([a, b], [c, d]) = (self.products(simd, [a, b]), self.products(simd, [c, d]));
        [a, b, c, d]
    }

    #[inline(always)]
    fn products<S: Simd, const COUNT: usize>(
        &self,
        simd: S,
        places: [Place; COUNT],
    ) -> [S::Vector; COUNT] {
        let vectors = self.tables.vectors;
        let rows = places.map(|place| &self.tables.rows(place.phase as usize, 1)[..vectors]);
        let inputs = places.map(|place| &self.inputs(place)[..vectors]);
        let mut sums = [simd.splat(0.0); COUNT];
        for i in 0..vectors {
            for (sum, (row, input)) in sums.iter_mut().zip(rows.iter().zip(&inputs)) {
                *sum = simd.mul_add(simd.load(&input[i]), simd.load(&row[i].0), *sum);
            }
        }
        sums
    }

    /// The same with rows of which each is a mixture of the four around its place.
    #[inline(always)]
    fn interpolated<S: Simd>(
        &self,
        simd: S,
        [a, b, c, d]: [Place; TOGETHER],
        points: u64,
    ) -> [S::Vector; TOGETHER] {
        let per_rest = as_f64(points) / as_f64(self.tables.ratio.up);
        [
            self.blended(simd, a, per_rest),
            self.blended(simd, b, per_rest),
            self.blended(simd, c, per_rest),
            self.blended(simd, d, per_rest),
        ]
    }

    #[inline(always)]
    fn blended<S: Simd>(&self, simd: S, place: Place, per_rest: f64) -> S::Vector {
        let vectors = self.tables.vectors;
        let position = f64::from(place.rest) * per_rest;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 <= row <= 64
        let row = position as u32;
        let weights = cubic(position - f64::from(row));
        let rows = self.tables.rows(row as usize, weights.len());
        let (first, rows) = rows.split_at(vectors);
        let (second, rows) = rows.split_at(vectors);
        let (third, fourth) = rows.split_at(vectors);
        let (inputs, fourth) = (&self.inputs(place)[..vectors], &fourth[..vectors]);
        let mut sum = simd.splat(0.0);
        for i in 0..vectors {
            let mut taps = simd.splat(0.0);
            for (row, weight) in [first, second, third, fourth].iter().zip(weights) {
                taps = simd.mul_add(simd.load(&row[i].0), simd.splat(weight), taps);
            }
            sum = simd.mul_add(simd.load(&inputs[i]), taps, sum);
        }
        sum
    }

    #[inline(always)]
    fn inputs(&self, place: Place) -> &[[f32; LANES]] {
        self.history[place.input..][..self.tables.vectors * LANES]
            .as_chunks::<LANES>()
            .0
    }
}

/// The weights of four points at -1, 0, 1 and 2 for a value at `x` (Lagrange).
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // the precision of the samples
fn cubic(x: f64) -> [f32; 4] {
    let outer = x * (x - 1.0) / 6.0;
    let inner = (x + 1.0) * (x - 2.0) / 2.0;
    [
        (outer * (2.0 - x)) as f32,
        (inner * (x - 1.0)) as f32,
        (-inner * x) as f32,
        (outer * (x + 1.0)) as f32,
    ]
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

//! Conversion for ratios of many phases: each output is the scalar product of inputs and taps.
//!
//! A ratio of a few hundred phases has a row of taps for each. Beyond that, rows stand at 32 points
//! per period of the lower rate, and a spline through them gives the output in between: an error
//! below -130 dB whatever the rates, for four multiplications a tap instead of one. The table is
//! small (20 kB where the rates are near each other), because each output reads other rows of it: what
//! does not stay in the level-one cache is what takes the time.
#![allow(clippy::inline_always)] // kernels, see `simd`

use std::ops::Range;

use super::design::Prototype;
use super::ratio::{Ratio, as_f64, as_index};
use super::spline;
use crate::simd::{InstructionSet, Kernel, LANES, Row, Simd};

/// Rows per period of the lower rate when phases are interpolated. The spline's error is
/// 1 / 384 * (pi / 32)^4 at the band edge: -132 dB.
const ROWS_PER_PERIOD: u64 = 32;

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
        let fraction = |output| as_f64(ratio.rest(output)) / as_f64(ratio.up);
        let rows = (0..ratio.up).map(|output| prototype.taps(fraction(output), taps));
        Self::tabulate(rows, ratio, taps, None)
    }

    /// Rows from one point before an input sample to two points after the next.
    pub(super) fn interpolated(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let points = (ROWS_PER_PERIOD * ratio.up.min(ratio.down)).div_ceil(ratio.down);
        let margin = spline::MARGIN as u64;
        let fraction = |point| (as_f64(point) - as_f64(margin) - 1.0) / as_f64(points);
        let mut rows: Vec<_> = (0..points + 3 + 2 * margin)
            .map(|point| prototype.taps(fraction(point), taps))
            .collect();
        spline::fit(&mut rows);
        let kept = rows.drain(spline::MARGIN..rows.len() - spline::MARGIN);
        Self::tabulate(kept, ratio, taps, Some(points))
    }

    fn tabulate(
        rows_of_taps: impl Iterator<Item = Vec<f64>>,
        ratio: Ratio,
        taps: usize,
        points: Option<u64>,
    ) -> Self {
        let mut rows = Vec::new();
        for row in rows_of_taps {
            #[allow(clippy::cast_possible_truncation)] // the precision of the samples
            let lanes = |taps: &[f64; LANES]| Row(taps.map(|tap| tap as f32));
            rows.extend(row.as_chunks::<LANES>().0.iter().map(lanes));
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
            source: Source {
                tables: self,
                history,
            },
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

/// What outputs are made of.
#[derive(Clone, Copy)]
struct Source<'a> {
    tables: &'a RowTables,
    history: &'a [f32],
}

/// The next `count` outputs from `cursor` on.
struct Outputs<'a> {
    source: Source<'a>,
    cursor: Cursor,
    count: usize,
    out: &'a mut Vec<f32>,
}

/// How many outputs are computed at once: their sums across lanes are formed together.
const TOGETHER: usize = 4;

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            source,
            mut cursor,
            count,
            out,
        } = self;
        let begin = out.len();
        out.resize(begin + count, 0.0);
        let (fours, rest) = out[begin..].as_chunks_mut::<TOGETHER>();
        for four in fours {
            let places = std::array::from_fn(|_| cursor.advance());
            *four = source.outputs(simd, places);
        }
        if !rest.is_empty() {
            // The first is computed again in place of those beyond the end, which may lack inputs.
            let mut places = [cursor.advance(); TOGETHER];
            for place in &mut places[1..rest.len()] {
                *place = cursor.advance();
            }
            rest.copy_from_slice(&source.outputs(simd, places)[..rest.len()]);
        }
    }
}

impl Source<'_> {
    #[inline(always)]
    fn outputs<S: Simd>(self, simd: S, places: [Place; TOGETHER]) -> [f32; TOGETHER] {
        simd.sum_each(match self.tables.points {
            Some(points) => self.interpolated(simd, places, points),
            None => self.exact(simd, places),
        })
    }

    /// The products of each place's inputs with the row of its phase, lane by lane.
    #[inline(always)]
    fn exact<S: Simd>(self, simd: S, places: [Place; TOGETHER]) -> [S::Vector; TOGETHER] {
        let rows = places.map(|place| self.tables.rows(place.phase as usize, 1));
        products(simd, rows, places.map(|place| self.inputs(place)))
    }

    /// The same with rows of which each is a mixture of the four around its place.
    ///
    /// The rows are multiplied and their products mixed: those need not wait for the weights then.
    #[inline(always)]
    fn interpolated<S: Simd>(
        self,
        simd: S,
        places: [Place; TOGETHER],
        points: u64,
    ) -> [S::Vector; TOGETHER] {
        // In fixed point, rounded down by less than 2^-22 of a row.
        let per_rest = (points << FRACTION_BITS) / self.tables.ratio.up;
        let positions = places.map(|place| u64::from(place.rest) * per_rest);
        let [p, q, r, s] = spline::weights(positions.map(fraction));
        let mixture = |nth: usize| {
            (
                places[nth],
                positions[nth],
                [p[nth], q[nth], r[nth], s[nth]],
            )
        };
        [
            self.mixed(simd, mixture(0)),
            self.mixed(simd, mixture(1)),
            self.mixed(simd, mixture(2)),
            self.mixed(simd, mixture(3)),
        ]
    }

    #[inline(always)]
    fn mixed<S: Simd>(
        self,
        simd: S,
        (place, position, weights): (Place, u64, [f32; 4]),
    ) -> S::Vector {
        let rows = self.tables.rows(as_index(position >> FRACTION_BITS), 4);
        let sums = products(simd, quarters(rows), [self.inputs(place); 4]);
        let mut mixture = simd.splat(0.0);
        for (sum, weight) in sums.into_iter().zip(weights) {
            mixture = simd.mul_add(sum, simd.splat(weight), mixture);
        }
        mixture
    }

    #[inline(always)]
    fn inputs(&self, place: Place) -> &[[f32; LANES]] {
        self.history[place.input..][..self.tables.vectors * LANES]
            .as_chunks::<LANES>()
            .0
    }
}

/// Binary places of a position between rows.
const FRACTION_BITS: u32 = 40;

/// How far a position lies beyond its row, 0 to 1.
#[inline(always)]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // 31 bits, of which f32 keeps 24
fn fraction(position: u64) -> f32 {
    const KEPT: u32 = 31;
    let kept = (position >> (FRACTION_BITS - KEPT)) & ((1 << KEPT) - 1);
    kept as i32 as f32 / (1_u32 << KEPT) as f32
}

/// Four rows that stand one behind the other.
#[inline(always)]
fn quarters(rows: &[Row]) -> [&[Row]; 4] {
    let (head, tail) = rows.split_at(rows.len() / 2);
    let (first, second) = head.split_at(head.len() / 2);
    let (third, fourth) = tail.split_at(head.len() / 2);
    [first, second, third, fourth]
}

/// The products of four rows with inputs of their own, lane by lane.
#[inline(always)]
fn products<S: Simd>(simd: S, rows: [&[Row]; 4], inputs: [&[[f32; LANES]]; 4]) -> [S::Vector; 4] {
    if S::ACCUMULATORS >= 4 {
        return products_of(simd, rows, inputs);
    }
    let [a, b] = products_of(simd, [rows[0], rows[1]], [inputs[0], inputs[1]]);
    let [c, d] = products_of(simd, [rows[2], rows[3]], [inputs[2], inputs[3]]);
    [a, b, c, d]
}

#[inline(always)]
fn products_of<S: Simd, const COUNT: usize>(
    simd: S,
    rows: [&[Row]; COUNT],
    inputs: [&[[f32; LANES]]; COUNT],
) -> [S::Vector; COUNT] {
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
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolated_tables_stay_small_whatever_the_rates() {
        for (from_hz, to_hz) in [(8_000, 191_999), (191_999, 8_000), (44_101, 48_000)] {
            let prototype = Prototype::new(from_hz, to_hz, super::super::Quality::High);
            let taps = prototype.span().next_multiple_of(LANES);
            let tables = RowTables::interpolated(&prototype, Ratio::new(from_hz, to_hz), taps);
            assert!(size_of_val(&tables.rows[..]) <= 80 * 1024);
        }
    }
}

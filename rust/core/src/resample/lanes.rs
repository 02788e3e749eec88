//! Conversion for ratios of few phases: sixteen neighbouring outputs are the lanes of a vector.
//!
//! For a group of sixteen outputs, row `i` of its table holds what input `i` of their common span
//! contributes to each. One input is then one broadcast and one multiply-add for all sixteen, and
//! no sum across lanes is ever needed. Groups whose phases agree share a table, and are worked on
//! together, so that a row is loaded once for several of them.
#![allow(clippy::inline_always)] // kernels, see `simd`

use std::ops::Range;

use super::design::Prototype;
use super::ratio::{Ratio, as_f64, as_index};
use crate::simd::{InstructionSet, Kernel, LANES, Row, Simd};

const LANES_U64: u64 = LANES as u64;

/// The taps of every group of sixteen outputs that differs in its phases.
#[derive(Debug)]
pub(super) struct LaneTables {
    ratio: Ratio,
    /// `tables` times `span` rows.
    rows: Vec<Row>,
    tables: usize,
    /// How many inputs the sixteen outputs of a group are made of.
    span: usize,
}

impl LaneTables {
    /// How many floats the tables of a ratio take, at `taps` taps an output.
    pub(super) fn size(ratio: Ratio, taps: usize) -> usize {
        table_count(ratio) * span(ratio, taps) * LANES
    }

    pub(super) fn new(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let (tables, span) = (table_count(ratio), span(ratio, taps));
        let mut rows = vec![Row::ZERO; tables * span];
        for phase in 0..ratio.up {
            let fraction = as_f64(phase * ratio.down % ratio.up) / as_f64(ratio.up);
            let phase_taps = prototype.taps(fraction, taps);
            for output in (phase..tables as u64 * LANES_U64).step_by(as_index(ratio.up)) {
                let (group, lane) = (output / LANES_U64, as_index(output % LANES_U64));
                let first = ratio.newest_input(output) - ratio.newest_input(group * LANES_U64);
                let start = as_index(group) * span + as_index(first);
                for (row, &tap) in rows[start..].iter_mut().zip(&phase_taps) {
                    #[allow(clippy::cast_possible_truncation)] // the precision of the samples
                    let tap = tap as f32;
                    row.0[lane] = tap;
                }
            }
        }
        Self {
            ratio,
            rows,
            tables,
            span,
        }
    }

    /// The first output of the group that `output` belongs to.
    pub(super) fn group_start(output: u64) -> u64 {
        output / LANES_U64 * LANES_U64
    }

    /// How far beyond the newest input of an output the rest of its group reads.
    pub(super) fn look_ahead(&self) -> usize {
        as_index(LANES_U64 * self.ratio.down / self.ratio.up) + 1
    }

    /// Appends the outputs of the range to `out`.
    ///
    /// `history` begins with the first input that the first output's group is made of.
    pub(super) fn convert(
        &self,
        set: InstructionSet,
        history: &[f32],
        outputs: Range<u64>,
        staged: &mut Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        let first_group = outputs.start / LANES_U64;
        let groups = as_index(outputs.end.div_ceil(LANES_U64) - first_group);
        let wanted = as_index(outputs.end - outputs.start);
        staged.resize(groups * LANES, 0.0);
        let (staged_groups, _) = staged.as_chunks_mut::<LANES>();
        set.run(Groups {
            tables: self,
            first_group,
            history,
            out: staged_groups,
        });
        let skipped = as_index(outputs.start % LANES_U64);
        out.extend_from_slice(&staged[skipped..skipped + wanted]);
    }
}

fn table_count(ratio: Ratio) -> usize {
    // Phases repeat after `up` outputs, groups after the least common multiple of that and sixteen.
    as_index(ratio.up >> ratio.up.trailing_zeros().min(LANES.trailing_zeros()))
}

fn span(ratio: Ratio, taps: usize) -> usize {
    taps + as_index((LANES_U64 - 1) * ratio.down / ratio.up) + 1
}

/// Neighbouring groups, from `first_group` on.
struct Groups<'a> {
    tables: &'a LaneTables,
    first_group: u64,
    history: &'a [f32],
    out: &'a mut [[f32; LANES]],
}

impl Kernel for Groups<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let tables = self.tables.tables;
        for nth in 0..tables.min(self.out.len()) {
            let mut group = nth;
            while group < self.out.len() {
                let alike = (self.out.len() - group).div_ceil(tables);
                group += tables
                    * match alike.min(S::ACCUMULATORS) {
                        8.. => self.alike::<S, 8>(simd, group),
                        4.. => self.alike::<S, 4>(simd, group),
                        2.. => self.alike::<S, 2>(simd, group),
                        _ => self.alike::<S, 1>(simd, group),
                    };
            }
        }
    }
}

impl Groups<'_> {
    /// Computes `COUNT` groups that share a table: `group` and those a cycle of tables apart.
    #[inline(always)]
    fn alike<S: Simd, const COUNT: usize>(&mut self, simd: S, group: usize) -> usize {
        let LaneTables {
            ratio,
            rows,
            tables,
            span,
        } = self.tables;
        let absolute = self.first_group + group as u64;
        let table = as_index(absolute % *tables as u64);
        let rows = &rows[table * span..][..*span];
        let origin = ratio.newest_input(self.first_group * LANES_U64);
        let inputs: [&[f32]; COUNT] = std::array::from_fn(|nth| {
            let output = (absolute + (nth * tables) as u64) * LANES_U64;
            &self.history[as_index(ratio.newest_input(output) - origin)..][..*span]
        });
        for (nth, vector) in accumulate(simd, rows, inputs).into_iter().enumerate() {
            simd.store(vector, &mut self.out[group + nth * tables]);
        }
        COUNT
    }
}

/// The sum of `rows[i] * inputs[_][i]` over all rows.
///
/// Each group is summed alone and in the order of its inputs, so that its value does not depend on
/// which groups happen to be computed beside it.
#[inline(always)]
fn accumulate<S: Simd, const COUNT: usize>(
    simd: S,
    rows: &[Row],
    inputs: [&[f32]; COUNT],
) -> [S::Vector; COUNT] {
    let inputs = inputs.map(|input| &input[..rows.len()]);
    let mut sums = [simd.splat(0.0); COUNT];
    for (i, row) in rows.iter().enumerate() {
        let taps = simd.load(&row.0);
        for (sum, input) in sums.iter_mut().zip(&inputs) {
            *sum = simd.mul_add(simd.splat(input[i]), taps, *sum);
        }
    }
    sums
}

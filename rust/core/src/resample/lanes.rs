//! Conversion for ratios whose phases can be tabulated: sixteen neighbouring outputs are the lanes
//! of a vector.
//!
//! For a group of sixteen outputs, row `i` of its table holds what input `i` of their common span
//! contributes to each. One input is then one broadcast and one multiply-add for all sixteen, and
//! no sum across lanes is ever needed. Groups whose phases agree share a table, and are worked on
//! together, so that a row is loaded once for several of them. Phases repeat after a cycle of
//! outputs; where sixteen do not divide it, the last group of each cycle leaves lanes unused.
#![allow(clippy::inline_always)] // kernels, see `simd`

use std::ops::Range;

use super::design::Prototype;
use super::ratio::{Ratio, as_f64, as_index};
use crate::simd::{InstructionSet, Kernel, LANES, Row, Simd};

const LANES_U64: u64 = LANES as u64;

/// The most floats of a filter's table (512 kB): enough for every pair of usual rates.
const MAX_TABLE: usize = 128 * 1024;

/// The outputs after which groups repeat, and the number of groups of those.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    outputs: u64,
    groups: u64,
}

impl Cycle {
    /// The shortest cycle of whole groups, or that of the phases if the former takes too much
    /// memory.
    fn of(ratio: Ratio, span: usize) -> Self {
        // The least common multiple of the phases and sixteen.
        let twos = LANES
            .trailing_zeros()
            .saturating_sub(ratio.up.trailing_zeros());
        let whole = Self::after(ratio.up << twos);
        if whole.table(span) <= MAX_TABLE {
            whole
        } else {
            Self::after(ratio.up)
        }
    }

    fn after(outputs: u64) -> Self {
        Self {
            outputs,
            groups: outputs.div_ceil(LANES_U64),
        }
    }

    /// The number of floats that its groups take.
    fn table(self, span: usize) -> usize {
        as_index(self.groups).saturating_mul(span * LANES)
    }

    /// The group of an output.
    fn group(self, output: u64) -> u64 {
        output / self.outputs * self.groups + output % self.outputs / LANES_U64
    }

    /// The first output of a group.
    fn start(self, group: u64) -> u64 {
        group / self.groups * self.outputs + group % self.groups * LANES_U64
    }
}

/// The taps of every group of sixteen outputs, one table for all groups of the same phases.
#[derive(Debug)]
pub(super) struct LaneTables {
    ratio: Ratio,
    cycle: Cycle,
    /// `span` rows for each group of a cycle.
    rows: Vec<Row>,
    /// The number of inputs that the sixteen outputs of a group need.
    span: usize,
}

impl LaneTables {
    /// True if the taps of every phase, `taps` each, fit in [`MAX_TABLE`].
    pub(super) fn fit(ratio: Ratio, taps: usize) -> bool {
        let span = span(ratio, taps);
        Cycle::of(ratio, span).table(span) <= MAX_TABLE
    }

    pub(super) fn new(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        let span = span(ratio, taps);
        let cycle = Cycle::of(ratio, span);
        let mut rows = vec![Row::ZERO; as_index(cycle.groups) * span];
        for phase in 0..ratio.up {
            let fraction = as_f64(ratio.rest(phase)) / as_f64(ratio.up);
            let phase_taps = prototype.taps(fraction, taps);
            for output in (phase..cycle.outputs).step_by(as_index(ratio.up)) {
                let group = cycle.group(output);
                let start = cycle.start(group);
                let first = ratio.newest_input(output) - ratio.newest_input(start);
                let (first, lane) = (as_index(first), as_index(output - start));
                let rows = &mut rows[as_index(group) * span..][first..];
                for (row, &tap) in rows.iter_mut().zip(&phase_taps) {
                    #[allow(clippy::cast_possible_truncation)] // the precision of the samples
                    let tap = tap as f32;
                    row.0[lane] = tap;
                }
            }
        }
        Self {
            ratio,
            cycle,
            rows,
            span,
        }
    }

    /// The first output of the group of `output`.
    pub(super) fn group_start(&self, output: u64) -> u64 {
        self.cycle.start(self.cycle.group(output))
    }

    /// The number of inputs after the newest one of an output that the rest of its group reads.
    pub(super) fn look_ahead(&self) -> usize {
        as_index(LANES_U64 * self.ratio.down / self.ratio.up) + 1
    }

    /// Appends the outputs of the range to `out`.
    ///
    /// `history` begins with the first input that the first output's group needs.
    pub(super) fn convert(
        &self,
        set: InstructionSet,
        history: &[f32],
        outputs: Range<u64>,
        staged: &mut Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        let first_group = self.cycle.group(outputs.start);
        let groups = as_index(self.cycle.group(outputs.end - 1) + 1 - first_group);
        staged.resize(groups * LANES, 0.0);
        let (staged_groups, _) = staged.as_chunks_mut::<LANES>();
        set.run(Groups {
            tables: self,
            first_group,
            history,
            out: staged_groups,
        });
        self.append(staged, outputs, out);
    }

    /// Appends the outputs of the range, without the unused lanes.
    fn append(&self, staged: &[f32], outputs: Range<u64>, out: &mut Vec<f32>) {
        let Cycle { outputs: cycle, .. } = self.cycle;
        let staged_from = self.cycle.group(outputs.start) * LANES_U64;
        let mut next = outputs.start;
        while next < outputs.end {
            let end = if cycle.is_multiple_of(LANES_U64) {
                outputs.end
            } else {
                outputs.end.min(next - next % cycle + cycle)
            };
            let place = self.cycle.group(next) * LANES_U64 + next % cycle % LANES_U64;
            let run = &staged[as_index(place - staged_from)..][..as_index(end - next)];
            out.extend_from_slice(run);
            next = end;
        }
    }
}

/// The number of inputs that sixteen neighbouring outputs of `taps` taps need.
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
        let tables = as_index(self.tables.cycle.groups);
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
    /// Computes `COUNT` groups that share a table, `group` and those a cycle of tables apart;
    /// returns `COUNT`.
    #[inline(always)]
    fn alike<S: Simd, const COUNT: usize>(&mut self, simd: S, group: usize) -> usize {
        let LaneTables {
            ratio,
            cycle,
            rows,
            span,
        } = self.tables;
        let tables = as_index(cycle.groups);
        let absolute = self.first_group + group as u64;
        let rows = &rows[as_index(absolute % cycle.groups) * span..][..*span];
        let origin = ratio.newest_input(cycle.start(self.first_group));
        let inputs: [&[f32]; COUNT] = std::array::from_fn(|nth| {
            let output = cycle.start(absolute + nth as u64 * cycle.groups);
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
/// the groups that are computed beside it, and so not on how the input is cut.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fill_a_cycle_or_end_with_the_phases() {
        for (to_hz, span, outputs, groups) in [
            (16_000, 263, 16, 1),
            (44_100, 16, 147 * 16, 147),
            (44_100, 175, 147, 10),
        ] {
            let cycle = Cycle::of(Ratio::new(48_000, to_hz), span);
            assert_eq!((cycle.outputs, cycle.groups), (outputs, groups));
            for output in [0, 15, 16, outputs - 1, outputs, outputs + 17] {
                let start = cycle.start(cycle.group(output));
                assert!(start <= output && output < start + LANES_U64, "{output}");
                assert_eq!(start / outputs, output / outputs);
            }
        }
    }

    #[test]
    fn usual_rates_fit() {
        let rates_hz = [
            8_000, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
        ];
        let pairs_hz = rates_hz
            .into_iter()
            .flat_map(|from_hz| rates_hz.map(|to_hz| (from_hz, to_hz)));
        for (from_hz, to_hz) in pairs_hz.chain([(11_025, 48_000), (48_000, 11_025)]) {
            let taps = (144 * u64::from(from_hz)).div_ceil(from_hz.min(to_hz).into());
            let ratio = Ratio::new(from_hz, to_hz);
            assert!(
                LaneTables::fit(ratio, as_index(taps)),
                "{from_hz} to {to_hz}"
            );
        }
    }
}

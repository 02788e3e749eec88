//! The running filter: which inputs to keep, which outputs are due.

use std::ops::Range;

use super::Quality;
use super::design::Prototype;
use super::lanes::LaneTables;
use super::ratio::{Ratio, as_index};
use super::rows::RowTables;
use crate::simd::{InstructionSet, LANES};

/// The most floats (512 kB) that a filter tabulates phase by phase; enough for every pair of usual
/// rates. Phases of the others are interpolated.
const MAX_TABLE: usize = 128 * 1024;

/// The two ways to compute a filter.
#[derive(Debug)]
enum Tables {
    Lanes(LaneTables),
    Rows(RowTables),
}

impl Tables {
    fn new(prototype: &Prototype, ratio: Ratio, taps: usize) -> Self {
        if LaneTables::size(ratio, taps) <= MAX_TABLE {
            Self::Lanes(LaneTables::new(prototype, ratio, taps))
        } else if as_index(ratio.up).saturating_mul(taps) <= MAX_TABLE {
            Self::Rows(RowTables::exact(prototype, ratio, taps))
        } else {
            Self::Rows(RowTables::interpolated(prototype, ratio, taps))
        }
    }

    /// The earliest output whose inputs must be kept to compute `output`.
    fn first_computed(&self, output: u64) -> u64 {
        match self {
            Self::Lanes(_) => LaneTables::group_start(output),
            Self::Rows(_) => output,
        }
    }

    /// How many samples of silence must follow the newest input an output is made of.
    fn look_ahead(&self) -> usize {
        match self {
            Self::Lanes(tables) => tables.look_ahead(),
            Self::Rows(_) => 0,
        }
    }
}

/// The filter of one stream: its taps, and the inputs it still needs.
#[derive(Debug)]
pub(super) struct Filter {
    ratio: Ratio,
    /// The constant delay in output samples.
    pub(super) delay_outputs: u64,
    taps: usize,
    tables: Tables,
    set: InstructionSet,
    /// Inputs in order, preceded by the silence before the first. Output `n` is made of `taps` of
    /// them from position `ratio.newest_input(n)` on, `dropped` of which are gone.
    history: Vec<f32>,
    dropped: u64,
    received: u64,
    produced: u64,
    staged: Vec<f32>,
}

impl Filter {
    pub(super) fn new(from_hz: u32, to_hz: u32, quality: Quality, set: InstructionSet) -> Self {
        let ratio = Ratio::new(from_hz, to_hz);
        let prototype = Prototype::new(from_hz, to_hz, quality);
        let taps = prototype.span().next_multiple_of(LANES);
        let mut filter = Self {
            ratio,
            delay_outputs: prototype.delay_outputs,
            taps,
            tables: Tables::new(&prototype, ratio, taps),
            set,
            history: Vec::new(),
            dropped: 0,
            received: 0,
            produced: 0,
            staged: Vec::new(),
        };
        filter.reset();
        filter
    }

    pub(super) fn reset(&mut self) {
        self.history.clear();
        self.history.resize(self.taps - 1, 0.0);
        (self.dropped, self.received, self.produced) = (0, 0, 0);
    }

    pub(super) fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.history.extend_from_slice(input);
        self.received += input.len() as u64;
        self.produce(self.ratio.outputs(self.received), out);
    }

    pub(super) fn flush(&mut self, out: &mut Vec<f32>) {
        if self.received > 0 {
            let end = self.produced + self.delay_outputs;
            let missing = self.ratio.newest_input(end) + 1 - self.received;
            self.history
                .resize(self.history.len() + as_index(missing), 0.0);
            self.produce(end, out);
        }
        self.reset();
    }

    /// Appends all outputs up to `end`, then drops the inputs that no later output needs.
    fn produce(&mut self, end: u64, out: &mut Vec<f32>) {
        if end > self.produced {
            // Lanes beyond `end` are computed from silence, and not used.
            let heard = self.history.len();
            self.history.resize(heard + self.tables.look_ahead(), 0.0);
            self.convert(self.produced..end, out);
            self.history.truncate(heard);
            self.produced = end;
        }
        let keep_from = self
            .ratio
            .newest_input(self.tables.first_computed(self.produced));
        self.history.drain(..as_index(keep_from - self.dropped));
        self.dropped = keep_from;
    }

    fn convert(&mut self, outputs: Range<u64>, out: &mut Vec<f32>) {
        match &self.tables {
            Tables::Lanes(tables) => {
                tables.convert(self.set, &self.history, outputs, &mut self.staged, out);
            }
            Tables::Rows(tables) => tables.convert(self.set, &self.history, outputs, out),
        }
    }
}

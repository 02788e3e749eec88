//! The state of one filter: the inputs that later outputs need, and the outputs that are due.

use std::ops::Range;

use super::design::Prototype;
use super::farrow::FarrowTables;
use super::lanes::LaneTables;
use super::ratio::{Ratio, as_index};
use crate::simd::InstructionSet;

/// The two ways to compute a filter.
#[derive(Debug)]
enum Tables {
    Lanes(LaneTables),
    Farrow(FarrowTables),
}

impl Tables {
    /// The earliest output whose inputs must be kept to compute `output`.
    fn first_computed(&self, output: u64) -> u64 {
        match self {
            Self::Lanes(tables) => tables.group_start(output),
            Self::Farrow(_) => output,
        }
    }

    /// The number of samples of silence that must follow the newest input of an output.
    fn look_ahead(&self) -> usize {
        match self {
            Self::Lanes(tables) => tables.look_ahead(),
            Self::Farrow(_) => 0,
        }
    }
}

/// A filter with its taps and the inputs that it still needs.
#[derive(Debug)]
pub(super) struct Filter {
    ratio: Ratio,
    taps: usize,
    tables: Tables,
    set: InstructionSet,
    /// Inputs in order, preceded by the silence before the first. Output `n` is a sum over `taps`
    /// of them from position `ratio.newest_input(n)` on; the first `dropped` positions are gone.
    history: Vec<f32>,
    dropped: u64,
    received: u64,
    produced: u64,
    staged: Vec<f32>,
}

impl Filter {
    /// A filter with the taps of every phase, for a ratio whose tables [`LaneTables::fit`].
    pub(super) fn exact(prototype: &Prototype, ratio: Ratio, set: InstructionSet) -> Self {
        let taps = prototype.span();
        let tables = Tables::Lanes(LaneTables::new(prototype, ratio, taps));
        Self::with_tables(tables, taps, ratio, set)
    }

    /// A filter of [`FarrowTables::TAPS`] taps at most, for any ratio.
    pub(super) fn interpolating(prototype: &Prototype, ratio: Ratio, set: InstructionSet) -> Self {
        let tables = Tables::Farrow(FarrowTables::new(prototype, ratio));
        Self::with_tables(tables, FarrowTables::TAPS, ratio, set)
    }

    fn with_tables(tables: Tables, taps: usize, ratio: Ratio, set: InstructionSet) -> Self {
        let mut filter = Self {
            ratio,
            taps,
            tables,
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

    /// The number of inputs that the outputs up to `end` need.
    pub(super) fn inputs_of(&self, end: u64) -> u64 {
        end.checked_sub(1)
            .map_or(0, |last| self.ratio.newest_input(last) + 1)
    }

    /// The most outputs that so many further inputs make due.
    pub(super) fn max_outputs(&self, inputs: usize) -> usize {
        as_index(self.ratio.outputs(inputs as u64))
    }

    /// The end of the outputs whose inputs have been received.
    pub(super) fn due(&self) -> u64 {
        self.ratio.outputs(self.received)
    }

    pub(super) fn push(&mut self, input: &[f32]) {
        // The number of inputs kept varies by those of an output or of a group of outputs. Room for
        // the most of them is reserved now, so that no later frame allocates.
        let step = as_index(self.ratio.down.div_ceil(self.ratio.up));
        let max_inputs = self.taps + 2 * (step + self.tables.look_ahead()) + input.len();
        self.history
            .reserve(max_inputs.saturating_sub(self.history.len()));
        self.history.extend_from_slice(input);
        self.received += input.len() as u64;
    }

    /// Appends as much silence as the outputs up to `end` still need.
    pub(super) fn push_silence(&mut self, end: u64) {
        let missing = self.inputs_of(end).saturating_sub(self.received);
        self.history
            .resize(self.history.len() + as_index(missing), 0.0);
        self.received += missing;
    }

    /// Appends all outputs up to `end`, whose inputs have been received; drops the inputs that no
    /// later output needs.
    pub(super) fn produce(&mut self, end: u64, out: &mut Vec<f32>) {
        if end > self.produced {
            // Lanes beyond `end` are computed from silence, and not used.
            let received = self.history.len();
            self.history
                .resize(received + self.tables.look_ahead(), 0.0);
            self.convert(self.produced..end, out);
            self.history.truncate(received);
            self.produced = end;
        }
        let keep_from = self
            .ratio
            .newest_input(self.tables.first_computed(self.produced));
        // The bound: the next output may need only inputs that are not received yet.
        let gone = as_index(keep_from - self.dropped).min(self.history.len());
        self.history.drain(..gone);
        self.dropped += gone as u64;
    }

    fn convert(&mut self, range: Range<u64>, out: &mut Vec<f32>) {
        match &self.tables {
            Tables::Lanes(tables) => {
                tables.convert(self.set, &self.history, range, &mut self.staged, out);
            }
            Tables::Farrow(tables) => tables.convert(self.set, &self.history, range, out),
        }
    }
}

//! The filters of a conversion: one, or two where a ratio has more phases than can be tabulated.
//!
//! Of the two, the first limits the band, at an intermediate rate of at least twice the lower rate.
//! The second interpolates between the samples of that rate; the room above the band is its
//! transition, which is so wide that sixteen taps suffice. One filter for both, with taps for
//! places instead of phases, would compute all its taps again for each output: more than a hundred
//! of them.

use super::Quality;
use super::design::{Band, Prototype};
use super::farrow::FarrowTables;
use super::filter::Filter;
use super::lanes::LaneTables;
use super::ratio::{Ratio, as_f64};
use crate::simd::InstructionSet;

/// The lowest intermediate rate in Hz: the second filter delays by 8 samples of it at most, that is
/// 0.2 ms.
const MIN_BETWEEN_HZ: u32 = 44_100;
/// The attenuation of images by the second filter, where sixteen taps can reach it: below the noise
/// of the first.
const IMAGES_DB: f64 = 128.0;

/// The filters of one stream, and its position.
#[derive(Debug)]
pub(super) struct Cascade {
    ratio: Ratio,
    /// The constant delay in output samples: a whole number, so that the output lies on the input's
    /// own grid.
    pub(super) delay_outputs: u64,
    received: u64,
    filters: Filters,
}

#[derive(Debug)]
enum Filters {
    One(Filter),
    Two {
        first: Filter,
        second: Filter,
        between: Vec<f32>,
    },
}

impl Cascade {
    pub(super) fn new(from_hz: u32, to_hz: u32, quality: Quality, set: InstructionSet) -> Self {
        let ratio = Ratio::new(from_hz, to_hz);
        let delay_outputs =
            quality.reach_periods() * u64::from(to_hz) / u64::from(from_hz.min(to_hz));
        let half_width = as_f64(delay_outputs) * f64::from(from_hz) / f64::from(to_hz);
        let prototype = limiting(from_hz, to_hz, quality, half_width);
        if LaneTables::fit(ratio, prototype.span()) {
            Self {
                ratio,
                delay_outputs,
                received: 0,
                filters: Filters::One(Filter::exact(&prototype, ratio, set)),
            }
        } else {
            Self::of_two(from_hz, to_hz, quality, set)
        }
    }

    fn of_two(from_hz: u32, to_hz: u32, quality: Quality, set: InstructionSet) -> Self {
        let lower_hz = from_hz.min(to_hz);
        let [first, second] = ratios(from_hz, to_hz);
        let between_hz = f64::from(from_hz) * as_f64(first.up) / as_f64(first.down);
        let band = quality.band(lower_hz);
        let edge_hz = f64::midpoint(band.pass_hz, band.stop_hz);
        let room = Band {
            pass_hz: edge_hz,
            stop_hz: between_hz - edge_hz,
        };
        let second_half_width = room
            .half_width(between_hz, IMAGES_DB)
            .min(FarrowTables::HALF_WIDTH);
        let second_delay_s = second_half_width / between_hz;
        let least_s = as_f64(quality.reach_periods()) / f64::from(lower_hz) + second_delay_s;
        let delay = (least_s * f64::from(to_hz)).ceil();
        // The first filter is wider by the time that the rounding up adds: more attenuation for the
        // same delay.
        let half_width = (delay / f64::from(to_hz) - second_delay_s) * f64::from(from_hz);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 < delay < 4000
        let delay_outputs = delay as u64;
        let limiting = limiting(from_hz, to_hz, quality, half_width);
        let interpolating = Prototype::new(room, between_hz, second_half_width);
        Self {
            ratio: Ratio::new(from_hz, to_hz),
            delay_outputs,
            received: 0,
            filters: Filters::Two {
                first: Filter::exact(&limiting, first, set),
                second: Filter::interpolating(&interpolating, second, set),
                between: Vec::new(),
            },
        }
    }

    pub(super) fn reset(&mut self) {
        self.received = 0;
        match &mut self.filters {
            Filters::One(only) => only.reset(),
            Filters::Two { first, second, .. } => {
                first.reset();
                second.reset();
            }
        }
    }

    pub(super) fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.received += input.len() as u64;
        match &mut self.filters {
            Filters::One(only) => only.push(input),
            Filters::Two { first, between, .. } => {
                first.push(input);
                between.reserve(first.max_outputs(input.len()));
            }
        }
        self.produce(self.ratio.outputs(self.received), out);
    }

    pub(super) fn flush(&mut self, out: &mut Vec<f32>) {
        if self.received > 0 {
            let end = self.ratio.outputs(self.received) + self.delay_outputs;
            match &mut self.filters {
                Filters::One(only) => only.push_silence(end),
                Filters::Two { first, second, .. } => first.push_silence(second.inputs_of(end)),
            }
            self.produce(end, out);
        }
        self.reset();
    }

    /// Appends all outputs up to `end`.
    fn produce(&mut self, end: u64, out: &mut Vec<f32>) {
        match &mut self.filters {
            Filters::One(only) => only.produce(end, out),
            Filters::Two {
                first,
                second,
                between,
            } => {
                first.produce(first.due(), between);
                second.push(between);
                between.clear();
                second.produce(end, out);
            }
        }
    }
}

/// The filter that keeps the band of the lower rate.
fn limiting(from_hz: u32, to_hz: u32, quality: Quality, half_width: f64) -> Prototype {
    let band = quality.band(from_hz.min(to_hz));
    Prototype::new(band, f64::from(from_hz), half_width)
}

/// The ratios to and from an intermediate rate that has room for the second filter's transition.
fn ratios(from_hz: u32, to_hz: u32) -> [Ratio; 2] {
    let least_hz = MIN_BETWEEN_HZ.max(2 * from_hz.min(to_hz));
    // A whole multiple or fraction of the input's rate, so that the first filter has few phases.
    let (up, down) = (least_hz.div_ceil(from_hz), (from_hz / least_hz).max(1));
    [
        Ratio::new(down, up),
        Ratio::of(
            u64::from(to_hz) * u64::from(down),
            u64::from(from_hz) * u64::from(up),
        ),
    ]
}

//! Exact arithmetic of sample positions at two rates, in whole numbers.
//!
//! Floating-point positions would drift: the output must not depend on the length of the stream.

/// `to_hz / from_hz` in lowest terms, and the arithmetic of sample positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio {
    /// Outputs per [`Self::down`] inputs.
    pub(super) up: u64,
    /// Inputs per [`Self::up`] outputs.
    pub(super) down: u64,
}

impl Ratio {
    pub(super) fn new(from_hz: u32, to_hz: u32) -> Self {
        Self::of(u64::from(to_hz), u64::from(from_hz))
    }

    /// `up / down` in lowest terms.
    pub(super) fn of(up: u64, down: u64) -> Self {
        let divisor = greatest_common_divisor(up, down);
        Self {
            up: up / divisor,
            down: down / divisor,
        }
    }

    /// The number of outputs for which `inputs` samples suffice.
    pub(super) fn outputs(self, inputs: u64) -> u64 {
        (inputs * self.up).div_ceil(self.down)
    }

    /// The distance of output `output` from [`Self::newest_input`], in `1 / up` of an input sample.
    pub(super) fn rest(self, output: u64) -> u64 {
        output * self.down % self.up
    }

    /// The index of the newest input that output `output` needs.
    ///
    /// At 192 kHz the product stays below 2^64 for more than ten years.
    pub(super) fn newest_input(self, output: u64) -> u64 {
        output * self.down / self.up
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// A count as a real number; counts here stay far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A count of samples in a buffer, which fits the address space.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn as_index(count: u64) -> usize {
    count as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_reduced_to_lowest_terms() {
        let ratio = Ratio::new(44_100, 48_000);
        assert_eq!((ratio.up, ratio.down), (160, 147));
    }

    #[test]
    fn twenty_milliseconds_result_in_twenty_milliseconds() {
        assert_eq!(Ratio::new(44_100, 48_000).outputs(882), 960);
        assert_eq!(Ratio::new(48_000, 16_000).outputs(960), 320);
    }

    #[test]
    fn a_started_period_results_in_an_output() {
        assert_eq!(Ratio::new(48_000, 16_000).outputs(1), 1);
        assert_eq!(Ratio::new(48_000, 16_000).outputs(4), 2);
    }

    #[test]
    fn the_last_output_needs_no_later_input() {
        for (from_hz, to_hz) in [(48_000, 16_000), (8_000, 48_000), (44_100, 48_000)] {
            let ratio = Ratio::new(from_hz, to_hz);
            for inputs in 1..1_000 {
                assert!(ratio.newest_input(ratio.outputs(inputs) - 1) < inputs);
                assert!(ratio.newest_input(ratio.outputs(inputs)) >= inputs);
            }
        }
    }
}

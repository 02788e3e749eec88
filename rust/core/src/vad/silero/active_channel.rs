//! What a layer of the net hears: the channels that are not silent.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

/// A channel and its value at each time step.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActiveChannel<const STEPS: usize> {
    pub(super) channel: usize,
    pub(super) steps: [f32; STEPS],
}

impl<const STEPS: usize> ActiveChannel<STEPS> {
    pub(super) const NOTHING: Self = Self {
        channel: 0,
        steps: [0.0; STEPS],
    };
}

/// Rectifies the outputs of a layer, given for each step, and lists the channels of which something
/// is left, in their order; `list` has room for all.
///
/// To leave the others out of a sum does not change its last bit: they would add zero.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // an index counts channels of several steps at once
pub(super) fn rectified<'a, const STEPS: usize, const CHANNELS: usize>(
    outputs: &[[f32; CHANNELS]; STEPS],
    list: &'a mut [ActiveChannel<STEPS>],
) -> &'a [ActiveChannel<STEPS>] {
    let list = &mut list[..CHANNELS];
    let mut count = 0;
    for channel in 0..CHANNELS {
        let steps: [f32; STEPS] = std::array::from_fn(|step| outputs[step][channel].max(0.0));
        // Without a branch, which would be guessed wrong every other time.
        list[count] = ActiveChannel { channel, steps };
        count += usize::from(steps.iter().sum::<f32>() > 0.0);
    }
    &list[..count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_zero_at_some_step_is_heard_and_nothing_else() {
        let outputs = [[-1.0, 0.5, 0.0, -2.0], [-1.0, -3.0, 0.0, 1e-40]];
        let mut list = [ActiveChannel::NOTHING; 4];
        let heard: Vec<_> = rectified(&outputs, &mut list)
            .iter()
            .map(|heard| (heard.channel, heard.steps.map(f32::to_bits)))
            .collect();
        let bits = |steps: [f32; 2]| steps.map(f32::to_bits);
        assert_eq!(heard, [(1, bits([0.5, 0.0])), (3, bits([0.0, 1e-40]))]);
    }
}

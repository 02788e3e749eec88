//! The inputs of a layer of the net: the channels that are not zero.
#![allow(clippy::inline_always)] // part of a kernel, see `simd`

/// A channel and its value at each time step.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActiveChannel<const STEPS: usize> {
    pub(super) channel: usize,
    pub(super) steps: [f32; STEPS],
}

impl<const STEPS: usize> ActiveChannel<STEPS> {
    pub(super) const EMPTY: Self = Self {
        channel: 0,
        steps: [0.0; STEPS],
    };
}

/// Rectifies the outputs of a layer, one array for each step, and lists the channels that are above
/// zero at some step, in their order; `list` has room for all.
///
/// Sums without the other channels are the same to the last bit: they would add zero.
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
        // Every channel is stored, and the next one overwrites it if it was zero: a branch would be
        // mispredicted every other time.
        list[count] = ActiveChannel { channel, steps };
        count += usize::from(steps.iter().sum::<f32>() > 0.0);
    }
    &list[..count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_above_zero_at_some_step_are_active_and_no_others() {
        let outputs = [[-1.0, 0.5, 0.0, -2.0], [-1.0, -3.0, 0.0, 1e-40]];
        let mut list = [ActiveChannel::EMPTY; 4];
        let active: Vec<_> = rectified(&outputs, &mut list)
            .iter()
            .map(|active| (active.channel, active.steps.map(f32::to_bits)))
            .collect();
        let bits = |steps: [f32; 2]| steps.map(f32::to_bits);
        assert_eq!(active, [(1, bits([0.5, 0.0])), (3, bits([0.0, 1e-40]))]);
    }
}

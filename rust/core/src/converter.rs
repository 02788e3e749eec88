//! One channel on its way from one rate to another: `f32` in, int16 out.

use crate::{AudioError, Quality, Resampler, sample};

/// Resamples and quantises one channel with buffers of its own. Between equal rates int16 comes out
/// as it went in.
#[derive(Debug)]
pub(crate) struct Converter {
    resampler: Resampler,
    /// Whether something went in since the start or the last flush.
    is_fed: bool,
    /// Samples still to be dropped from the head of the output.
    lead: usize,
    native: Vec<f32>,
    resampled: Vec<f32>,
    pcm: Vec<i16>,
}

impl Converter {
    /// A converter at the start of a sound: what comes out begins with the resampler's delay.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        Ok(Self {
            resampler: Resampler::new(from_hz, to_hz, Quality::High)?,
            is_fed: false,
            lead: 0,
            native: Vec::new(),
            resampled: Vec::new(),
            pcm: Vec::new(),
        })
    }

    /// A converter that goes on where another was flushed: the delay is cut off, for a gap there
    /// would be heard.
    pub fn continuing(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        let mut converter = Self::new(from_hz, to_hz)?;
        converter.lead = converter.resampler.delay_samples();
        Ok(converter)
    }

    /// The most samples that [`Self::convert`] gives for `input_len`.
    pub fn max_output(&self, input_len: usize) -> usize {
        self.resampler.max_output(input_len)
    }

    /// The emptied buffer to put the next samples into.
    pub fn input(&mut self) -> &mut Vec<f32> {
        self.native.clear();
        &mut self.native
    }

    /// Converts what was put into [`Self::input`]; the result is valid until the next call.
    pub fn convert(&mut self) -> &[i16] {
        self.is_fed |= !self.native.is_empty();
        self.resampled.clear();
        self.resampler.process(&self.native, &mut self.resampled);
        self.quantise()
    }

    /// What the delay still holds back, nothing when nothing went in; starts afresh.
    pub fn flush(&mut self) -> &[i16] {
        self.resampled.clear();
        if self.is_fed {
            self.resampler.flush(&mut self.resampled);
        }
        self.is_fed = false;
        self.quantise()
    }

    /// Forgets the sound so far.
    pub fn reset(&mut self) {
        self.resampler.reset();
        (self.is_fed, self.lead) = (false, 0);
    }

    fn quantise(&mut self) -> &[i16] {
        let dropped = self.lead.min(self.resampled.len());
        self.lead -= dropped;
        self.pcm.clear();
        sample::append_i16(&self.resampled[dropped..], &mut self.pcm);
        &self.pcm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(converter: &mut Converter, input: &[f32]) -> Vec<i16> {
        converter.input().extend_from_slice(input);
        converter.convert().to_vec()
    }

    #[test]
    fn equal_rates_pass_int16_through_unchanged() {
        let mut converter = Converter::new(48_000, 48_000).unwrap();
        let input: Vec<f32> = (-5..5).map(|n| sample::i16_to_f32(n * 3000)).collect();
        let expected: Vec<i16> = (-5..5).map(|n| n * 3000).collect();
        assert_eq!(converted(&mut converter, &input), expected);
        assert!(converter.flush().is_empty());
    }

    #[test]
    fn a_rate_out_of_range_is_refused_on_either_side() {
        for (from_hz, to_hz) in [(7_999, 48_000), (48_000, 192_001), (0, 0)] {
            assert!(
                Converter::new(from_hz, to_hz).is_err(),
                "{from_hz} to {to_hz}"
            );
        }
    }

    #[test]
    fn going_on_leaves_the_delay_out() {
        let whole = |mut converter: Converter| {
            let head = converted(&mut converter, &[0.5; 800]);
            [&head, converter.flush()].concat()
        };
        let fresh = whole(Converter::new(16_000, 48_000).unwrap());
        let going_on = whole(Converter::continuing(16_000, 48_000).unwrap());
        assert_eq!(going_on.len(), 2400);
        assert_eq!(going_on, fresh[fresh.len() - 2400..]);
    }

    #[test]
    fn a_second_flush_gives_nothing() {
        let mut converter = Converter::new(16_000, 48_000).unwrap();
        assert!(converter.flush().is_empty());
        converted(&mut converter, &[0.5; 800]);
        converter.flush();
        assert!(converter.flush().is_empty());
    }
}

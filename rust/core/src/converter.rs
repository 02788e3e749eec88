//! Conversion of one channel from one rate to another: `f32` in, int16 out.

use crate::{AudioError, Quality, Resampler, sample};

/// Resamples and quantises one channel, with its own buffers. Between equal rates int16 samples
/// pass unchanged.
#[derive(Debug)]
pub(crate) struct Converter {
    resampler: Resampler,
    /// True if samples went in since the start or the last flush.
    is_fed: bool,
    /// Samples still to be dropped from the head of the output; see [`Self::continuing`].
    lead: usize,
    native: Vec<f32>,
    resampled: Vec<f32>,
    pcm: Vec<i16>,
}

impl Converter {
    /// A converter at the start of a stream: its output begins with the resampler's delay.
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

    /// A converter that goes on where another one was flushed: its delay is cut off, because it
    /// would be an audible gap.
    pub fn continuing(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        let mut converter = Self::new(from_hz, to_hz)?;
        converter.skip_delay();
        Ok(converter)
    }

    /// Cuts the delay off the next samples; see [`Self::continuing`].
    pub fn skip_delay(&mut self) {
        self.lead = self.delay_samples();
    }

    /// The samples by which the output lags, and the most that [`Self::flush`] returns.
    pub fn delay_samples(&self) -> usize {
        self.resampler.delay_samples()
    }

    /// The most samples that [`Self::convert`] returns for `input_len`.
    pub fn max_output(&self, input_len: usize) -> usize {
        self.resampler.max_output(input_len)
    }

    /// The emptied buffer for the next samples.
    pub fn input(&mut self) -> &mut Vec<f32> {
        self.native.clear();
        &mut self.native
    }

    /// Converts the samples in [`Self::input`]; the result is valid until the next call.
    pub fn convert(&mut self) -> &[i16] {
        self.is_fed |= !self.native.is_empty();
        self.resampled.clear();
        self.resampler.process(&self.native, &mut self.resampled);
        self.quantise()
    }

    /// Returns the samples that the delay still holds back, none if none went in; then starts
    /// again.
    pub fn flush(&mut self) -> &[i16] {
        self.resampled.clear();
        if self.is_fed {
            self.resampler.flush(&mut self.resampled);
        }
        self.is_fed = false;
        self.quantise()
    }

    /// Discards all state.
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
    fn a_continuing_converter_leaves_the_delay_out() {
        let whole = |mut converter: Converter| {
            let head = converted(&mut converter, &[0.5; 800]);
            [&head, converter.flush()].concat()
        };
        let fresh = whole(Converter::new(16_000, 48_000).unwrap());
        let continuing = whole(Converter::continuing(16_000, 48_000).unwrap());
        assert_eq!(continuing.len(), 2400);
        assert_eq!(continuing, fresh[fresh.len() - 2400..]);
    }

    #[test]
    fn a_second_flush_returns_nothing() {
        let mut converter = Converter::new(16_000, 48_000).unwrap();
        assert!(converter.flush().is_empty());
        converted(&mut converter, &[0.5; 800]);
        converter.flush();
        assert!(converter.flush().is_empty());
    }
}

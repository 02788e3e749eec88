//! Inbound audio: from the session's format to the handler's.

use crate::converter::Converter;
use crate::memory::PIECE_SAMPLES;
use crate::sample::{self, Layout};
use crate::{AudioError, AudioFifo};

/// Downmixes, resamples and saturates the received audio, and cuts it into frames for a handler.
///
/// Write with [`Self::process`], then read with [`Self::next_frame`] until it returns `None`.
#[derive(Debug)]
pub struct InboundAudio {
    call_channels: u16,
    layout: Layout,
    /// One for each of the handler's channels; none between equal rates, where int16 stays int16.
    converters: Vec<Converter>,
    packed: Vec<i16>,
    fifo: AudioFifo<i16>,
}

impl InboundAudio {
    /// A conversion from `call_channels` interleaved channels at `call_rate_hz` to frames of
    /// `frame_samples` per channel at `handler_rate_hz`.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 8 to 192 kHz, [`AudioError::Channels`] unless
    /// there are 1 or 2, [`AudioError::Setting`] unless frames have 1 sample to a minute's.
    pub fn new(
        call_rate_hz: u32,
        call_channels: u16,
        handler_rate_hz: u32,
        layout: Layout,
        frame_samples: usize,
    ) -> Result<Self, AudioError> {
        if !(1..=2).contains(&call_channels) {
            return Err(AudioError::Channels {
                got: usize::from(call_channels),
            });
        }
        let mut converters = (0..layout.channels())
            .map(|_| Converter::new(call_rate_hz, handler_rate_hz))
            .collect::<Result<Vec<_>, _>>()?;
        if call_rate_hz == handler_rate_hz {
            converters.clear();
        }
        Ok(Self {
            call_channels,
            layout,
            converters,
            packed: Vec::new(),
            fifo: AudioFifo::new(frame_samples.saturating_mul(layout.channels()))?,
        })
    }

    /// Takes any number of interleaved samples.
    ///
    /// # Errors
    /// [`AudioError::InterleavedLength`] unless there are as many of each channel,
    /// [`AudioError::OutOfMemory`] where there is no memory for them; none is taken then.
    pub fn process(&mut self, samples: &[i16]) -> Result<(), AudioError> {
        let channels = usize::from(self.call_channels);
        if !samples.len().is_multiple_of(channels) {
            return Err(AudioError::InterleavedLength {
                channels,
                got: samples.len(),
            });
        }
        self.reserve(samples.len() / channels)?;
        for piece in samples.chunks(PIECE_SAMPLES * channels) {
            self.take(piece);
        }
        Ok(())
    }

    /// Makes room for the result of so many samples per channel.
    fn reserve(&mut self, samples: usize) -> Result<(), AudioError> {
        let first = self.converters.first();
        let converted = first.map_or(samples, |converter| converter.max_output(samples));
        self.fifo
            .reserve(converted.saturating_mul(self.layout.channels()))
    }

    fn take(&mut self, samples: &[i16]) {
        let channels = usize::from(self.call_channels);
        match self.converters.as_mut_slice() {
            [] => self.pass(samples),
            [left, right] => {
                let (first, last) = (0, channels - 1);
                sample::append_f32(sample::channel(samples, channels, first), left.input());
                sample::append_f32(sample::channel(samples, channels, last), right.input());
                self.packed.clear();
                sample::append_interleaved(left.convert(), right.convert(), &mut self.packed);
                self.fifo.write(&self.packed);
            }
            [mono, ..] => {
                sample::append_downmix(samples, self.call_channels, mono.input());
                self.fifo.write(mono.convert());
            }
        }
    }

    /// Converts samples of the handler's rate to its layout, in int16 throughout.
    fn pass(&mut self, samples: &[i16]) {
        self.packed.clear();
        match (self.call_channels, self.layout) {
            (1, Layout::Stereo) => sample::append_interleaved(samples, samples, &mut self.packed),
            (2, Layout::Mono) => sample::append_mean(samples, &mut self.packed),
            _ => return self.fifo.write(samples),
        }
        self.fifo.write(&self.packed);
    }

    /// Takes the next frame: `frame_samples` mono samples, or twice as many interleaved ones.
    pub fn next_frame(&mut self) -> Option<&[i16]> {
        self.fifo.read()
    }

    /// Takes the rest, the resampler's tail included, one frame at a time and the last one padded
    /// with silence; `None` when no sample is left. The next input starts a new stream.
    pub fn flush(&mut self) -> Option<&[i16]> {
        match self.converters.as_mut_slice() {
            [] => (),
            [left, right] => {
                self.packed.clear();
                sample::append_interleaved(left.flush(), right.flush(), &mut self.packed);
                self.fifo.write(&self.packed);
            }
            [mono, ..] => self.fifo.write(mono.flush()),
        }
        self.fifo.flush()
    }

    /// Discards all received audio.
    pub fn reset(&mut self) {
        self.converters.iter_mut().for_each(Converter::reset);
        self.fifo.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_frames(inbound: &mut InboundAudio, samples: &[i16]) -> Vec<Vec<i16>> {
        inbound.process(samples).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = inbound.next_frame() {
            frames.push(frame.to_vec());
        }
        frames
    }

    #[test]
    fn stereo_to_mono_at_one_rate_is_the_mean() {
        let mut inbound = InboundAudio::new(48_000, 2, 48_000, Layout::Mono, 2).unwrap();
        let frames = all_frames(&mut inbound, &[100, 300, -100, -300, 7, 7]);
        assert_eq!(frames, [[200, -200]]);
        assert_eq!(inbound.flush(), Some(&[7, 0][..]));
        assert_eq!(inbound.flush(), None);
    }

    #[test]
    fn stereo_stays_packed_and_mono_is_doubled() {
        let mut inbound = InboundAudio::new(48_000, 2, 48_000, Layout::Stereo, 2).unwrap();
        assert_eq!(all_frames(&mut inbound, &[1, 2, 3, 4]), [[1, 2, 3, 4]]);
        let mut inbound = InboundAudio::new(48_000, 1, 48_000, Layout::Stereo, 2).unwrap();
        assert_eq!(all_frames(&mut inbound, &[1, 2]), [[1, 1, 2, 2]]);
    }

    #[test]
    fn frames_have_the_asked_length_at_every_rate() {
        for (rate_hz, layout) in [8_000, 16_000, 24_000, 44_100, 48_000]
            .into_iter()
            .flat_map(|rate_hz| [(rate_hz, Layout::Mono), (rate_hz, Layout::Stereo)])
        {
            let mut inbound = InboundAudio::new(48_000, 2, rate_hz, layout, 960).unwrap();
            let mut frames = Vec::new();
            for _ in 0..50 {
                frames.extend(all_frames(&mut inbound, &[500; 1920]));
            }
            assert!(
                frames
                    .iter()
                    .all(|frame| frame.len() == 960 * layout.channels())
            );
            while let Some(frame) = inbound.flush() {
                frames.push(frame.to_vec());
            }
            let expected = rate_hz as usize;
            assert!(
                (expected..expected + 2 * 960).contains(&(frames.len() * 960)),
                "{rate_hz}"
            );
        }
    }

    #[test]
    fn half_a_group_is_refused_and_changes_nothing() {
        let mut inbound = InboundAudio::new(48_000, 2, 48_000, Layout::Mono, 1).unwrap();
        let refused = Err(AudioError::InterleavedLength {
            channels: 2,
            got: 3,
        });
        assert_eq!(inbound.process(&[1, 2, 3]), refused);
        assert_eq!(inbound.next_frame(), None);
    }

    #[test]
    fn reset_discards_waiting_samples() {
        let mut inbound = InboundAudio::new(48_000, 1, 24_000, Layout::Mono, 960).unwrap();
        inbound.process(&[1000; 960]).unwrap();
        inbound.reset();
        assert_eq!(inbound.flush(), None);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let made = |channels, rate_hz, frame| {
            InboundAudio::new(48_000, channels, rate_hz, Layout::Mono, frame).map(|_| ())
        };
        assert_eq!(made(3, 48_000, 960), Err(AudioError::Channels { got: 3 }));
        assert_eq!(
            made(1, 4_000, 960),
            Err(AudioError::SampleRate { got_hz: 4_000 })
        );
        assert!(matches!(
            made(1, 48_000, 0),
            Err(AudioError::Setting { .. })
        ));
    }
}

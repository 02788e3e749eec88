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
    call_rate_hz: u32,
    call_channels: u16,
    handler_rate_hz: u32,
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
            call_rate_hz,
            call_channels,
            handler_rate_hz,
            layout,
            converters,
            packed: Vec::new(),
            fifo: AudioFifo::new(frame_samples.saturating_mul(layout.channels()))?,
        })
    }

    /// Goes on with other formats, those of [`Self::new`]: what waits is converted to the new one, and
    /// no sample is lost or added.
    ///
    /// A sender may change its format, and a handler its own, in the middle of a frame.
    ///
    /// # Errors
    /// Those of [`Self::new`], where nothing changes. [`AudioError::OutOfMemory`], where the formats
    /// stay as they are.
    pub fn change_to(
        &mut self,
        call_rate_hz: u32,
        call_channels: u16,
        handler_rate_hz: u32,
        layout: Layout,
        frame_samples: usize,
    ) -> Result<(), AudioError> {
        let make = |rate_hz, channels| {
            Self::new(rate_hz, channels, handler_rate_hz, layout, frame_samples)
        };
        let mut next = make(call_rate_hz, call_channels)?;
        let is_same_output = (self.handler_rate_hz, self.layout) == (handler_rate_hz, layout);
        if is_same_output && self.call_rate_hz == call_rate_hz {
            next.fifo.reserve(self.fifo.len())?;
            next.fifo.write(self.fifo.waiting());
            // Downmixing comes before the resamplers, which need not even notice.
            next.converters = std::mem::take(&mut self.converters);
            *self = next;
            return Ok(());
        }
        self.drain()?;
        let rest = self.fifo.waiting();
        next.converters.iter_mut().for_each(Converter::skip_delay);
        if is_same_output {
            next.fifo.reserve(rest.len())?;
            next.fifo.write(rest);
        } else {
            let channels = if self.layout == Layout::Stereo { 2 } else { 1 };
            let mut between = make(self.handler_rate_hz, channels)?;
            between
                .converters
                .iter_mut()
                .for_each(Converter::skip_delay);
            between.process(rest)?;
            between.drain()?;
            next.fifo = between.fifo;
        }
        *self = next;
        Ok(())
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
        self.write_tail();
        self.fifo.flush()
    }

    /// As [`Self::flush`], with everything left where it waits.
    fn drain(&mut self) -> Result<(), AudioError> {
        let tail = self.converters.first().map_or(0, Converter::delay_samples);
        self.fifo
            .reserve(tail.saturating_mul(self.layout.channels()))?;
        self.write_tail();
        Ok(())
    }

    fn write_tail(&mut self) {
        match self.converters.as_mut_slice() {
            [] => (),
            [left, right] => {
                self.packed.clear();
                sample::append_interleaved(left.flush(), right.flush(), &mut self.packed);
                self.fifo.write(&self.packed);
            }
            [mono, ..] => self.fifo.write(mono.flush()),
        }
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

    /// A tone of 440 Hz: `count` samples per channel, from the second `from_s` on.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "small numbers"
    )]
    fn tone(rate_hz: u32, channels: usize, from_s: f64, count: usize) -> Vec<i16> {
        (0..count)
            .flat_map(|n| {
                let time_s = from_s + n as f64 / f64::from(rate_hz);
                let value = 8_000.0 * (std::f64::consts::TAU * 440.0 * time_s).sin();
                vec![value as i16; channels]
            })
            .collect()
    }

    #[test]
    fn a_sender_that_becomes_stereo_changes_no_sample() {
        for (handler_hz, layout) in [
            (48_000, Layout::Stereo),
            (16_000, Layout::Stereo),
            (16_000, Layout::Mono),
        ] {
            let make = || InboundAudio::new(48_000, 1, handler_hz, layout, 1_000).unwrap();
            let said = tone(48_000, 1, 0.0, 9_600);
            let expected = all_frames(&mut make(), &said);
            let mut changed = make();
            let (first, second) = said.split_at(4_700);
            let mut got = all_frames(&mut changed, first);
            changed
                .change_to(48_000, 2, handler_hz, layout, 1_000)
                .unwrap();
            let doubled: Vec<i16> = second.iter().flat_map(|&sample| [sample; 2]).collect();
            got.extend(all_frames(&mut changed, &doubled));
            assert!(got == expected, "{handler_hz} {layout:?}");
        }
    }

    #[test]
    fn nothing_is_lost_or_added_where_formats_change() {
        use Layout::{Mono, Stereo};
        let formats = [
            (48_000, 1, 24_000, Mono, 700),
            (16_000, 1, 24_000, Mono, 700),
            (16_000, 2, 16_000, Mono, 700),
            (16_000, 2, 16_000, Stereo, 320),
            (48_000, 1, 48_000, Stereo, 320),
            (48_000, 1, 16_000, Stereo, 333),
        ];
        for pair in formats.windows(2) {
            let [before, after] = pair else {
                unreachable!("windows of two")
            };
            let (from_hz, channels, to_hz, layout, frame) = *before;
            let mut inbound = InboundAudio::new(from_hz, channels, to_hz, layout, frame).unwrap();
            let first = tone(from_hz, channels.into(), 0.0, from_hz as usize / 10);
            inbound.process(&first).unwrap();
            let (from_hz, channels, to_hz, layout, frame) = *after;
            inbound
                .change_to(from_hz, channels, to_hz, layout, frame)
                .unwrap();
            let second = tone(from_hz, channels.into(), 0.1, from_hz as usize / 10);
            inbound.process(&second).unwrap();
            inbound.drain().unwrap();
            let got: Vec<i16> = inbound
                .fifo
                .waiting()
                .iter()
                .copied()
                .step_by(layout.channels())
                .collect();
            // The delay at the very beginning, which was that of the first format.
            let delay = got.len() - to_hz as usize / 5;
            let expected = tone(to_hz, 1, 0.0, to_hz as usize / 5);
            let seam = delay + to_hz as usize / 10;
            for (n, (&value, &should_be)) in got[delay..].iter().zip(&expected).enumerate() {
                let tolerance = if (n + delay).abs_diff(seam) < 150 {
                    2_000
                } else {
                    40
                };
                let is_edge = n < 150 || n + 150 > expected.len();
                assert!(
                    is_edge || i32::from(value).abs_diff(should_be.into()) < tolerance,
                    "{before:?} to {after:?}: sample {n} is {value}, not {should_be}"
                );
            }
        }
    }

    #[test]
    fn formats_out_of_range_change_nothing() {
        let mut inbound = InboundAudio::new(48_000, 1, 48_000, Layout::Mono, 4).unwrap();
        inbound.process(&[1, 2, 3]).unwrap();
        let refused = inbound.change_to(48_000, 3, 48_000, Layout::Mono, 4);
        assert_eq!(refused, Err(AudioError::Channels { got: 3 }));
        assert_eq!(all_frames(&mut inbound, &[4]), [[1, 2, 3, 4]]);
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

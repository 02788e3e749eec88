//! A decoder that takes the channels of the stream, or those of whoever listens.

use gradio_webrtc_core::Layout;

use crate::{OpusDecoder, OpusError, OpusPacket};

/// Decodes one stream of Opus.
///
/// Without a layout it is mono until its sender uses two channels, and stereo from then on: a
/// sender may change from packet to packet (RFC 6716 section 4), and whoever listens need not adapt
/// to each of them.
#[derive(Debug)]
pub struct StreamDecoder {
    decoder: OpusDecoder,
    layout: Option<Layout>,
}

impl StreamDecoder {
    /// A decoder at `rate_hz`, one of [`crate::OPUS_RATES_HZ`], to `layout`, or to the sender's.
    ///
    /// # Errors
    /// [`OpusError::Rate`], [`OpusError::OutOfMemory`].
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::{OpusApplication, OpusEncoder, StreamDecoder};
    ///
    /// let mut packet = Vec::new();
    /// OpusEncoder::new(2, OpusApplication::LowDelay)?.encode(&[0; 1920], &mut packet)?;
    /// let mut decoder = StreamDecoder::new(48_000, None)?;
    /// let mut audio = Vec::new();
    /// assert_eq!(decoder.decode(&packet, &mut audio)?, 960);
    /// assert_eq!(decoder.channels(), 2);
    /// # Ok::<(), gradio_webrtc_media::OpusError>(())
    /// ```
    pub fn new(rate_hz: u32, layout: Option<Layout>) -> Result<Self, OpusError> {
        let channels = if layout == Some(Layout::Stereo) { 2 } else { 1 };
        Ok(Self {
            decoder: OpusDecoder::new(rate_hz, channels)?,
            layout,
        })
    }

    /// Channels of the decoded audio.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.decoder.channels()
    }

    /// The layout of [`Self::new`].
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// The rate of the decoded audio, in Hz.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.decoder.rate_hz()
    }

    /// Resets the decoder: another stream follows, in as many channels as this one has now.
    pub fn begin_stream(&mut self) {
        self.decoder.reset();
    }

    /// Appends a packet's audio, and returns its length in samples per channel.
    ///
    /// What `audio` has already is doubled where this packet makes it stereo.
    ///
    /// # Errors
    /// As of [`OpusDecoder::decode`].
    pub fn decode(&mut self, packet: &[u8], audio: &mut Vec<i16>) -> Result<usize, OpusError> {
        let is_stereo = OpusPacket::read(packet).is_some_and(|packet| packet.is_stereo());
        if self.layout.is_none() && is_stereo && self.channels() == 1 {
            self.decoder = OpusDecoder::new(self.rate_hz(), 2)?;
            *audio = audio.iter().flat_map(|&sample| [sample; 2]).collect();
        }
        self.decoder.decode(packet, audio)
    }

    /// Appends the copy that `next` has of the packet before it; see [`OpusDecoder::decode_fec`].
    ///
    /// # Errors
    /// As of [`OpusDecoder::decode_fec`].
    pub fn decode_fec(
        &mut self,
        next: &[u8],
        samples: u32,
        audio: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        self.decoder.decode_fec(next, samples, audio)
    }

    /// Appends a guess; see [`OpusDecoder::conceal`].
    ///
    /// # Errors
    /// As of [`OpusDecoder::conceal`].
    pub fn conceal(&mut self, samples: u32, audio: &mut Vec<i16>) -> Result<usize, OpusError> {
        self.decoder.conceal(samples, audio)
    }

    /// Appends silence of `samples` at 48 kHz.
    pub fn silence(&self, samples: u32, audio: &mut Vec<i16>) {
        let samples = (samples / (48_000 / self.rate_hz())) as usize;
        audio.resize(audio.len() + samples * self.channels(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpusApplication, OpusEncoder};

    fn packet(channels: usize) -> Vec<u8> {
        let mut encoder = OpusEncoder::new(channels, OpusApplication::LowDelay).unwrap();
        let mut packet = Vec::new();
        encoder
            .encode(&vec![99; 960 * channels], &mut packet)
            .unwrap();
        packet
    }

    #[test]
    fn it_is_stereo_from_the_first_stereo_packet_on() {
        let mut decoder = StreamDecoder::new(48_000, None).unwrap();
        let mut audio = Vec::new();
        assert_eq!(decoder.decode(&packet(1), &mut audio), Ok(960));
        assert_eq!((decoder.channels(), audio.len()), (1, 960));
        assert_eq!(decoder.decode(&packet(2), &mut audio), Ok(960));
        assert_eq!((decoder.channels(), audio.len()), (2, 960 * 4));
        let pairs = audio[..1920].chunks_exact(2);
        assert!(pairs.into_iter().all(|pair| pair[0] == pair[1]));
        assert_eq!(decoder.decode(&packet(1), &mut audio), Ok(960));
        assert_eq!((decoder.channels(), audio.len()), (2, 960 * 6));
    }

    #[test]
    fn a_layout_that_was_asked_for_stays() {
        let mut audio = Vec::new();
        let mut mono = StreamDecoder::new(16_000, Some(Layout::Mono)).unwrap();
        assert_eq!(mono.decode(&packet(2), &mut audio), Ok(320));
        assert_eq!(audio.len(), 320);
        audio.clear();
        let mut stereo = StreamDecoder::new(16_000, Some(Layout::Stereo)).unwrap();
        assert_eq!(stereo.decode(&packet(1), &mut audio), Ok(320));
        assert_eq!(audio.len(), 640);
    }
}

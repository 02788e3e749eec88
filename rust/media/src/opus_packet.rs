//! The header of an Opus packet (RFC 6716 section 3), and the flags of its speech codec.

/// Samples at 48 kHz in a millisecond.
const SAMPLES_PER_MS: u32 = 48;

/// The longest packet, 120 ms (RFC 6716 section 3.2.5, requirement R5).
const MAX_SAMPLES: u32 = 120 * SAMPLES_PER_MS;

/// The first configuration of the transform codec alone, which has no flags (RFC 6716 table 2).
const FIRST_CELT: u8 = 16;

/// The first configuration of both codecs together, whose frames have 10 or 20 ms.
const FIRST_HYBRID: u8 = 12;

/// A packet with a readable header: its parts are looked at, its audio is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusPacket<'a> {
    bytes: &'a [u8],
    samples: u32,
}

impl<'a> OpusPacket<'a> {
    /// Reads the header; `None` for what is no packet of 2.5 to 120 ms.
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::OpusPacket;
    ///
    /// // Configuration 31: the transform codec, 20 ms, fullband.
    /// let packet = OpusPacket::read(&[31 << 3, 0, 0]).unwrap();
    /// assert_eq!(packet.samples(), 960);
    /// assert_eq!(packet.has_voice(), None);
    /// assert!(OpusPacket::read(&[]).is_none());
    /// ```
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let frames = match first & 3 {
            0 => 1,
            1 | 2 => 2,
            _ => u32::from(bytes.get(1)? & 0x3f),
        };
        let samples = frames * frame_samples(first >> 3);
        (1..=MAX_SAMPLES)
            .contains(&samples)
            .then_some(Self { bytes, samples })
    }

    /// The length of the audio in samples per channel at 48 kHz, the clock of RTP.
    #[must_use]
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// True if the encoder used two channels.
    #[must_use]
    pub fn is_stereo(&self) -> bool {
        self.bytes[0] & 4 != 0
    }

    /// True if the packet has no audio: its sender transmits discontinuously, and is silent.
    ///
    /// Such a frame has one byte, or none behind the header (RFC 6716 section 2.1.9).
    #[must_use]
    pub fn is_silence(&self) -> bool {
        self.bytes.len() <= 2
    }

    /// The encoder's own decision on voice in any frame of the first channel; `None` where the
    /// packet has none.
    ///
    /// Only the speech codec has such flags, one a frame at the very beginning of the range coder's
    /// data (RFC 6716 section 4.2.3), where each of them is one bit as it stands. They can be read
    /// without decoding in packets of one Opus frame.
    #[must_use]
    pub fn has_voice(&self) -> Option<bool> {
        let frames = self.speech_frames()?;
        if self.is_silence() {
            return Some(false);
        }
        Some(self.bytes[1] >> (8 - frames) != 0)
    }

    /// True if the packet has a copy of the one before it, at a lower bit rate: in-band forward
    /// error correction (RFC 6716 section 2.1.7).
    ///
    /// The flag stands behind those of `has_voice` (RFC 6716 section 4.2.3).
    #[must_use]
    pub fn has_fec(&self) -> bool {
        self.speech_frames()
            .is_some_and(|frames| !self.is_silence() && self.bytes[1] >> (7 - frames) & 1 == 1)
    }

    /// The number of frames of the speech codec in the packet's only Opus frame.
    fn speech_frames(&self) -> Option<u32> {
        let configuration = self.bytes[0] >> 3;
        if configuration >= FIRST_CELT || self.bytes[0] & 3 != 0 {
            return None;
        }
        let frame_ms = self.samples / SAMPLES_PER_MS;
        // Frames of 20 ms, or one of 10.
        Some(frame_ms.div_ceil(20))
    }
}

/// The length of one Opus frame, in samples at 48 kHz (RFC 6716 table 2).
fn frame_samples(configuration: u8) -> u32 {
    let step = configuration & 3;
    match configuration {
        0..FIRST_HYBRID => [10, 20, 40, 60][usize::from(step)] * SAMPLES_PER_MS,
        FIRST_HYBRID..FIRST_CELT => [10, 20][usize::from(step & 1)] * SAMPLES_PER_MS,
        // 2.5, 5, 10 and 20 ms.
        _ => 120 << step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: &[u8]) -> Option<u32> {
        OpusPacket::read(bytes).map(|packet| packet.samples())
    }

    #[test]
    fn the_length_follows_the_configuration() {
        let ms = [
            10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 10, 20,
        ];
        for (configuration, ms) in (0u8..).zip(ms) {
            assert_eq!(samples(&[configuration << 3, 0, 0]), Some(ms * 48));
        }
        for configuration in 16..32u8 {
            let expected = [120, 240, 480, 960][usize::from(configuration & 3)];
            assert_eq!(samples(&[configuration << 3, 0, 0]), Some(expected));
        }
    }

    #[test]
    fn the_length_follows_the_number_of_frames() {
        assert_eq!(samples(&[31 << 3 | 1, 0, 0]), Some(1920));
        assert_eq!(samples(&[31 << 3 | 2, 0, 0]), Some(1920));
        assert_eq!(samples(&[31 << 3 | 3, 6, 0]), Some(5760));
        assert_eq!(samples(&[31 << 3 | 3, 7, 0]), None);
        assert_eq!(samples(&[31 << 3 | 3, 0, 0]), None);
        assert_eq!(samples(&[31 << 3 | 3]), None);
        assert_eq!(samples(&[]), None);
    }

    #[test]
    fn channels_are_a_bit() {
        assert!(OpusPacket::read(&[0xfc, 0]).unwrap().is_stereo());
        assert!(!OpusPacket::read(&[0xf8, 0]).unwrap().is_stereo());
    }

    #[test]
    fn flags_of_voice_and_of_redundancy_are_the_first_bits() {
        // Configuration 9: speech, wideband, 20 ms. One voice flag, then the one of redundancy.
        let read = |second: u8| {
            let bytes = [9 << 3, second, 0, 0];
            let packet = OpusPacket::read(&bytes).unwrap();
            (packet.has_voice(), packet.has_fec())
        };
        assert_eq!(read(0b0000_0000), (Some(false), false));
        assert_eq!(read(0b1000_0000), (Some(true), false));
        assert_eq!(read(0b0100_0000), (Some(false), true));
        assert_eq!(read(0b1100_0000), (Some(true), true));
    }

    #[test]
    fn a_packet_of_60_ms_has_three_flags_of_voice() {
        let read = |second: u8| {
            let bytes = [11 << 3, second, 0, 0];
            let packet = OpusPacket::read(&bytes).unwrap();
            (packet.has_voice(), packet.has_fec())
        };
        assert_eq!(read(0b0010_0000), (Some(true), false));
        assert_eq!(read(0b0001_0000), (Some(false), true));
    }

    #[test]
    fn packets_of_the_transform_codec_have_no_flags() {
        let packet = OpusPacket::read(&[31 << 3, 0xff, 0xff]).unwrap();
        assert_eq!((packet.has_voice(), packet.has_fec()), (None, false));
    }

    #[test]
    fn a_packet_without_audio_is_silence() {
        let packet = OpusPacket::read(&[9 << 3]).unwrap();
        assert!(packet.is_silence());
        assert_eq!((packet.has_voice(), packet.has_fec()), (Some(false), false));
    }
}

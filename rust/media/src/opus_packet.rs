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

    /// The encoder's own decision on voice in any frame of any channel; `None` where the packet has
    /// none, or cannot be read.
    ///
    /// Only the speech codec has such flags, one a frame at the very beginning of the range coder's
    /// data (RFC 6716 section 4.2.3), where each of them is one bit as it stands. They can be read
    /// without decoding.
    #[must_use]
    pub fn has_voice(&self) -> Option<bool> {
        let configuration = self.bytes[0] >> 3;
        if configuration >= FIRST_CELT {
            return None;
        }
        // Frames of 20 ms, or one of 10; behind the flags of a channel is that of redundancy.
        let frames = (frame_samples(configuration) / SAMPLES_PER_MS).div_ceil(20);
        let mut flags = 0xff_u8 << (8 - frames);
        if self.is_stereo() {
            flags |= flags >> (frames + 1);
        }
        let mut has_voice = false;
        // A frame of one byte, or none, has no audio.
        self.each_frame(|frame| has_voice |= frame.len() > 1 && frame[0] & flags != 0)?;
        Some(has_voice)
    }

    /// Calls with each Opus frame (RFC 6716 section 3.2); `None` where their lengths are no packet's.
    fn each_frame(&self, mut call: impl FnMut(&'a [u8])) -> Option<()> {
        let (first, rest) = self.bytes.split_first()?;
        match first & 3 {
            0 => call(rest),
            1 => each_of_one_length(rest, 2, call)?,
            2 => {
                let (length, rest) = frame_length(rest)?;
                let (one, other) = rest.split_at_checked(length)?;
                call(one);
                call(other);
            }
            _ => {
                let (&layout, rest) = rest.split_first()?;
                let (is_padded, is_variable) = (layout & 0x40 != 0, layout & 0x80 != 0);
                let rest = if is_padded { unpadded(rest)? } else { rest };
                let frames = usize::from(layout & 0x3f);
                if !is_variable {
                    return each_of_one_length(rest, frames, call);
                }
                let (mut lengths, mut audio) = (rest, rest);
                for _ in 1..frames {
                    audio = frame_length(audio)?.1;
                }
                for _ in 1..frames {
                    let (length, others) = frame_length(lengths)?;
                    let (frame, behind) = audio.split_at_checked(length)?;
                    call(frame);
                    (lengths, audio) = (others, behind);
                }
                call(audio);
            }
        }
        Some(())
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

/// Calls with each of so many frames of one length.
fn each_of_one_length<'a>(
    audio: &'a [u8],
    frames: usize,
    mut call: impl FnMut(&'a [u8]),
) -> Option<()> {
    if frames == 0 || !audio.len().is_multiple_of(frames) {
        return None;
    }
    let length = audio.len() / frames;
    (0..frames).for_each(|frame| call(&audio[frame * length..][..length]));
    Some(())
}

/// The length of a frame, and what is behind it (RFC 6716 section 3.2.1).
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((first.into(), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(first) + 4 * usize::from(second), rest))
}

/// What is between the length of the padding and the padding (RFC 6716 section 3.2.5).
fn unpadded(mut rest: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    loop {
        let (&length, behind) = rest.split_first()?;
        rest = behind;
        padding += usize::from(length.min(254));
        if length < 255 {
            return rest.get(..rest.len().checked_sub(padding)?);
        }
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

    /// Configuration 9: speech, wideband, 20 ms.
    const TWENTY: u8 = 9 << 3;

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
    fn flags_of_all_frames_of_a_packet_count() {
        let has_voice = |bytes: &[u8]| OpusPacket::read(bytes).unwrap().has_voice();
        let long = [&[TWENTY | 2, 252, 1][..], &[0; 256], &[0x80, 0]].concat();
        for (expected, bytes) in [
            (Some(false), &[TWENTY | 1, 0, 9, 0, 9][..]),
            (Some(true), &[TWENTY | 1, 0, 9, 0x80, 9]),
            (None, &[TWENTY | 1, 0, 9, 0]),
            (Some(true), &[TWENTY | 2, 2, 0, 9, 0x80, 9, 9]),
            (Some(false), &[TWENTY | 2, 2, 0, 9, 0x40, 9, 9]),
            (None, &[TWENTY | 2, 4, 0, 9]),
            (Some(true), &long),
            // Three frames of one length, without padding and with some.
            (Some(true), &[TWENTY | 3, 3, 0, 9, 0, 9, 0x80, 9]),
            (
                Some(false),
                &[TWENTY | 3, 0x43, 2, 0, 9, 0, 9, 0, 9, 0x80, 9],
            ),
            (None, &[TWENTY | 3, 0x43, 9, 0, 9, 0, 9, 0, 9]),
            // Of different lengths; one has no audio.
            (Some(true), &[TWENTY | 3, 0x83, 2, 0, 0, 9, 0x80, 9, 9]),
            (Some(false), &[TWENTY | 3, 0x83, 2, 1, 0, 9, 0x80, 0, 9]),
            (None, &[TWENTY | 3, 0x83, 2]),
        ] {
            assert_eq!(has_voice(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn flags_of_both_channels_count() {
        let has_voice = |configuration: u8, flags: u8| {
            let bytes = [configuration << 3 | 4, flags, 0, 0];
            OpusPacket::read(&bytes).unwrap().has_voice()
        };
        // Speech of 20 ms, both codecs of 20 ms, and speech of 60 ms.
        for (configuration, voice) in [(9, 0b1010_0000), (13, 0b1010_0000), (11, 0b1110_1110)] {
            for bit in 0..8 {
                let flag = 1 << bit;
                let expected = Some(flag & voice != 0);
                assert_eq!(has_voice(configuration, flag), expected, "{flag:b}");
            }
        }
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

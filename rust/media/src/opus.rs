//! libopus, made safe: one encoder or decoder is one C object that is freed with its owner.

// Calls of C are unsafe by nature. Nothing outside this module calls any.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_int;
use std::fmt;
use std::ptr::{self, NonNull};

use opusic_sys as sys;

use crate::{OpusPacket, int16};

/// The rates that libopus decodes to and encodes from, in Hz (RFC 6716 section 2).
pub const OPUS_RATES_HZ: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// Returns the lowest rate that libopus decodes to and that has all of the band of `rate_hz`, or
/// the highest one.
#[must_use]
pub fn opus_rate_hz(rate_hz: u32) -> u32 {
    let suits = |rate: &u32| *rate >= rate_hz;
    OPUS_RATES_HZ.into_iter().find(suits).unwrap_or(48_000)
}

/// The longest packet of one frame, in bytes (RFC 6716 section 3.4, requirement R2), and one byte
/// in front of it.
const MAX_FRAME_BYTES: usize = 1_276;

/// A refusal of libopus, or an argument that it would not take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpusError {
    /// A sample rate that is none of [`OPUS_RATES_HZ`].
    Rate {
        /// The actual rate, in Hz.
        got_hz: u32,
    },
    /// A number of channels other than 1 and 2.
    Channels {
        /// The actual number.
        got: usize,
    },
    /// A setting outside its range.
    Setting {
        /// Its name.
        name: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The actual value.
        got: i32,
    },
    /// A frame that is not as long as one may be.
    FrameLength {
        /// The actual length, in samples per channel.
        got: usize,
    },
    /// A packet that cannot be decoded; the next one may be.
    Packet,
    /// No memory for another encoder or decoder.
    OutOfMemory,
    /// Another error of libopus, by its number.
    Library(i32),
}

impl fmt::Display for OpusError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { got_hz } => write!(
                formatter,
                "expected a rate of 8000, 12000, 16000, 24000 or 48000 Hz, got {got_hz} Hz"
            ),
            Self::Channels { got } => write!(formatter, "expected 1 or 2 channels, got {got}"),
            Self::Setting {
                name,
                expected,
                got,
            } => write!(formatter, "expected a {name} {expected}, got {got}"),
            Self::FrameLength { got } => write!(
                formatter,
                "expected a frame of 2.5, 5, 10, 20, 40 or 60 ms, got {got} samples per channel"
            ),
            Self::Packet => write!(formatter, "expected a packet of Opus, got other bytes"),
            Self::OutOfMemory => write!(formatter, "no memory for a codec of Opus"),
            Self::Library(number) => write!(formatter, "libopus failed with its error {number}"),
        }
    }
}

impl std::error::Error for OpusError {}

impl OpusError {
    fn from_number(number: c_int) -> Self {
        match number {
            sys::OPUS_INVALID_PACKET => Self::Packet,
            sys::OPUS_ALLOC_FAIL => Self::OutOfMemory,
            other => Self::Library(other),
        }
    }
}

/// Samples per channel, or the error that a negative number of libopus means.
fn count(returned: c_int) -> Result<usize, OpusError> {
    usize::try_from(returned).map_err(|_| OpusError::from_number(returned))
}

thread_local! {
    /// One packet, decoded: one place for all decoders of a thread, which stays in its cache.
    static DECODED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Decodes one stream, whatever its sender's settings, at any of five rates, to one or two
/// channels.
///
/// Decoding at the rate that is needed costs less than decoding at 48 kHz and resampling. A stream
/// that changes between one and two channels is mixed down, or doubled (RFC 6716 section 4).
#[derive(Debug)]
pub struct OpusDecoder {
    state: NonNull<sys::OpusDecoder>,
    rate_hz: u32,
    channels: usize,
    /// What the soft clipping of each channel goes on with in the next packet.
    clipping: [f32; 2],
}

// SAFETY: libopus keeps nothing outside of the object, and no thread's state in it; it may be used
// by one thread at a time, which `&mut self` of every method ensures.
unsafe impl Send for OpusDecoder {}
// SAFETY: as above: methods that take `&self` read numbers of Rust alone.
unsafe impl Sync for OpusDecoder {}

impl OpusDecoder {
    /// A decoder to `rate_hz` and `channels`.
    ///
    /// # Errors
    /// [`OpusError::Rate`], [`OpusError::Channels`], [`OpusError::OutOfMemory`].
    ///
    /// # Examples
    /// ```
    /// use gradio_webrtc_media::{OpusDecoder, OpusEncoder, OpusApplication};
    ///
    /// let mut encoder = OpusEncoder::new(1, OpusApplication::LowDelay)?;
    /// let mut decoder = OpusDecoder::new(16_000, 1)?;
    /// let (mut packet, mut audio) = (Vec::new(), Vec::new());
    /// encoder.encode(&[0; 960], &mut packet)?;
    /// decoder.decode(&packet, &mut audio)?;
    /// assert_eq!(audio.len(), 320);
    /// # Ok::<(), gradio_webrtc_media::OpusError>(())
    /// ```
    pub fn new(rate_hz: u32, channels: usize) -> Result<Self, OpusError> {
        let (rate, number) = arguments(rate_hz, channels)?;
        let mut error = sys::OPUS_OK;
        // SAFETY: the arguments are in range, and `error` outlives the call.
        let state = unsafe { sys::opus_decoder_create(rate, number, &raw mut error) };
        let state = NonNull::new(state).ok_or_else(|| OpusError::from_number(error))?;
        Ok(Self {
            state,
            rate_hz,
            channels,
            clipping: [0.0; 2],
        })
    }

    /// The rate of the decoded audio, in Hz.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Channels of the decoded audio.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Appends a packet's audio, interleaved, and returns its length in samples per channel.
    ///
    /// # Errors
    /// [`OpusError::Packet`] if it is none; the decoder can go on.
    pub fn decode(&mut self, packet: &[u8], audio: &mut Vec<i16>) -> Result<usize, OpusError> {
        let header = OpusPacket::read(packet).ok_or(OpusError::Packet)?;
        let samples = self.at_rate(header.samples());
        DECODED.with_borrow_mut(|decoded| {
            decoded.resize(samples * self.channels, 0.0);
            let (bytes, length, frame_size) = call_arguments(Some(packet), samples)?;
            // SAFETY: `bytes` has `length` bytes. `decoded` has room for `frame_size` samples of
            // each channel, and libopus writes no more than that.
            let returned = unsafe {
                let (state, out) = (self.state.as_ptr(), decoded.as_mut_ptr());
                sys::opus_decode_float(state, bytes, length, out, frame_size, 0)
            };
            let count = count(returned)?;
            self.append(&mut decoded[..count * self.channels], audio);
            Ok(count)
        })
    }

    /// Appends decoded samples as int16, as `opus_decode` does in three passes, to the last bit: what is
    /// beyond full scale, which is rare, is clipped softly by libopus.
    fn append(&mut self, decoded: &mut [f32], audio: &mut Vec<i16>) {
        if self.clipping.map(f32::to_bits) != [0; 2] || int16::is_beyond_full_scale(decoded) {
            let samples = decoded.len() / self.channels;
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // 5760 and 2
            let (samples, channels) = (samples as c_int, self.channels as c_int);
            let memory = self.clipping.as_mut_ptr();
            // SAFETY: `decoded` has `samples` of each channel, and `memory` a number for each of two.
            unsafe { sys::opus_pcm_soft_clip(decoded.as_mut_ptr(), samples, channels, memory) };
        }
        int16::append(decoded, audio);
    }

    /// Appends the copy that `next` has of the packet before it: in-band error correction, at a lower bit
    /// rate. Conceals whatever of the time the copy does not cover, or all of it without a copy.
    ///
    /// # Arguments
    /// `samples`: the length of what is missing, at 48 kHz: multiples of 2.5 ms, 120 ms at most.
    ///
    /// # Errors
    /// [`OpusError::Packet`] if `next` is none, [`OpusError::FrameLength`].
    pub fn decode_fec(
        &mut self,
        next: &[u8],
        samples: u32,
        audio: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        OpusPacket::read(next).ok_or(OpusError::Packet)?;
        let samples = self.missing(samples)?;
        self.fill(Some(next), samples, audio)
    }

    /// Appends a guess at what is missing after the last packet; it fades out.
    ///
    /// # Arguments
    /// `samples`: as in [`Self::decode_fec`].
    ///
    /// # Errors
    /// [`OpusError::FrameLength`].
    pub fn conceal(&mut self, samples: u32, audio: &mut Vec<i16>) -> Result<usize, OpusError> {
        let samples = self.missing(samples)?;
        self.fill(None, samples, audio)
    }

    /// Resets the decoder, as if another stream began.
    pub fn reset(&mut self) {
        // SAFETY: the request takes no argument, and cannot fail.
        unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), sys::OPUS_RESET_STATE) };
        self.clipping = [0.0; 2];
    }

    /// Samples per channel at the decoder's rate.
    fn at_rate(&self, samples_at_48_khz: u32) -> usize {
        (samples_at_48_khz / (48_000 / self.rate_hz)) as usize
    }

    fn missing(&self, samples_at_48_khz: u32) -> Result<usize, OpusError> {
        let samples = self.at_rate(samples_at_48_khz);
        let is_whole = samples_at_48_khz.is_multiple_of(120);
        if is_whole && (1..=self.at_rate(5_760)).contains(&samples) {
            Ok(samples)
        } else {
            Err(OpusError::FrameLength {
                got: samples_at_48_khz as usize,
            })
        }
    }

    /// Appends what stands for a missing packet, which libopus does not clip softly.
    fn fill(
        &mut self,
        next: Option<&[u8]>,
        samples: usize,
        audio: &mut Vec<i16>,
    ) -> Result<usize, OpusError> {
        let (bytes, length, frame_size) = call_arguments(next, samples)?;
        let start = audio.len();
        audio.resize(start + samples * self.channels, 0);
        let is_fec = c_int::from(next.is_some());
        // SAFETY: `bytes` has `length` bytes, or is null for none. Behind `start`, `audio` has room
        // for `frame_size` samples of each channel, and libopus writes no more than that.
        let returned = unsafe {
            let (state, out) = (self.state.as_ptr(), audio[start..].as_mut_ptr());
            sys::opus_decode(state, bytes, length, out, frame_size, is_fec)
        };
        let decoded = count(returned);
        let written = decoded.as_ref().map_or(0, |count| count * self.channels);
        audio.truncate(start + written);
        decoded
    }
}

/// A packet's address and length, null and 0 for none, and a number of samples, as libopus takes them.
fn call_arguments(
    packet: Option<&[u8]>,
    samples: usize,
) -> Result<(*const u8, i32, c_int), OpusError> {
    let (bytes, length) = packet.map_or((ptr::null(), 0), |it| (it.as_ptr(), it.len()));
    let length = i32::try_from(length).map_err(|_| OpusError::Packet)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // up to 5760
    Ok((bytes, length, samples as c_int))
}

impl Drop for OpusDecoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and freed only here.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

/// The kind of audio that an encoder is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpusApplication {
    /// Speech: the speech codec up to some 30 kbit/s, and forward error correction.
    Voice,
    /// The transform codec alone: half the work, 4 ms less delay, no forward error correction.
    LowDelay,
}

/// Encodes audio of 48 kHz, a packet for each frame.
#[derive(Debug)]
pub struct OpusEncoder {
    state: NonNull<sys::OpusEncoder>,
    channels: usize,
}

// SAFETY: as of `OpusDecoder`.
unsafe impl Send for OpusEncoder {}
// SAFETY: as of `OpusDecoder`.
unsafe impl Sync for OpusEncoder {}

impl OpusEncoder {
    /// An encoder of `channels`, with libopus's own settings until others are set.
    ///
    /// # Errors
    /// [`OpusError::Channels`], [`OpusError::OutOfMemory`].
    pub fn new(channels: usize, application: OpusApplication) -> Result<Self, OpusError> {
        let (rate, number) = arguments(48_000, channels)?;
        let application = match application {
            OpusApplication::Voice => sys::OPUS_APPLICATION_VOIP,
            OpusApplication::LowDelay => sys::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let mut error = sys::OPUS_OK;
        // SAFETY: the arguments are in range, and `error` outlives the call.
        let state = unsafe { sys::opus_encoder_create(rate, number, application, &raw mut error) };
        let state = NonNull::new(state).ok_or_else(|| OpusError::from_number(error))?;
        Ok(Self { state, channels })
    }

    /// Channels of the audio.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Sets the bit rate, in bits a second.
    ///
    /// # Errors
    /// [`OpusError::Setting`] outside 6 to 510 kbit/s (RFC 6716 section 2.1.1).
    pub fn set_bit_rate(&mut self, bits_per_s: i32) -> Result<(), OpusError> {
        let expected = "from 6000 to 510000 bit/s";
        within("bit rate", expected, bits_per_s, 6_000..=510_000)?;
        self.set(sys::OPUS_SET_BITRATE_REQUEST, bits_per_s)
    }

    /// Sets the work that encoding may be, 0 to 10.
    ///
    /// # Errors
    /// [`OpusError::Setting`].
    pub fn set_complexity(&mut self, complexity: i32) -> Result<(), OpusError> {
        within("complexity", "from 0 to 10", complexity, 0..=10)?;
        self.set(sys::OPUS_SET_COMPLEXITY_REQUEST, complexity)
    }

    /// Sets the share of packets that the network is expected to lose, in percent: the encoder
    /// depends less on earlier packets, and spends bits on copies of them.
    ///
    /// # Errors
    /// [`OpusError::Setting`].
    pub fn set_expected_loss(&mut self, percent: i32) -> Result<(), OpusError> {
        within("expected loss", "from 0 to 100 %", percent, 0..=100)?;
        self.set(sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent)
    }

    /// Sets whether packets have a copy of the one before them, where the expected loss is worth
    /// it. Only the speech codec has such copies.
    ///
    /// # Errors
    /// None that is known of.
    pub fn set_fec(&mut self, is_on: bool) -> Result<(), OpusError> {
        self.set(sys::OPUS_SET_INBAND_FEC_REQUEST, c_int::from(is_on))
    }

    /// Makes all packets equally long, which costs quality; otherwise, and at first, they have the bit
    /// rate in the long run, and tones of some seconds half as much again.
    ///
    /// # Errors
    /// None that is known of.
    pub fn set_constant(&mut self, is_constant: bool) -> Result<(), OpusError> {
        self.set(sys::OPUS_SET_VBR_REQUEST, c_int::from(!is_constant))
    }

    /// Replaces the content of `packet` with the packet of one frame, of at most 1,276 bytes.
    ///
    /// # Arguments
    /// `frame`: 2.5, 5, 10, 20, 40 or 60 ms, interleaved.
    ///
    /// # Errors
    /// [`OpusError::FrameLength`]; `packet` is empty then.
    pub fn encode(&mut self, frame: &[i16], packet: &mut Vec<u8>) -> Result<(), OpusError> {
        packet.clear();
        let samples = frame.len() / self.channels;
        let is_whole = frame.len().is_multiple_of(self.channels);
        if !is_whole || !matches!(samples, 120 | 240 | 480 | 960 | 1_920 | 2_880) {
            return Err(OpusError::FrameLength { got: samples });
        }
        packet.resize(MAX_FRAME_BYTES * samples.div_ceil(960), 0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // up to 3828
        let (samples, room) = (samples as c_int, packet.len() as i32);
        // SAFETY: `frame` has `samples` samples of each channel, `packet` has `room` bytes.
        let returned = unsafe {
            sys::opus_encode(
                self.state.as_ptr(),
                frame.as_ptr(),
                samples,
                packet.as_mut_ptr(),
                room,
            )
        };
        let written = count(returned);
        packet.truncate(*written.as_ref().unwrap_or(&0));
        written.map(|_| ())
    }

    fn set(&mut self, request: c_int, value: c_int) -> Result<(), OpusError> {
        // SAFETY: each of the requests used here takes one number of this type.
        let returned = unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, value) };
        if returned == sys::OPUS_OK {
            Ok(())
        } else {
            Err(OpusError::from_number(returned))
        }
    }
}

impl Drop for OpusEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and freed only here.
        unsafe { sys::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

fn within(
    name: &'static str,
    expected: &'static str,
    got: i32,
    range: std::ops::RangeInclusive<i32>,
) -> Result<(), OpusError> {
    if range.contains(&got) {
        Ok(())
    } else {
        Err(OpusError::Setting {
            name,
            expected,
            got,
        })
    }
}

/// A rate and a number of channels as libopus takes them.
fn arguments(rate_hz: u32, channels: usize) -> Result<(i32, c_int), OpusError> {
    if !OPUS_RATES_HZ.contains(&rate_hz) {
        return Err(OpusError::Rate { got_hz: rate_hz });
    }
    match channels {
        1 | 2 => Ok((rate_hz.cast_signed(), if channels == 1 { 1 } else { 2 })),
        got => Err(OpusError::Channels { got }),
    }
}

#[cfg(test)]
mod tests;

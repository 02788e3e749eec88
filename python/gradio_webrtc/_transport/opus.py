"""Opus as sessions use it: 20 ms at a time, encoded and decoded on the event loop.

An encoder or a decoder belongs to one session. Imports PyAV and not aiortc.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from av import AudioFrame, CodecContext, Packet

from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ

if TYPE_CHECKING:
    from av import AudioCodecContext
    from numpy.typing import NDArray

S16: Final = "s16"
"""FFmpeg's name for int16 whose channels are interleaved."""

INT16: Final = np.dtype(np.int16)

TIME_BASE: Final = Fraction(1, SESSION_RATE_HZ)

LAYOUTS: Final = {1: "mono", 2: "stereo"}

BIT_RATES: Final = {1: 64_000, 2: 128_000}
"""Bits a second by channels: the upper end that RFC 7587 section 3.1.1 recommends for music in
fullband, in mono and in stereo."""

OPTIONS: Final = {
    # The transform codec alone, without the speech codec before it: half the work at these rates,
    # 4 ms less delay, and nearer to the original (log spectral distance of a voice 3.3 dB, against
    # 5.7 of both at the 32 kbit/s of browsers). In-band FEC goes with it, which is the speech
    # codec's; aiortc's encoder sends none either.
    "application": "lowdelay",
    # Of 0 to 10. From two on the encoder looks for transients in full; ten takes twice as long for
    # half a decibel.
    "compression_level": "2",
}

STEREO_BIT: Final = 0x04
"""Of the first byte of a packet (RFC 6716 section 3.1)."""

CONFIGURATION_BITS: Final = 0xFC
"""Of the first byte: coding mode, bandwidth, frame duration and channels. The other two bits count
the frames in the packet; none set means one."""


FRAME_MS: Final = (
    *(10, 20, 40, 60) * 3,
    *(10, 20) * 2,
    *(2.5, 5, 10, 20) * 4,
)
"""The length of one frame by the five highest bits of the first byte: speech codec, both codecs,
transform codec (RFC 6716 table 2)."""

MAX_PACKET_S: Final = 0.12
"""The longest packet (RFC 6716 section 3.2)."""


class OpusEncoder:
    """Encodes the frames of one session, one packet each. Takes about a tenth of a millisecond.

    Not safe to use from two threads at once.

    Args:
        channels: 1 or 2.

    Raises:
        av.error.FFmpegError: The encoder does not open.
        av.codec.codec.UnknownCodecError: FFmpeg was built without libopus.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        codec = CodecContext.create("libopus", "w")
        codec.format = S16
        codec.layout = LAYOUTS[channels]
        codec.sample_rate = SESSION_RATE_HZ
        codec.time_base = TIME_BASE
        codec.bit_rate = BIT_RATES[channels]
        codec.options = OPTIONS
        codec.open()
        self._codec = codec
        # The encoder is done with a frame when it has returned its packet, so one serves for all.
        self._frame = AudioFrame(S16, LAYOUTS[channels], FRAME_SAMPLES)
        self._frame.sample_rate = SESSION_RATE_HZ
        self._frame.time_base = TIME_BASE
        self._pts = 0
        self._plane = self._frame.planes[0]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Returns the packet of a frame.

        Args:
            samples: int16, ``(1, 960 * channels)``, interleaved.

        Raises:
            av.error.FFmpegError: The encoder failed.
            ValueError: The samples are not as many as stated, or there is not one packet.
        """
        self._plane.update(samples.tobytes())
        # FFmpeg's encoder insists on times that grow. RTP's, which may have gaps, are the pacer's.
        self._frame.pts = self._pts
        self._pts += FRAME_SAMPLES
        (packet,) = self._codec.encode(self._frame)
        return bytes(packet)


class OpusDecoder:
    """Decodes packets of one stream: one channel until the sender uses two.

    A sender may change between one and two channels from packet to packet; a decoder of either
    kind takes both (RFC 6716 section 4). Once there were two, two they stay: the code behind need
    not adapt to every packet.
    """

    def __init__(self) -> None:
        self._codec = _make_decoder(1)
        self._channels = 1
        self._configuration = b""

    def decode(self, data: bytes) -> list[AudioBlock]:
        """Returns the audio of a packet: 48 kHz, mono or stereo interleaved; 2.5 to 120 ms.

        Raises:
            av.error.FFmpegError: It is no Opus packet; the next one may be.
        """
        if not data:
            # FFmpeg would take it for the end of the stream, and no packet after it.
            return []
        if data[0] & STEREO_BIT and self._channels == 1:
            self._channels = 2
            self._codec = _make_decoder(2)
        channels = self._channels
        blocks = []
        for frame in self._codec.decode(Packet(data)):
            # `view_samples`, without a call for each packet.
            plane: Any = frame.planes[0]
            samples = np.ndarray((1, frame.samples * channels), INT16, plane)
            blocks.append(AudioBlock(SESSION_RATE_HZ, channels, samples))
        self._configuration = bytes((data[0] & CONFIGURATION_BITS,))
        return blocks

    def conceal(self) -> list[AudioBlock]:
        """Returns a guess at the packet after the last one, which is missing; it fades out.

        A frame without a byte of audio stands for one that was lost or not sent (RFC 6716 section
        3.2.1): the decoder goes on from its state. It is as long as a frame of the last packet.

        Returns:
            As `decode`; nothing before the first packet.
        """
        return self.decode(self._configuration)


def packet_duration_s(data: bytes) -> float:
    """Returns the length of a packet's audio, in seconds, by its first bytes (RFC 6716 section 3).

    0 for what is no packet.
    """
    if not data:
        return 0.0
    match data[0] & 3:
        case 0:
            count = 1
        case 3:
            count = data[1] & 0x3F if len(data) > 1 else 0
        case _:
            count = 2
    duration_s = count * FRAME_MS[data[0] >> 3] / 1000
    return duration_s if duration_s <= MAX_PACKET_S else 0.0


def view_samples(frame: AudioFrame, channels: int) -> NDArray[np.int16]:
    """Returns the samples of a packed s16 frame, ``(1, n * channels)``.

    A view, where PyAV's ``to_ndarray`` would copy. The plane may be longer than the audio, and is
    kept alive by the view.
    """
    plane: Any = frame.planes[0]
    return np.ndarray((1, frame.samples * channels), INT16, plane)


def _make_decoder(channels: int) -> AudioCodecContext:
    codec = CodecContext.create("libopus", "r")
    codec.format = S16
    codec.layout = LAYOUTS[channels]
    codec.sample_rate = SESSION_RATE_HZ
    return codec

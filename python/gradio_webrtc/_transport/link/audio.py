"""The audio of a link: packets of Opus, or 16-bit samples for clients that have no codec.

Runs on the event loop, 50 times a second and direction. An encoder or a decoder belongs to one
session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np

from gradio_webrtc._audio import Resampler
from gradio_webrtc._media import OpusDecoder, opus_packet_samples
from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc._transport.opus import OpusWriter
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ
from gradio_webrtc.errors import AudioError

from .frames import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

AudioCodec: TypeAlias = Literal["opus", "pcm16"]

CODECS: Final[tuple[AudioCodec, ...]] = get_args(AudioCodec)

PCM16: Final[np.dtype[np.int16]] = np.dtype("<i2")

MAX_PACKET_BYTES: Final = 4096
"""Of Opus. 20 ms at its highest rate have 1,276 (RFC 6716 section 3.4)."""

MAX_PCM_S: Final = 0.2
"""The longest frame of samples: twice as much as a client has a reason to send."""


class AudioWriter(Protocol):
    """Writes outbound audio."""

    def write(self, samples: NDArray[np.int16]) -> bytes:
        """Returns the payload of 20 ms: int16 at 48 kHz, ``(1, 960 * channels)`` interleaved."""


class AudioReader(Protocol):
    """Reads inbound audio."""

    def duration_s(self, payload: bytes) -> float:
        """Returns the length of the audio of a frame, in seconds, without decoding it.

        Raises:
            FrameError: It is none; the next one may be.
        """

    def read(self, payload: bytes) -> list[AudioBlock]:
        """Returns the audio of a frame.

        Raises:
            FrameError: It is none; the next one may be.
        """


class OpusReader:
    """Reads packets of Opus."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder(SESSION_RATE_HZ)

    def duration_s(self, payload: bytes) -> float:
        """Returns the length of a packet."""
        samples = opus_packet_samples(payload)
        if not samples or len(payload) > MAX_PACKET_BYTES:
            raise FrameError(f"{len(payload)} bytes that are no packet of Opus")
        return samples / SESSION_RATE_HZ

    def read(self, payload: bytes) -> list[AudioBlock]:
        """Returns the audio of a packet."""
        try:
            samples = self._decoder.decode(payload)
        except AudioError as error:
            raise FrameError(f"a packet of Opus that cannot be decoded: {error}") from error
        return [AudioBlock(SESSION_RATE_HZ, self._decoder.channels, samples)]


class PcmWriter:
    """Writes 16-bit samples, mono.

    Args:
        rate_hz: Their rate, a multiple of 50.
    """

    def __init__(self, rate_hz: int) -> None:
        self._resampler = Resampler(SESSION_RATE_HZ, rate_hz)

    def write(self, samples: NDArray[np.int16]) -> bytes:
        """Returns the samples; of stereo, the mean of both channels."""
        if samples.size != FRAME_SAMPLES:
            pairs = samples.reshape(-1, samples.size // FRAME_SAMPLES)
            samples = pairs.mean(axis=1).astype(np.int16).reshape(1, -1)
        return self._resampler.process(samples).astype(PCM16, copy=False).tobytes()


class PcmReader:
    """Reads 16-bit samples, mono.

    Args:
        rate_hz: Their rate.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._most_bytes = round(MAX_PCM_S * rate_hz) * PCM16.itemsize

    def duration_s(self, payload: bytes) -> float:
        """Returns the length of the samples."""
        if not payload or len(payload) % PCM16.itemsize or len(payload) > self._most_bytes:
            raise FrameError(f"{len(payload)} bytes of samples of 16 bits at {self._rate_hz} Hz")
        return len(payload) / (PCM16.itemsize * self._rate_hz)

    def read(self, payload: bytes) -> list[AudioBlock]:
        """Returns the samples."""
        samples = np.frombuffer(payload, PCM16).astype(np.int16, copy=False).reshape(1, -1)
        return [AudioBlock(self._rate_hz, 1, samples)]


def make_codec(codec: AudioCodec, rate_hz: int) -> tuple[AudioReader, AudioWriter]:
    """Returns both directions of a codec for one session."""
    if codec == "opus":
        return OpusReader(), OpusWriter()
    return PcmReader(rate_hz), PcmWriter(rate_hz)

"""Audio within JSON: mono samples in one of three encodings, as Base64.

Runs on the event loop. What comes from a client may be anything that JSON can hold.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import numpy as np

from gradio_webrtc._audio import InboundAudio, decode_g711, encode_g711

from .pacing import FRAME_SAMPLES, PARTIAL_AFTER, SESSION_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pacing import PacedFrame

Encoding: TypeAlias = Literal["mulaw", "alaw", "pcm16"]
"""The form of samples: the two laws of ITU-T G.711, or 16 bits, little-endian."""

ENCODINGS: Final[tuple[Encoding, ...]] = get_args(Encoding)

TAIL_AFTER: Final = PARTIAL_AFTER
"""Silent frames after which the audio has ended, as in `AudioPacer`."""

FRAMES_PER_SECOND: Final = SESSION_RATE_HZ // FRAME_SAMPLES

_PCM16: Final[np.dtype[np.int16]] = np.dtype("<i2")


class BrokenMessage(ValueError):
    """A message of a client that its protocol does not have. The text is for that client."""


def decode_payload(payload: object, encoding: Encoding) -> NDArray[np.int16]:
    """Returns the samples in a payload, int16 ``(1, n)``. Do not write to them.

    Raises:
        BrokenMessage: It is no text, no Base64, or half a sample.
    """
    if not isinstance(payload, str):
        raise BrokenMessage(f"expected a payload in Base64, got {type(payload).__name__}")
    try:
        data = binascii.a2b_base64(payload, strict_mode=True)
    except ValueError as error:
        raise BrokenMessage("expected a payload in Base64 (RFC 4648 section 4)") from error
    if encoding != "pcm16":
        return decode_g711(data, encoding)
    if len(data) % 2:
        raise BrokenMessage(f"expected samples of 16 bits, got {len(data)} bytes")
    return np.frombuffer(data, _PCM16).astype(np.int16, copy=False).reshape(1, -1)


def encode_payload(data: bytes) -> str:
    """Returns bytes as Base64."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


class MonoEncoder:
    """Converts the frames of a session to mono at a client's rate, and drops the silence in gaps.

    A source that is late by less than `TAIL_AFTER` frames goes on where it was. Of a longer gap one
    frame is kept: in it is the end of the audio, which the resampler held back.

    Args:
        rate_hz: The rate of the client, 8,000 to 192,000 Hz.
        encoding: The form of its samples.

    Raises:
        AudioError: The rate is out of range.

    Attributes:
        has_tail: True while the end of the audio is still to be sent.
    """

    def __init__(self, rate_hz: int, encoding: Encoding) -> None:
        self.has_tail = False
        self._rate_hz = rate_hz
        self._encoding = encoding
        self._channels = 1
        self._audio = self._make_audio()
        self._silent_frames = 0

    def encode(self, frame: PacedFrame) -> bytes:
        """Returns the next frame, about 20 ms; nothing of silence in a gap."""
        if not frame.is_audio:
            self._silent_frames += 1
            if not self.has_tail or self._silent_frames < TAIL_AFTER:
                return b""
        self.has_tail = frame.is_audio
        channels = frame.samples.size // FRAME_SAMPLES
        if channels != self._channels:
            self._channels = channels
            self._audio = self._make_audio()
        if frame.is_audio:
            self._silent_frames = 0
        return b"".join(map(self._encode, self._audio.process(frame.samples)))

    def _make_audio(self) -> InboundAudio:
        frame_samples = self._rate_hz // FRAMES_PER_SECOND
        return InboundAudio(
            SESSION_RATE_HZ, self._channels, self._rate_hz, frame_samples=frame_samples
        )

    def _encode(self, samples: NDArray[np.int16]) -> bytes:
        if self._encoding == "pcm16":
            return samples.astype(_PCM16, copy=False).tobytes()
        return encode_g711(samples, self._encoding)

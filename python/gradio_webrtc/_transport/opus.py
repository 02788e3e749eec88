"""Outbound audio as packets of Opus, and audio in the form of PyAV, as aiortc takes and returns it.

Runs on the event loop.
"""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport.pacing import FRAME_SAMPLES, SESSION_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame
    from numpy.typing import NDArray

S16: Final = "s16"
"""FFmpeg's name for int16 whose channels are interleaved."""

INT16: Final = np.dtype(np.int16)

TIME_BASE: Final = Fraction(1, SESSION_RATE_HZ)


class OpusWriter:
    """Writes the frames of one session, mono until the first stereo frame."""

    def __init__(self) -> None:
        # Many sessions never speak.
        self._encoder: AudioEncoder | None = None

    def write(self, samples: NDArray[np.int16]) -> bytes:
        """Returns a frame as a packet: int16 at 48 kHz, ``(1, 960 * channels)`` interleaved."""
        channels = samples.size // FRAME_SAMPLES
        if self._encoder is None:
            self._encoder = AudioEncoder(channels)
        # Nothing happens where they are the same.
        self._encoder.channels = channels
        return self._encoder.encode(samples)

    def adapt(self, fraction_lost: float, round_trip_s: float | None) -> None:
        """Adapts the encoding to a report of the remote peer; see `AudioEncoder.report`."""
        if self._encoder is not None:
            self._encoder.report(time.monotonic(), fraction_lost, round_trip_s)

    def close(self) -> None:
        """Frees the encoder."""
        self._encoder = None


def view_samples(frame: AudioFrame, channels: int) -> NDArray[np.int16]:
    """Returns the samples of a packed s16 frame, ``(1, n * channels)``.

    A view, where PyAV's ``to_ndarray`` would copy. The plane may be longer than the audio, and is
    kept alive by the view.
    """
    plane: Any = frame.planes[0]
    return np.ndarray((1, frame.samples * channels), INT16, plane)

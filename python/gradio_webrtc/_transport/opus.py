"""Opus as sessions encode it: 20 ms at a time, on the event loop.

The codec is libopus, in `_media`. What PyAV takes and returns as samples is here, too: aiortc hands
its frames over.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._media import OpusEncoder
from gradio_webrtc._transport.pacing import SESSION_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame
    from numpy.typing import NDArray

S16: Final = "s16"
"""FFmpeg's name for int16 whose channels are interleaved."""

INT16: Final = np.dtype(np.int16)

TIME_BASE: Final = Fraction(1, SESSION_RATE_HZ)

BIT_RATES: Final = {1: 64_000, 2: 128_000}
"""Bits a second by channels: the upper end that RFC 7587 section 3.1.1 recommends for music in
fullband, in mono and in stereo."""

COMPLEXITY: Final = 2
"""Of 0 to 10. From two on the encoder looks for transients in full; ten takes twice as long for
half a decibel."""


def open_encoder(channels: int) -> OpusEncoder:
    """Returns an encoder for the frames of one session.

    It uses the transform codec alone, without the speech codec before it: half the work at these
    rates, 4 ms less delay, and nearer to the original (log spectral distance of a voice 3.3 dB,
    against 5.7 of both at the 32 kbit/s of browsers).
    """
    return OpusEncoder(
        channels,
        application="lowdelay",
        bit_rate=BIT_RATES[channels],
        complexity=COMPLEXITY,
    )


def view_samples(frame: AudioFrame, channels: int) -> NDArray[np.int16]:
    """Returns the samples of a packed s16 frame, ``(1, n * channels)``.

    A view, where PyAV's ``to_ndarray`` would copy. The plane may be longer than the audio, and is
    kept alive by the view.
    """
    plane: Any = frame.planes[0]
    return np.ndarray((1, frame.samples * channels), INT16, plane)

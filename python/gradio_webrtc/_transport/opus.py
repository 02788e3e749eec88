"""Audio in the form of PyAV, in which aiortc takes and returns it. Imports nothing of ours."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._transport.pacing import SESSION_RATE_HZ

if TYPE_CHECKING:
    from av import AudioFrame
    from numpy.typing import NDArray

S16: Final = "s16"
"""FFmpeg's name for int16 whose channels are interleaved."""

INT16: Final = np.dtype(np.int16)

TIME_BASE: Final = Fraction(1, SESSION_RATE_HZ)


def view_samples(frame: AudioFrame, channels: int) -> NDArray[np.int16]:
    """Returns the samples of a packed s16 frame, ``(1, n * channels)``.

    A view, where PyAV's ``to_ndarray`` would copy. The plane may be longer than the audio, and is
    kept alive by the view.
    """
    plane: Any = frame.planes[0]
    return np.ndarray((1, frame.samples * channels), INT16, plane)

"""Frames in any form that a program may pass on, as the samples in which turns are detected.

Not safe to use from two threads at once.
"""

from __future__ import annotations

import logging
import operator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc.errors import AudioError

from .input_settings import RATE_RANGE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc.types import Layout

MOST_CHANNELS: Final = 8
"""The most channels in a two-dimensional array: a shorter side beyond it is no number of them."""

FLOAT_LIMIT: Final = 4.0
"""Float samples beyond this are at the scale of int16: no filter overshoots by 12 dB, and speech
at that scale is a hundred times louder."""

_EXPECTED: Final = "receive takes (rate, samples), with int16 or float samples (n,) or (1, n)"

_logger = logging.getLogger(__name__)


class Intake:
    """Converts frames to the form that is processed, from a session or from a subclass.

    Not safe to use from two threads at once.

    Args:
        rate_hz: The rate of a session's frames.
        layout: That of a session's frames, whose channels are packed.

    Attributes:
        rate_hz: The rate of the frames of this session, in Hz: that of the first of them.
    """

    def __init__(self, rate_hz: int, layout: Layout) -> None:
        self.rate_hz = rate_hz
        self._has_begun = False
        self._is_wide = False
        self.note_layout(layout)

    def note_layout(self, layout: Layout) -> None:
        """Takes frames of this layout from now on."""
        self._channels = 2 if layout == "stereo" else 1

    def take(self, frame: Any) -> NDArray[np.int16]:
        """Returns the samples of a frame, int16 ``(1, n)``.

        Raises:
            AudioError: A rate out of range, or another one than before.
            TypeError: The frame is no audio.
        """
        try:
            rate_hz, samples = frame
            rate_hz = operator.index(int(rate_hz) if isinstance(rate_hz, float) else rate_hz)
        except (TypeError, ValueError):
            raise TypeError(f"{_EXPECTED}; got {frame!r:.200}") from None
        if rate_hz != self.rate_hz or not self._has_begun:
            self.begin(rate_hz)
        samples = np.asarray(samples)
        if samples.dtype != np.int16:
            samples = self._as_int16(samples)
        if samples.shape[:-1] == (1,) and self._channels == 1:
            # The frames of a session, fifty a second, pass as they are.
            mono: NDArray[np.int16] = samples
            return mono
        if not samples.ndim:
            raise TypeError(f"{_EXPECTED}; got the single number {samples}")
        if samples.ndim > 1 and min(samples.shape) > 1:
            return _averaged(samples)
        return _unpacked(samples, self._channels)

    def takes(self, rate_hz: int) -> bool:
        """True unless frames of another rate were taken before."""
        return rate_hz == self.rate_hz or not self._has_begun

    def begin(self, rate_hz: int) -> None:
        """Sets the rate of the session's frames, in Hz.

        Raises:
            AudioError: A rate out of range, or another one than before.
        """
        lowest, highest = RATE_RANGE_HZ
        if not lowest <= rate_hz <= highest:
            raise AudioError(f"receive takes {lowest} to {highest} Hz, got {rate_hz!r}")
        if not self.takes(rate_hz):
            raise AudioError(
                f"the frames of a session have one rate: receive was given {self.rate_hz} Hz "
                f"before, and now {rate_hz} Hz; resample every frame to the same rate"
            )
        self._has_begun = True
        self.rate_hz = rate_hz

    def _as_int16(self, samples: NDArray[Any]) -> NDArray[np.int16]:
        if np.issubdtype(samples.dtype, np.signedinteger):
            clipped: NDArray[np.int16] = np.clip(samples, -32768, 32767).astype(np.int16)
            return clipped
        if not np.issubdtype(samples.dtype, np.floating):
            raise TypeError(f"{_EXPECTED}; got samples of {samples.dtype}")
        samples = np.nan_to_num(samples)
        if not self._is_wide and np.abs(samples).max(initial=0.0) > FLOAT_LIMIT:
            self._is_wide = True
            _logger.warning(
                "receive was given %s samples at the scale of int16, and converts them as such; "
                "divide them by 32768, or pass samples.astype(np.int16)",
                samples.dtype,
            )
        scaled = samples if self._is_wide else samples * 32767
        rounded: NDArray[np.int16] = np.rint(np.clip(scaled, -32768, 32767)).astype(np.int16)
        return rounded


def _averaged(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Returns planar or interleaved channels as one, ``(1, n)``."""
    if samples.ndim != 2 or min(samples.shape) > MOST_CHANNELS:  # noqa: PLR2004 - channels and samples
        raise TypeError(f"{_EXPECTED}; got the shape {samples.shape}")
    axis = 0 if samples.shape[0] <= samples.shape[1] else 1
    mean: NDArray[np.int16] = samples.mean(axis=axis).astype(np.int16).reshape(1, -1)
    return mean


def _unpacked(samples: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """Returns packed samples of any shape as int16 ``(1, n)``, averaged over their channels."""
    if channels == 1:
        return samples.reshape(1, -1)
    mean = samples.reshape(-1, channels).astype(np.int32).sum(axis=1) // channels
    mono: NDArray[np.int16] = mean.astype(np.int16).reshape(1, -1)
    return mono

"""The resampling of PyAV frames for handlers that are written for gradio_webrtc 0.0.31 or fastrtc.

Frames for ``receive`` are converted before, by the session. Runs in any thread. Imports no PyAV.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._audio import InboundAudio, audio_to_int16
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc.types import Layout

UINT8_ZERO: Final = 128
"""The sample value of silence in unsigned 8-bit audio."""


class FrameResampler:
    """Converts PyAV frames to int16 at one rate and layout.

    It imports no PyAV: its frames are of the class of those it gets.

    Args:
        rate_hz: The rate of the results, 8,000 to 192,000 Hz.
        layout: The layout of the results.
    """

    def __init__(self, rate_hz: int, layout: Layout) -> None:
        self._rate_hz = rate_hz
        self._layout = layout
        self._format = (0, 0)
        self._pts = 0
        self._audio: InboundAudio | None = None

    def resample(self, frame: Any) -> list[Any]:
        """Returns the frames that are complete with this one, each with as many samples.

        Args:
            frame: An ``av.AudioFrame``, of one channel or two.

        Raises:
            AudioError: It has another number of channels, or samples of an unknown kind.
        """
        channels = frame.layout.nb_channels
        if self._audio is None or self._format != (frame.sample_rate, channels):
            self._format = (frame.sample_rate, channels)
            self._audio = InboundAudio(
                frame.sample_rate,
                channels,
                self._rate_hz,
                layout=self._layout,
                frame_samples=frame.samples,
            )
        blocks = self._audio.process(_packed_int16(frame))
        return [self._made(type(frame), block) for block in blocks]

    def _made(self, kind: Any, block: NDArray[np.int16]) -> Any:
        frame = kind.from_ndarray(block, format="s16", layout=self._layout)
        frame.sample_rate, frame.time_base = self._rate_hz, Fraction(1, self._rate_hz)
        frame.pts = self._pts
        self._pts += frame.samples
        return frame


def _packed_int16(frame: Any) -> NDArray[np.int16]:
    samples = frame.to_ndarray()
    if frame.format.is_planar:
        samples = samples.T.reshape(1, -1)
    match samples.dtype.kind, samples.dtype.itemsize:
        case ("i", 2) | ("f", _):
            return np.ascontiguousarray(audio_to_int16(samples))
        case ("i", size):
            high: NDArray[np.int16] = (samples >> (8 * (size - 2))).astype(np.int16)
            return high
        case ("u", 1):
            wide: NDArray[np.int16] = (samples.astype(np.int16) - UINT8_ZERO) << 8
            return wide
    raise AudioError(f"expected samples as whole numbers or floats, got {samples.dtype}")

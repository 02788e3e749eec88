"""Video frames in the form of codecs and as arrays, by PyAV. `pixels` reads what users return."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from av.video.reformatter import VideoReformatter

from .pixels import CODEC_FORMAT, EXACT, MIN_SIDE, read_frame

if TYPE_CHECKING:
    from av import VideoFrame
    from numpy.typing import NDArray

    from gradio_webrtc.types import FrameFormat

MAX_FRAME_PIXELS: Final = 1920 * 1080
"""The largest frame that reaches a user's function, or an encoder: full HD, in any shape. A client
may send any size, and four times the pixels take four times the time of everything."""


class PlanarFrame:
    """One video frame in a codec's form. Its pixels are never changed.

    Args:
        frame: Decoded, or ready to be encoded.
    """

    def __init__(self, frame: VideoFrame) -> None:
        self.frame = frame

    @property
    def width(self) -> int:
        """Columns."""
        return self.frame.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.frame.height


class TimedFrame(NamedTuple):
    """A video frame and its place on a clock of 90 kHz (RFC 7741 section 4.1).

    Attributes:
        pts: Since the first frame; grows from each to the next.
        frame: The frame.
    """

    pts: int
    frame: PlanarFrame


class PixelConverter:
    """Converts video frames to arrays and back.

    Takes milliseconds: for one worker thread, not for the event loop.

    Args:
        frame_format: The order of colours in arrays.
    """

    def __init__(self, frame_format: FrameFormat = "bgr") -> None:
        self._array_format = f"{frame_format}24"
        # A reformatter keeps its tables from frame to frame while the size stays the same.
        self._to_array = VideoReformatter()
        self._to_codec = VideoReformatter()

    def to_array(self, planar: PlanarFrame) -> NDArray[np.uint8]:
        """Returns a copy of the pixels, uint8 ``(height, width, 3)``, at most full HD."""
        width, height = fit(planar.width, planar.height)
        frame = self._to_array.reformat(
            planar.frame, width=width, height=height, format=self._array_format, threads=1
        )
        return np.ascontiguousarray(frame.to_ndarray())

    def to_planar(self, pixels: object) -> PlanarFrame:
        """Returns a video frame made of what a function returned, at most full HD.

        Args:
            pixels: ``(height, width)`` or ``(height, width, channels)`` with one channel (gray),
                two (gray and alpha), three, or four (and alpha, which is dropped). uint8; uint16,
                of which 65,535 is white; other whole numbers, such as sums, are cut off at 0 and
                255; floats that stay within 0 to 1 are scaled up, others cut off; NaN is black.
                Anything that NumPy makes such an array of. A PIL image of any mode, in its own
                order of colours; an ``av.VideoFrame`` in any format.

        Raises:
            PictureError: It is not an image; the text names what came.
        """
        return self._fitted(read_frame(pixels, self._array_format))

    def fit(self, planar: PlanarFrame) -> PlanarFrame:
        """Returns the frame itself; a smaller one if it is larger than full HD."""
        return self._fitted(planar.frame)

    def _fitted(self, frame: VideoFrame) -> PlanarFrame:
        width, height = fit(frame.width, frame.height)
        return PlanarFrame(
            self._to_codec.reformat(
                frame,
                width=width,
                height=height,
                format=CODEC_FORMAT,
                interpolation=EXACT,
                threads=1,
            )
        )


def fit(width: int, height: int) -> tuple[int, int]:
    """Returns the same shape with `MAX_FRAME_PIXELS` at most; even sides where it had to shrink."""
    if width * height <= MAX_FRAME_PIXELS:
        return width, height
    scale = math.sqrt(MAX_FRAME_PIXELS / (width * height))
    return _shrunk(width, scale), _shrunk(height, scale)


def _shrunk(side: int, scale: float) -> int:
    return max(MIN_SIDE, int(side * scale) // 2 * 2)

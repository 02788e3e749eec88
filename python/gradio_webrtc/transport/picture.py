"""Pictures as codecs take them, and as arrays. Every conversion of pixels is here, by PyAV."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from gradio_webrtc.errors import PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc.types import FrameFormat

MAX_PICTURE_PIXELS: Final = 1920 * 1080
"""The largest picture that reaches a user's function, or an encoder: full HD, in any shape. A page
may send what it likes, and four times the pixels take four times the time of everything."""

MIN_SIDE: Final = 16
"""One macroblock of VP8 and H.264; what is smaller gets its edges repeated."""

CODEC_FORMAT: Final = "yuv420p"
"""What both codecs of WebRTC (RFC 7742) and aiortc's encoders take. One colour sample stands for
two by two pixels, so sides are even."""


EXACT: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
"""libswscale's shortcut from ``bgr24`` rounds down: white comes back as 250, 253, 251, and darker
each time it goes round. Exactness costs 1.5 ms of a thread at 720p."""


class Picture:
    """One picture in a codec's form. Nobody changes its pixels.

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


class TimedPicture(NamedTuple):
    """A picture and its place on a clock of 90 kHz (RFC 7741 section 4.1).

    Attributes:
        pts: Since the first picture; grows from each to the next.
        picture: The picture.
    """

    pts: int
    picture: Picture


class PixelConverter:
    """Pictures to arrays and back. Takes milliseconds: for one worker thread, not for the loop.

    Args:
        frame_format: The order of colours in arrays.
    """

    def __init__(self, frame_format: FrameFormat = "bgr") -> None:
        self._array_format = f"{frame_format}24"
        # A reformatter keeps its tables from picture to picture while the size stays the same.
        self._to_array = VideoReformatter()
        self._to_codec = VideoReformatter()

    def to_array(self, picture: Picture) -> NDArray[np.uint8]:
        """The pixels, uint8 ``(height, width, 3)``, the caller's own, at most full HD."""
        width, height = fit(picture.width, picture.height)
        frame = self._to_array.reformat(
            picture.frame, width=width, height=height, format=self._array_format, threads=1
        )
        return np.ascontiguousarray(frame.to_ndarray())

    def to_picture(self, pixels: object) -> Picture:
        """A picture of what a function gave, at most full HD.

        Args:
            pixels: ``(height, width)`` or ``(height, width, channels)`` with one channel (gray),
                two (gray and alpha), three, or four (and alpha, which is dropped). uint8; other
                whole numbers are cut off at 0 and 255; floats that stay within 0 to 1 are scaled
                up, others cut off; NaN is black.

        Raises:
            PictureError: It is no picture: says what came.
        """
        array = _even(_three_channels(_uint8(np.asarray(pixels))))
        frame = VideoFrame.from_ndarray(array, format=self._array_format)
        return self._fitted(frame)

    def fit(self, picture: Picture) -> Picture:
        """The picture itself; a smaller one if it is larger than full HD."""
        return self._fitted(picture.frame)

    def _fitted(self, frame: VideoFrame) -> Picture:
        width, height = fit(frame.width, frame.height)
        return Picture(
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
    """The same shape with `MAX_PICTURE_PIXELS` at most; even sides where it had to shrink."""
    if width * height <= MAX_PICTURE_PIXELS:
        return width, height
    scale = math.sqrt(MAX_PICTURE_PIXELS / (width * height))
    return _shrunk(width, scale), _shrunk(height, scale)


def _shrunk(side: int, scale: float) -> int:
    return max(MIN_SIDE, int(side * scale) // 2 * 2)


def _uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        array = np.where(array, 255, 0)
    if np.issubdtype(array.dtype, np.integer):
        cut: NDArray[np.uint8] = np.clip(array, 0, 255).astype(np.uint8)
        return cut
    if not np.issubdtype(array.dtype, np.floating):
        raise PictureError(f"expected numbers as pixels, got {array.dtype} {array.shape}")
    finite = np.nan_to_num(array.astype(np.float32, copy=False), posinf=255.0, neginf=0.0)
    is_unit = finite.size > 0 and finite.max() <= 1.0
    scaled = finite * 255.0 if is_unit else finite
    rounded: NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
    return rounded


def _three_channels(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    match array.shape:
        case (height, width) if height and width:
            return np.repeat(array[:, :, np.newaxis], 3, axis=2)
        case (height, width, 1 | 2) if height and width:
            return np.repeat(array[:, :, :1], 3, axis=2)
        case (height, width, 3 | 4) if height and width:
            return array[:, :, :3]
    raise PictureError(
        f"expected (height, width, 3), (height, width, 4) or (height, width), got {array.shape}"
    )


def _even(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = array.shape[:2]
    rows, columns = (max(MIN_SIDE, side + side % 2) - side for side in (height, width))
    if rows or columns:
        array = np.pad(array, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(array)

"""Images of every kind that a function may return, as frames of even size for the codecs.

Functions without state, for any thread; they copy the image, which takes milliseconds at full HD.
Imports neither aiortc nor Pillow.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from av import VideoFrame
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from gradio_webrtc.errors import PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SIDE: Final = 16
"""One macroblock of VP8 and H.264; a smaller frame gets its edges repeated."""

CODEC_FORMAT: Final = "yuv420p"
"""The format of both codecs of WebRTC (RFC 7742) and of aiortc's encoders. One colour sample stands
for two by two pixels, so sides are even."""

EXACT: Final = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
"""libswscale's quick way from ``bgr24`` rounds down: white comes back as 250, 253, 251, and darker
each time it goes round. Exactness costs 1.5 ms of a thread at 720p."""

UINT16_BYTES: Final = 2

UINT16_STEP: Final = 257
"""65,535 / 255: white in 16 bits is white in 8."""

PILLOW_ALPHA: Final = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
"""Modes that Pillow itself takes to RGB by way of another, or only with a warning."""

FORMS: Final = (
    "a video frame: an array (height, width, 3), (height, width, 4) or (height, width), "
    "a PIL image or an av.VideoFrame"
)


def read_frame(pixels: object, array_format: str) -> VideoFrame:
    """Returns a frame made of what a function returned, of `MIN_SIDE` at least and even.

    An array's own pixels are in it, or a copy of them: convert it before anything else.

    Args:
        pixels: See `PixelConverter.to_planar`.
        array_format: PyAV's name for the order of colours in arrays.

    Raises:
        PictureError: It is not an image; the text names what came.
    """
    if isinstance(pixels, np.ndarray):
        return _frame_of(pixels, array_format)
    if isinstance(pixels, VideoFrame):
        return _own_frame(pixels)
    if _is_pillow(pixels):
        # Pillow is red first, whatever arrays are.
        return _frame_of(_read_pillow(pixels), "rgb24")
    return _frame_of(_as_array(pixels), array_format)


def _frame_of(array: NDArray[Any], array_format: str) -> VideoFrame:
    # Without a copy: the frame is converted before anyone else can change the array.
    packed = np.ascontiguousarray(_even(_three_channels(_uint8(array))))
    return VideoFrame.from_numpy_buffer(packed, format=array_format)


def _own_frame(given: VideoFrame) -> VideoFrame:
    """Returns the frame in the codec's format; a copy where it has that already.

    A sender writes the time into what it sends.
    """
    width, height = given.width, given.height
    is_full = given.color_range == ColorRange.JPEG or given.format.name.startswith("yuvj")
    ranges = (ColorRange.JPEG, ColorRange.MPEG) if is_full else (None, None)
    try:
        if min(width, height) < MIN_SIDE or width % 2 or height % 2:
            return _frame_of(given.to_ndarray(format="rgb24"), "rgb24")
        frame = VideoReformatter().reformat(
            given,
            format=CODEC_FORMAT,
            src_color_range=ranges[0],
            dst_color_range=ranges[1],
            interpolation=EXACT,
            threads=1,
        )
        is_ours = frame is not given
        return frame if is_ours else VideoFrame.from_ndarray(given.to_ndarray(), CODEC_FORMAT)
    except (FFmpegError, ValueError) as error:
        raise PictureError(
            f"expected an av.VideoFrame with pixels that can be converted, got {given!r}: {error}"
        ) from error


def _is_pillow(pixels: object) -> bool:
    """True for a PIL image, without importing Pillow: code that has an image has done it."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(pixels, pillow.Image)


def _read_pillow(image: Any) -> NDArray[Any]:
    """Returns the pixels, gray or red first, in whatever numbers the mode has."""
    try:
        if image.mode == "L" or image.mode.startswith(("I", "F")):
            return np.asarray(image)
        if image.mode in PILLOW_ALPHA:
            image = image.convert(PILLOW_ALPHA[image.mode])
        gray = image.mode in {"1", "LA"}
        return np.asarray(image.convert("L" if gray else "RGB"))
    except (OSError, ValueError) as error:
        raise PictureError(
            f"expected a PIL image that can be converted to RGB, got one of mode {image.mode!r}: "
            f"{error}"
        ) from error


def _as_array(pixels: object) -> NDArray[Any]:
    if isinstance(pixels, str | bytes | bytearray):
        raise PictureError(
            f"expected {FORMS}; got {type(pixels).__name__}: decode it first, with cv2.imread, "
            "cv2.imdecode or PIL.Image.open"
        )
    try:
        array = np.asarray(pixels)
    except Exception as error:
        # An array of another library brings its own code, and its own errors.
        raise PictureError(
            f"expected {FORMS}; got {type(pixels).__name__}, which NumPy cannot read: {error}"
        ) from error
    if not array.ndim:
        raise PictureError(f"expected {FORMS}; got {type(pixels).__name__}")
    return array


def _uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        array = np.where(array, 255, 0)
    if array.dtype.kind == "u" and array.dtype.itemsize == UINT16_BYTES:
        # Rounded, in 32 bits; a division of floats would take twice as long.
        eight_bits: NDArray[np.uint8] = (
            (array.astype(np.uint32) + UINT16_STEP // 2) // UINT16_STEP
        ).astype(np.uint8)
        return eight_bits
    if np.issubdtype(array.dtype, np.integer):
        cut: NDArray[np.uint8] = np.clip(array, 0, 255).astype(np.uint8)
        return cut
    if not np.issubdtype(array.dtype, np.floating):
        raise PictureError(f"expected {FORMS}, of whole numbers or floats; got {array.dtype}")
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
        case (1 | 3 | 4, height, width) if height and width:
            advice = "channels first: write array.transpose(1, 2, 0)"
        case (1, _, _, 1 | 3 | 4):
            advice = "a batch of one: write array[0]"
        case _:
            advice = "which no image has"
    raise PictureError(f"expected {FORMS}; got shape {array.shape}, {advice}")


def _even(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = array.shape[:2]
    rows, columns = (max(MIN_SIDE, side + side % 2) - side for side in (height, width))
    if rows or columns:
        array = np.pad(array, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(array)

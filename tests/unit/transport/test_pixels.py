"""Images of every kind that a function may return, as frames for the codecs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange
from PIL import Image
from support.frames import colour_of, number_of, numbered

from gradio_webrtc._transport import PixelConverter
from gradio_webrtc.errors import PictureError

if TYPE_CHECKING:
    from gradio_webrtc.types import FrameFormat

ORANGE = (30, 120, 230)


def test_there_and_back_keeps_the_image() -> None:
    pixels = PixelConverter()
    array = pixels.to_array(pixels.to_planar(numbered(1234, colour=ORANGE)))
    assert array.shape == (240, 320, 3)
    assert number_of(array) == 1234
    assert colour_of(array) == pytest.approx(ORANGE, abs=6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (17, 33), (16, 2), (241, 320)])
def test_any_size_becomes_one_that_encoders_take(rows: int, columns: int) -> None:
    planar = PixelConverter().to_planar(np.full((rows, columns, 3), 90, np.uint8))
    assert planar.width % 2 == planar.height % 2 == 0
    assert planar.width >= max(16, columns)
    assert planar.height >= max(16, rows)
    assert colour_of(PixelConverter().to_array(planar)) == pytest.approx((90, 90, 90), abs=4)


GRAY = np.full((32, 32), 100)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GRAY.astype(np.uint8), 100),
        (GRAY.astype(np.int32), 100),
        (GRAY.astype(np.uint16) * 257, 100),
        (np.full((32, 32, 3), 65535, np.uint16), 255),
        (GRAY.astype(np.int16) + 1000, 255),
        (GRAY - 500, 0),
        (GRAY / 255, 100),
        (GRAY.astype(np.float16), 100),
        (GRAY * 5.0, 255),
        (np.full((32, 32), np.nan), 0),
        (np.full((32, 32), np.inf), 255),
        (np.full((32, 32), -np.inf), 0),
        (GRAY > 50, 255),
        (np.zeros((32, 32, 2), np.uint8) + np.array([100, 7], np.uint8), 100),
        (np.zeros((32, 32, 4), np.uint8) + np.array([100, 100, 100, 7], np.uint8), 100),
        (GRAY.astype(np.uint8).tolist(), 100),
    ],
)
def test_numbers_of_every_kind_become_shades(given: Any, expected: int) -> None:
    pixels = PixelConverter()
    shade = colour_of(pixels.to_array(pixels.to_planar(given)))
    assert shade == pytest.approx((expected,) * 3, abs=4)


class Tensor:
    """An array of another library, with what it has in common with NumPy's."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self._array is None:
            raise RuntimeError("this lives on another device")
        return np.asarray(self._array, dtype=dtype, copy=copy)


def test_an_array_of_another_library_is_an_image() -> None:
    pixels = PixelConverter()
    shown = pixels.to_array(pixels.to_planar(Tensor(np.full((32, 32, 3), 100, np.uint8))))
    assert colour_of(shown) == pytest.approx((100,) * 3, abs=4)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        *((mode, ORANGE) for mode in ("RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")),
        *((mode, (102, 153, 51)) for mode in ("P", "PA")),
        *((mode, (137,) * 3) for mode in ("L", "LA", "La", "I", "F", "I;16", "I;16B")),
        ("1", (255,) * 3),
    ],
)
def test_a_pil_image_has_its_own_colours_whatever_arrays_have(
    order: FrameFormat, mode: str, expected: tuple[int, int, int]
) -> None:
    image = pil_image(mode)
    assert image.mode == mode
    seen = PixelConverter("bgr").to_array(PixelConverter(order).to_planar(image))
    assert colour_of(seen) == pytest.approx(expected, abs=6)


def pil_image(mode: str) -> Image.Image:
    """An orange one, as near as the mode comes to it."""
    image = Image.new("RGB", (32, 32), ORANGE[::-1])
    if mode in {"P", "PA"}:
        palette = Image.new("P", (32, 32), 7)
        palette.putpalette([0] * 21 + [51, 153, 102])
        palette.info["transparency"] = bytes(256)
        return palette if mode == "P" else palette.convert("PA")
    if mode in {"RGBa", "La"}:
        return image.convert("RGBA" if mode == "RGBa" else "LA").convert(mode)
    if mode.startswith("I;16"):
        shade = np.full((32, 32), 137 * 257, "<u2" if mode == "I;16" else ">u2")
        return Image.frombytes(mode, (32, 32), shade.tobytes())
    if mode == "1":
        return Image.new("1", (32, 32), 1)
    return image.convert(mode)


def test_a_pil_image_that_cannot_be_converted_is_refused_by_its_mode() -> None:
    image = Image.new("RGB", (32, 32))
    image.close()
    with pytest.raises(PictureError, match="got one of mode 'RGB': Operation on closed image"):
        PixelConverter().to_planar(image)


@pytest.mark.parametrize("size", [(32, 32), (33, 17), (2, 6)])
@pytest.mark.parametrize(
    "pixel_format", ["rgb24", "bgr24", "rgba", "yuv420p", "yuvj420p", "yuv444p", "nv12", "rgb48le"]
)
def test_a_frame_of_pyav_is_shown_as_it_is(pixel_format: str, size: tuple[int, int]) -> None:
    rgb = np.full((size[1], size[0], 3), ORANGE[::-1], np.uint8)
    frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
    pixels = PixelConverter()
    planar = pixels.to_planar(frame)
    assert planar.width % 2 == planar.height % 2 == 0
    assert colour_of(pixels.to_array(planar)) == pytest.approx(ORANGE, abs=8)


def test_a_frame_of_full_range_is_not_brightened() -> None:
    white = VideoFrame.from_ndarray(np.full((32, 32, 3), 255, np.uint8), format="rgb24")
    full = white.reformat(format="yuv420p", dst_color_range=ColorRange.JPEG)
    assert full.to_ndarray()[0, 0] == 255
    assert PixelConverter().to_planar(full).frame.to_ndarray()[0, 0] == 235


def test_a_frame_of_the_users_is_not_written_to() -> None:
    # A sender writes the time into what it sends, and two sessions may send one frame.
    frame = VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8)).reformat(format="yuv420p")
    assert PixelConverter().to_planar(frame).frame is not frame


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (np.zeros((3, 32, 32)), r"array.transpose\(1, 2, 0\)"),
        (np.zeros((1, 32, 32, 3)), r"array\[0\]"),
        (b"\xff\xd8", "cv2.imdecode"),
        ("image.png", "PIL.Image.open"),
        ({"image": 1}, "got dict"),
        ([np.zeros((4, 4)), "two people"], "got list, which NumPy cannot read"),
        (Tensor(None), "got Tensor, which NumPy cannot read: this lives on another device"),
    ],
)
def test_what_to_write_instead_is_reported(given: Any, advice: str) -> None:
    with pytest.raises(PictureError, match=advice):
        PixelConverter().to_planar(given)


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((2, 3, 4, 5)),
        np.zeros(12),
        np.zeros((0, 0, 3)),
        np.zeros((4, 0)),
        np.zeros((3, 32, 32)),
        np.zeros((32, 32, 5)),
        np.array("image"),
        np.array([[None]]),
        np.zeros((32, 32), complex),
    ],
)
def test_anything_but_an_image_is_refused_by_name(given: Any) -> None:
    with pytest.raises(PictureError, match=r"expected .* got "):
        PixelConverter().to_planar(given)

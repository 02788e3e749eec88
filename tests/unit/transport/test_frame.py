"""Video frames as arrays for a user's function: their order of colours and their size."""

from __future__ import annotations

import pytest
from support.frames import colour_of, number_of, numbered

from gradio_webrtc._transport import PixelConverter
from gradio_webrtc._transport.frame import MAX_FRAME_PIXELS, fit

ORANGE = (30, 120, 230)


def test_the_order_of_colours_is_the_users_choice() -> None:
    planar = PixelConverter("bgr").to_planar(numbered(1, colour=ORANGE))
    seen = PixelConverter("rgb").to_array(planar)
    assert colour_of(seen) == pytest.approx(ORANGE[::-1], abs=6)
    back = PixelConverter("bgr").to_array(PixelConverter("rgb").to_planar(seen))
    assert colour_of(back) == pytest.approx(ORANGE, abs=6)


@pytest.mark.parametrize("width", [320, 322, 642])
def test_an_array_is_the_users_own_to_draw_in(width: int) -> None:
    pixels = PixelConverter()
    planar = pixels.to_planar(numbered(1, width))
    array = pixels.to_array(planar)
    array[:] = 0
    assert array.flags["C_CONTIGUOUS"]
    assert array.flags["WRITEABLE"]
    assert number_of(pixels.to_array(planar)) == 1


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (1920, 1080)),
        (1080, 1920, (1080, 1920)),
        (3840, 2160, (1920, 1080)),
        (2160, 3840, (1080, 1920)),
        (4000, 3000, (1662, 1246)),
        (640, 481, (640, 481)),
    ],
)
def test_more_than_full_hd_is_scaled_down_in_its_shape(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    assert fit(width, height) == expected
    assert expected[0] * expected[1] <= MAX_FRAME_PIXELS


def test_a_large_frame_is_scaled_on_each_way() -> None:
    pixels = PixelConverter()
    large = pixels.to_planar(numbered(77, 2800, 1600))
    assert (large.width, large.height) == fit(2800, 1600)
    assert number_of(pixels.to_array(large)) == 77
    small = pixels.to_planar(numbered(78))
    assert pixels.fit(small).frame is small.frame

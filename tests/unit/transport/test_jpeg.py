"""JPEGs of clients: those of browsers are taken, and nothing that costs more than it seems."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gradio_webrtc._transport import PixelConverter, PlanarFrame
from gradio_webrtc._transport.link import jpeg as module
from gradio_webrtc._transport.link.frames import FrameError
from gradio_webrtc._transport.link.jpeg import JpegDecoder, JpegEncoder, check_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 640 * 480


def gradient(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """A gradient in each colour."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x // width, 255 * y // height, (x + y) % 256], -1).astype(np.uint8)


def written(array: NDArray[np.uint8] | None = None, **options: Any) -> bytes:
    """A JPEG as browsers write it; they use the same library."""
    image = Image.fromarray(gradient() if array is None else array)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def planar(array: NDArray[np.uint8]) -> PlanarFrame:
    return PixelConverter("rgb").to_planar(array)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2) + payload


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_what_browsers_write_is_taken_and_decoded(quality: int, subsampling: str) -> None:
    data = written(quality=quality, subsampling=subsampling)
    assert check_jpeg(data, MOST) == data
    frame = JpegDecoder(MOST).decode(data)
    assert (frame.width, frame.height) == (64, 48)


def test_black_and_white_are_exact() -> None:
    array = np.zeros((48, 64, 3), np.uint8)
    array[:, 32:] = 255
    pixels = PixelConverter("rgb").to_array(JpegDecoder(MOST).decode(written(array)))
    assert pixels[:, :24].max() <= 2
    assert pixels[:, 40:].min() >= 253


def test_optimised_and_gray_and_annotated_ones_are_taken() -> None:
    assert check_jpeg(written(optimize=True), MOST)
    assert check_jpeg(written(gradient()[:, :, 0]), MOST)
    assert check_jpeg(written(comment="a comment", exif=b"Exif\x00\x00" + bytes(300)), MOST)


def test_restarts_within_the_scan_are_no_other_scan() -> None:
    data = written(restart_marker_rows=1)
    assert b"\xff\xd0" in data
    assert check_jpeg(data, MOST) == data


def test_what_stands_behind_the_end_is_cut_off() -> None:
    data = written()
    assert check_jpeg(data + written(gradient(800, 800)), MOST) == data


@pytest.mark.parametrize(("width", "height"), [(641, 480), (65_535, 65_535), (0, 480), (640, 0)])
def test_the_size_in_the_header_is_checked(width: int, height: int) -> None:
    data = bytearray(written())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = height.to_bytes(2) + width.to_bytes(2)
    with pytest.raises(FrameError, match=f"{width} x {height}"):
        check_jpeg(bytes(data), MOST)


def test_a_second_size_cannot_follow_the_first() -> None:
    data = written()
    at = data.index(b"\xff\xda")
    size = data[data.index(b"\xff\xc0") + 4 : data.index(b"\xff\xc0") + 19]
    with pytest.raises(FrameError, match="0xc0"):
        check_jpeg(data[:at] + segment(0xC0, size) + data[at:], MOST)
    scan = data[at:-2]
    with pytest.raises(FrameError, match="one scan"):
        check_jpeg(data[:-2] + segment(0xC0, size) + scan + data[-2:], MOST)


def test_a_progressive_one_is_refused() -> None:
    with pytest.raises(FrameError, match="baseline"):
        check_jpeg(written(progressive=True), MOST)


def test_many_scans_over_the_same_pixels_are_refused() -> None:
    data = written()
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(FrameError, match="one scan"):
        check_jpeg(data[:-2] + scan * 100 + data[-2:], MOST)


def test_too_many_bytes_are_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), np.uint8)
    data = written(noise, quality=100)
    assert len(data) > module.MAX_JPEG_BYTES
    with pytest.raises(FrameError, match="at most 262144 bytes"):
        check_jpeg(data, MOST)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_jpeg(data: bytes) -> None:
    with pytest.raises(FrameError):
        check_jpeg(data, MOST)
    with pytest.raises(FrameError):
        check_jpeg(module.START + data, MOST)


JPEG = written(quality=30)


@given(st.lists(st.tuples(st.integers(0, len(JPEG) - 1), st.integers(0, 255)), max_size=6))
def test_a_broken_one_is_a_frame_or_an_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(JPEG)
    for at, value in changes:
        data[at] = value
    try:
        checked = check_jpeg(bytes(data), MOST)
        frame = JpegDecoder(MOST).decode(checked)
    except FrameError:
        return
    assert frame.width * frame.height <= MOST


def test_the_decoder_checks_the_size_too_and_goes_on_afterwards() -> None:
    decoder = JpegDecoder(MOST)
    with pytest.raises(FrameError, match="cannot be decoded"):
        decoder.decode(written(gradient(800, 800)))
    assert decoder.decode(written()).width == 64


def test_frames_come_out_as_they_went_in() -> None:
    array = gradient(320, 240)
    data = JpegEncoder().encode(planar(array))
    assert check_jpeg(data, MOST) == data
    back = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(back - array).mean() < 3


def test_white_stays_white() -> None:
    white = np.full((48, 64, 3), 255, np.uint8)
    back = np.asarray(Image.open(io.BytesIO(JpegEncoder().encode(planar(white)))).convert("RGB"))
    assert back.min() >= 254


def test_a_frame_that_came_as_jpeg_goes_back_with_the_same_colours() -> None:
    array = gradient(320, 240)
    frame = JpegDecoder(MOST).decode(written(array, quality=95))
    back = np.asarray(Image.open(io.BytesIO(JpegEncoder().encode(frame))).convert("RGB"))
    assert np.abs(back.astype(int) - array).mean() < 3


@pytest.mark.parametrize(
    ("size", "sent"), [((1280, 720), (640, 360)), ((720, 1280), (360, 640)), ((100, 80), (100, 80))]
)
def test_large_frames_shrink(size: tuple[int, int], sent: tuple[int, int]) -> None:
    assert Image.open(io.BytesIO(JpegEncoder().encode(planar(gradient(*size))))).size == sent


def test_the_size_may_change_from_frame_to_frame() -> None:
    encoder = JpegEncoder()
    sizes = [(64, 48), (320, 240), (64, 48)]
    written_sizes = [
        Image.open(io.BytesIO(encoder.encode(planar(gradient(*size))))).size for size in sizes
    ]
    assert written_sizes == sizes


def test_a_frame_that_cannot_be_squeezed_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_JPEG_BYTES", 100)
    with pytest.raises(FrameError, match="100 may be sent"):
        JpegEncoder().encode(planar(gradient()))


def test_a_frame_of_any_format_is_sent() -> None:
    gray = PlanarFrame(av.VideoFrame.from_ndarray(gradient()[:, :, 0].copy(), format="gray"))
    assert Image.open(io.BytesIO(JpegEncoder().encode(gray))).size == (64, 48)

"""The sizes that coded video frames claim, and the frames that reach the decoder."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from av import CodecContext, VideoFrame

from gradio_webrtc import Limits
from gradio_webrtc._transport.webrtc.aiortc_internals.decoder_queue import MAX_FRAMES, DecoderQueue
from gradio_webrtc._transport.webrtc.frame_sizes import MAX_UNITS, SizeError, check_h264, check_vp8

MOST = Limits().picture_pixels


def encoded(codec: str, width: int, height: int, count: int = 2) -> list[bytes]:
    encoder: Any = CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.options = {"tune": "zerolatency"} if codec == "libx264" else {"lag-in-frames": "0"}
    frames = []
    for number in range(count):
        frame = VideoFrame(width, height, "yuv420p")
        frame.pts = number
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return frames


def vp8_header(width: int, height: int) -> bytes:
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return b"\x10\x02\x00\x9d\x01\x2a" + sides + bytes(57)


class BitsWriter:
    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, bits: int) -> BitsWriter:
        self.bits += f"{value:0{bits}b}"
        return self

    def number(self, *values: int) -> BitsWriter:
        for value in values:
            written = f"{value + 1:b}"
            self.bits += "0" * (len(written) - 1) + written
        return self

    def unit(self) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        return b"\0\0\0\1\x67" + int(bits, 2).to_bytes(len(bits) // 8)


def sequence(width: int, height: int, references: int = 1) -> bytes:
    """A baseline parameter set; sides in blocks of 16."""
    bits = BitsWriter().put(66, 8).put(0, 8).put(51, 8).number(0, 0, 2, references)
    return bits.put(0, 1).number(width - 1, height - 1).put(1, 1).unit()


@pytest.mark.parametrize(("width", "height"), [(64, 48), (640, 480), (1920, 1080)])
def test_real_frames_pass_and_key_frames_are_found(width: int, height: int) -> None:
    assert [check_vp8(data, MOST) for data in encoded("libvpx", width, height)] == [True, False]
    assert [check_h264(data, MOST) for data in encoded("libx264", width, height)] == [True, False]


@pytest.mark.parametrize(
    "data",
    [
        vp8_header(16383, 16383),
        vp8_header(3840, 2161),
        vp8_header(0, 480),
        vp8_header(640, 480)[:9],
        b"\x10\x02\x00\x9d\x01\x2b" + bytes(60),
    ],
)
def test_a_key_frame_of_vp8_that_is_too_large_or_broken_is_refused(data: bytes) -> None:
    with pytest.raises(SizeError):
        check_vp8(data, MOST)


def test_the_bits_for_scaling_are_no_part_of_a_side() -> None:
    assert check_vp8(vp8_header(0xC000 | 640, 0x4000 | 480), MOST)


@pytest.mark.parametrize(
    "unit",
    [
        sequence(1024, 1024),
        sequence(240, 135, references=6),
        sequence(1 << 20, 1),
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x67\x42\0\x33" + bytes(8),
    ],
)
def test_a_parameter_set_of_h264_that_is_too_large_or_broken_is_refused(unit: bytes) -> None:
    (first, second) = encoded("libx264", 64, 48)
    for data in (unit, first + unit, second + unit[1:] + second):
        with pytest.raises(SizeError):
            check_h264(data, MOST)


def test_the_units_of_a_frame_of_h264_are_counted_up_to_a_bound() -> None:
    with pytest.raises(SizeError, match="units"):
        check_h264(b"\x00\x00\x01" * 200_000, 640 * 480)
    assert check_h264(b"\x00\x00\x01\x65abc" * MAX_UNITS, 640 * 480)


def test_four_times_full_hd_is_not_too_large() -> None:
    assert check_vp8(vp8_header(3840, 2160), MOST)
    assert not check_h264(sequence(240, 135), MOST)


def item(data: bytes, codec: str = "VP8") -> tuple[SimpleNamespace, SimpleNamespace]:
    return SimpleNamespace(name=codec), SimpleNamespace(data=data)


def test_a_full_queue_drops_until_a_key_frame_takes_the_place_of_all_that_wait() -> None:
    key, delta = vp8_header(640, 480), b"\x11" + bytes(20)
    failed = threading.Event()
    waiting = DecoderQueue(failed)
    waiting.put(item(key))
    for _ in range(3 * MAX_FRAMES):
        waiting.put(item(delta))
    assert waiting.qsize() == MAX_FRAMES
    assert failed.is_set(), "a key frame is asked for"
    waiting.get()
    waiting.put(item(delta))
    assert waiting.qsize() == MAX_FRAMES - 1, "it is built upon what was dropped"
    waiting.put(item(key))
    waiting.put(item(delta))
    waiting.put(None)
    assert [waiting.get(), waiting.qsize()] == [None, 0]


def test_frames_beyond_the_rate_are_dropped_with_all_that_depend_on_them() -> None:
    key, delta = vp8_header(640, 480), b"\x11" + bytes(20)
    failed = threading.Event()
    waiting = DecoderQueue(failed, Limits(pictures_per_s=2))
    waiting.put(item(key))
    waiting.put(item(delta))
    assert not failed.is_set()
    for data in (delta, key, delta):
        waiting.put(item(data))
    assert (waiting.qsize(), waiting.refused) == (2, 3)
    assert failed.is_set(), "a key frame is asked for"


def test_the_largest_frame_is_a_limit() -> None:
    waiting = DecoderQueue(threading.Event(), Limits(picture_pixels=640 * 480))
    waiting.put(item(vp8_header(640, 496)))
    assert waiting.qsize() == 0
    waiting.put(item(vp8_header(640, 480)))
    assert waiting.qsize() == 1


def test_frames_of_audio_wait_in_a_bounded_queue_and_empty_ones_not_at_all() -> None:
    waiting = DecoderQueue(threading.Event())
    waiting.put(item(b"", "PCMU"))
    assert waiting.qsize() == 0
    for _ in range(3 * MAX_FRAMES):
        waiting.put(item(b"audio", "PCMU"))
    assert waiting.qsize() == MAX_FRAMES
    waiting.get()
    waiting.put(item(b"audio", "PCMU"))
    assert waiting.qsize() == MAX_FRAMES

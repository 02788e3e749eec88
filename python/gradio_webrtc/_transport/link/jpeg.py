"""Video frames as JPEG (ITU-T T.81), coded by FFmpeg; read as strictly as browsers write it.

A few bytes of JPEG can ask a decoder for gigabytes, or for minutes: by its size, or by thousands of
scans over the same pixels. Both are looked for before a decoder gets it. The check is for the event
loop; coding takes milliseconds, in one worker thread.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from av import CodecContext, Packet
from av.error import FFmpegError
from av.video.reformatter import ColorRange, VideoReformatter

from gradio_webrtc._transport.frame import PlanarFrame

from .frames import FrameError

if TYPE_CHECKING:
    from av import VideoCodecContext

MAX_JPEG_BYTES: Final = 256 * 1024
"""Of one frame: 640 x 480 in good quality have a fifth."""

MAX_SIDE: Final = 640
"""The longer side of a frame that is sent. What goes over such a connection is mostly narrow."""

START: Final = b"\xff\xd8"
END: Final = 0xD9
BASELINE: Final = frozenset({0xC0, 0xC1})
"""Huffman coding, in one go. The progressive form has a scan for each of its steps."""

OTHER_FRAMES: Final = frozenset({*range(0xC2, 0xD0)} - {0xC4, 0xC8, 0xCC})
SCAN: Final = 0xDA
TABLES: Final = frozenset({0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})
"""Markers (T.81 table B.1): tables, restart interval, comment and those for applications."""

FRAME_HEADER_BYTES: Final = 8
"""Precision, both sides, the number of components, and the length before them."""

BEHIND_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""A marker within coded data that is neither a stuffed byte nor a restart."""

QUALITY: Final = "5"
"""FFmpeg's quantizer, 1 to 31: about quality 80 of other encoders."""

PIXEL_FORMAT: Final = "yuvj420p"
TIME_BASE: Final = Fraction(1, 1000)


def check_jpeg(data: bytes, most_pixels: int) -> bytes:
    """Returns a JPEG without what stands behind it, after a look at all of its markers.

    Raises:
        FrameError: It is no baseline JPEG of one scan, or has more pixels.
    """
    if not data.startswith(START) or len(data) > MAX_JPEG_BYTES:
        raise FrameError(f"expected a JPEG of at most {MAX_JPEG_BYTES} bytes, got {len(data)}")
    begin, has_size = len(START), False
    while True:
        if len(data) < begin + 4 or data[begin] != START[0]:
            raise FrameError("a JPEG that ends too soon")
        marker, length = data[begin + 1], int.from_bytes(data[begin + 2 : begin + 4])
        segment = data[begin + 2 : begin + 2 + length]
        begin += 2 + length
        if marker == SCAN and has_size:
            break
        if marker in BASELINE and not has_size:
            _check_size(segment, most_pixels)
            has_size = True
        elif marker not in TABLES:
            raise FrameError(f"expected a baseline JPEG, got one with the marker {marker:#x}")
    found = BEHIND_SCAN.search(data, begin)
    if found is None or data[found.start() + 1] != END:
        raise FrameError("expected a JPEG of one scan")
    return data[: found.end()]


def _check_size(segment: bytes, most_pixels: int) -> None:
    if len(segment) < FRAME_HEADER_BYTES:
        raise FrameError("a JPEG that ends too soon")
    height, width = int.from_bytes(segment[3:5]), int.from_bytes(segment[5:7])
    if not 0 < width * height <= most_pixels:
        raise FrameError(f"a JPEG of {width} x {height} pixels")


class JpegDecoder:
    """Decodes the frames of one session.

    Args:
        most_pixels: The largest frame.
    """

    def __init__(self, most_pixels: int) -> None:
        self._codec: VideoCodecContext = CodecContext.create("mjpeg", "r")
        self._codec.thread_count = 1
        # What `check_jpeg` has read, once more by the decoder.
        self._codec.options = {"max_pixels": str(most_pixels)}

    def decode(self, data: bytes) -> PlanarFrame:
        """Returns the frame in a JPEG that was checked.

        Raises:
            FrameError: It cannot be decoded; the next one may be.
        """
        try:
            frames = self._codec.decode(Packet(data))
        except FFmpegError as error:
            raise FrameError(f"a JPEG that cannot be decoded: {error}") from error
        if len(frames) != 1:
            raise FrameError(f"a JPEG of {len(frames)} frames")
        return PlanarFrame(frames[0])


class JpegEncoder:
    """Encodes the frames of one session, none larger than `MAX_SIDE`."""

    def __init__(self) -> None:
        self._codec: VideoCodecContext | None = None
        self._reformatter = VideoReformatter()

    def encode(self, planar: PlanarFrame) -> bytes:
        """Returns a frame as JPEG.

        Raises:
            FrameError: It has more bytes than may be sent.
            av.error.FFmpegError: The encoder failed.
        """
        width, height = _fit(planar.width, planar.height)
        is_full = planar.frame.color_range == ColorRange.JPEG
        frame = self._reformatter.reformat(
            planar.frame,
            width=width,
            height=height,
            format=PIXEL_FORMAT,
            src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        if self._codec is None or (self._codec.width, self._codec.height) != (width, height):
            self._codec = _make_encoder(width, height)
        frame.pts = None
        (packet,) = self._codec.encode(frame)
        data = bytes(packet)
        if len(data) > MAX_JPEG_BYTES:
            raise FrameError(f"a JPEG of {len(data)} bytes, of which {MAX_JPEG_BYTES} may be sent")
        return data


def _make_encoder(width: int, height: int) -> VideoCodecContext:
    codec: VideoCodecContext = CodecContext.create("mjpeg", "w")
    codec.width, codec.height = width, height
    codec.pix_fmt = PIXEL_FORMAT
    codec.time_base = TIME_BASE
    codec.thread_count = 1
    codec.options = {"qmin": QUALITY, "qmax": QUALITY}
    return codec


def _fit(width: int, height: int) -> tuple[int, int]:
    """Returns the size of a frame that is sent, even on both sides."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)

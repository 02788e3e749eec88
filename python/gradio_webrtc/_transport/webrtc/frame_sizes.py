"""The size that a coded video frame claims, read before a decoder allocates memory for it.

Functions without state, for any thread. Imports nothing of ours.
"""

from __future__ import annotations

import re
from itertools import islice, pairwise
from typing import Final

MAX_KEPT_MACROBLOCKS: Final = 184_320
"""Reference frames together, in blocks of 16 x 16: MaxDpbMbs of level 5.1 (H.264 table A-1)."""

VP8_HEADER_BYTES: Final = 10
"""Of a key frame: frame tag, start code and both sides (RFC 6386 section 9.1)."""

VP8_START_CODE: Final = b"\x9d\x01\x2a"

NAL_START: Final = re.compile(b"\x00\x00\x01")
"""The beginning of every unit (H.264 annex B)."""

NAL_IDR: Final = 5
NAL_SEQUENCE: Final = 7
"""``nal_unit_type`` of a slice of a key frame, and of a parameter set (H.264 table 7-1)."""

MAX_SEQUENCE_BYTES: Final = 1024
"""Of a parameter set, as much as is read. The largest with all of its lists has some 700."""

HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""``profile_idc`` whose parameter set has the colour format (H.264 section 7.3.2.1.1)."""

MAX_UNITS: Final = 1_024
"""Of one frame. An encoder makes a slice for each packet at most."""

MAX_GOLOMB_ZEROS: Final = 31
"""A number of 32 bits has no more before its first one (H.264 section 9.1)."""


class SizeError(ValueError):
    """A coded video frame that is invalid, or too large."""


def check_vp8(data: bytes, most_pixels: int) -> bool:
    """True if a frame of VP8 is a key frame.

    Raises:
        SizeError: It is one, and is broken or has more pixels.
    """
    if not data or data[0] & 1:
        return False
    if len(data) < VP8_HEADER_BYTES or data[3:6] != VP8_START_CODE:
        raise SizeError("a key frame of VP8 without its header")
    # The two upper bits of each side are for scaling.
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    _check(width, height, most_pixels)
    return True


def check_h264(data: bytes, most_pixels: int) -> bool:
    """True if an access unit of H.264, in the form of annex B, holds a key frame.

    Every unit of it is looked at: one of them may change the size in the middle of a stream.

    Raises:
        SizeError: A parameter set in it cannot be read, or is of frames with more pixels; or there
            are more units than `MAX_UNITS`.
    """
    is_key = False
    begins = [start.end() for start in islice(NAL_START.finditer(data), MAX_UNITS + 1)]
    if len(begins) > MAX_UNITS:
        raise SizeError(f"a video frame with more than {MAX_UNITS} units of H.264")
    for begin, following in pairwise([*begins, len(data) + len(NAL_START.pattern)]):
        kind = data[begin] & 0x1F if begin < len(data) else 0
        if kind == NAL_SEQUENCE:
            end = min(following - len(NAL_START.pattern), begin + 1 + MAX_SEQUENCE_BYTES)
            _check_unit(data[begin + 1 : end], most_pixels)
        is_key = is_key or kind == NAL_IDR
    return is_key


def _check_unit(data: bytes, most_pixels: int) -> None:
    # A decoder takes out the bytes that keep start codes from showing up (H.264 section 7.4.1).
    # FFmpeg's, should that fail at the rest of the set, reads it once more with all of them.
    plain = data.replace(b"\x00\x00\x03", b"\x00\x00")
    _check_sequence(plain, most_pixels)
    if plain != data:
        _check_sequence(data, most_pixels)


def _check(width: int, height: int, most_pixels: int) -> None:
    if not 0 < width * height <= most_pixels:
        raise SizeError(f"a video frame of {width} x {height} pixels")


class _Bits:
    """Reads a parameter set bit by bit.

    Args:
        data: Without the byte of its kind.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def read(self, bits: int) -> int:
        self._left -= bits
        if self._left < 0:
            raise SizeError("a parameter set of H.264 that ends too soon")
        return (self._value >> self._left) & ((1 << bits) - 1)

    def number(self) -> int:
        """An Exp-Golomb number (H.264 section 9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > MAX_GOLOMB_ZEROS:
                raise SizeError("a parameter set of H.264 with a number that is too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """A number with a sign (H.264 section 9.1.1)."""
        number = self.number()
        return (number + 1) // 2 if number & 1 else -(number // 2)


def _check_sequence(data: bytes, most_pixels: int) -> None:
    """Reads a sequence parameter set as far as the size (H.264 section 7.3.2.1.1)."""
    bits = _Bits(data)
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    bits.number()  # its own id
    if profile in HIGH_PROFILES:
        _skip_high(bits)
    bits.number()  # bits of the frame number
    _skip_order(bits)
    references = bits.number()
    bits.read(1)  # gaps in the frame numbers
    width, units = bits.number() + 1, bits.number() + 1
    height = units * (2 - bits.read(1))
    _check(16 * width, 16 * height, most_pixels)
    if references * width * height > MAX_KEPT_MACROBLOCKS:
        raise SizeError(f"{references} reference frames of {16 * width} x {16 * height} pixels")


def _skip_high(bits: _Bits) -> None:
    colours = bits.number()
    if colours == 3:  # noqa: PLR2004  # 4:4:4
        bits.read(1)
    bits.number()
    bits.number()
    bits.read(1)
    if bits.read(1):
        for index in range(12 if colours == 3 else 8):  # noqa: PLR2004
            if bits.read(1):
                _skip_scaling(bits, 16 if index < 6 else 64)  # noqa: PLR2004  # 4 x 4, then 8 x 8


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    """Skips the order count of frames (H.264 section 8.2.1)."""
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind == 1:
        bits.read(1)
        bits.number()
        bits.number()
        for _ in range(min(bits.number(), 256)):
            bits.number()

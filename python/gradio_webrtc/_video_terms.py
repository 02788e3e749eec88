"""The bit rate and the codecs of outbound video, as programs write them.

Plain values, checked when they are written. `_transport` encodes by them. Imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

LEAST_BITS: Final = 30_000
"""The smallest bit rate that is taken, in bits a second: what browsers send at 320 x 180 at least
(libwebrtc, video/config/simulcast.cc)."""

MOST_BITS: Final = 50_000_000
"""The largest. More than any encoder in real time has a use for: a larger number is a mistake."""

CODECS: Final = ("VP8", "H264")
"""The codecs that can be encoded and decoded: those that every browser has (RFC 7742 section 5)."""

EXPECTED_BITS: Final = (
    "video_bitrate must be the most bits a second, such as 1_500_000, or the least, the first and "
    "the most, (200_000, 800_000, 1_500_000)"
)
EXPECTED_CODECS: Final = 'codec_preferences must be a list of video codecs, such as ["H264", "VP8"]'


class BitRateRange(NamedTuple):
    """Bits a second of outbound video.

    Attributes:
        least: Sent in any case, whatever the client reports.
        start: Sent until it reports something.
        most: Never exceeded for long.
    """

    least: int
    start: int
    most: int


@dataclass(frozen=True)
class VideoTerms:
    """The terms of a session's video.

    Attributes:
        bitrate: Of what is sent; ``None`` for a range that suits the size of the frames.
        codecs: Those to be preferred, the best first; others follow in the client's own order.
    """

    bitrate: BitRateRange | None = None
    codecs: tuple[str, ...] = ()


DEFAULT_VIDEO_TERMS: Final = VideoTerms()
"""A bit rate that suits the frames, and the client's own choice of codecs."""


def read_video_terms(video_bitrate: object, codec_preferences: object) -> VideoTerms:
    """Returns the terms of the arguments ``video_bitrate`` and ``codec_preferences``.

    Raises:
        TypeError: One is of the wrong kind.
        ValueError: A bit rate is out of range, or a codec is not known here.
    """
    bitrate = None if video_bitrate is None else _read_range(video_bitrate)
    codecs = () if codec_preferences is None else _read_codecs(codec_preferences)
    return VideoTerms(bitrate, codecs)


def _read_range(given: object) -> BitRateRange:
    if isinstance(given, tuple | list):
        if len(given) != len(BitRateRange._fields):
            raise ValueError(f"{EXPECTED_BITS}; got {given!r}")
        least, start, most = (_read_bits(each, given) for each in given)
        if not least <= start <= most:
            raise ValueError(f"{EXPECTED_BITS}, none below the one before; got {given!r}")
        return BitRateRange(least, start, most)
    most = _read_bits(given, given)
    return BitRateRange(LEAST_BITS, most, most)


def _read_bits(bits: object, given: object) -> int:
    if isinstance(bits, bool) or not isinstance(bits, int | float):
        raise TypeError(f"{EXPECTED_BITS}; got {given!r}")
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise ValueError(
            f"video_bitrate must be from {LEAST_BITS:,} to {MOST_BITS:,} bits a second; "
            f"got {given!r}"
        )
    return round(bits)


def _read_codecs(given: object) -> tuple[str, ...]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"{EXPECTED_CODECS}; got {given!r}")
    return tuple(dict.fromkeys(_read_codec(each, given) for each in given))


def _read_codec(codec: object, given: object) -> str:
    """Returns the name of a codec that was written as "H264" or "video/H264", in any case."""
    if not isinstance(codec, str):
        raise TypeError(f"{EXPECTED_CODECS}; got {given!r}")
    name = codec.strip().upper().removeprefix("VIDEO/")
    if name not in CODECS:
        raise ValueError(f"{EXPECTED_CODECS}, of {' and '.join(CODECS)}; got {codec!r}")
    return name

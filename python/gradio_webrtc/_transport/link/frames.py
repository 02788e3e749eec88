"""The frames of a link, and their form on the wire: the same over a WebSocket and over HTTP.

The twin of ``frontend/link/frames.ts``. Functions without state, for any thread. Imports
nothing of ours.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct(">IBI")
"""Length of all that follows it, kind and number."""

LENGTH_BYTES: Final = 4
"""The part of the header that the length does not count."""

LEAST_LENGTH: Final = HEADER.size - LENGTH_BYTES
"""The length of a frame without a payload."""

MAX_LENGTH: Final = 1024 * 1024
"""The longest frame. A video frame has a quarter of it."""

ACK: Final = struct.Struct(">II")
"""Of an acknowledgment: the number up to which all frames came, and the milliseconds since then."""

MAX_MS: Final = 2**32 - 1

TIMESTAMP: Final = struct.Struct(">I")
"""In front of a JPEG: milliseconds since the first one."""


class FrameKind(enum.IntEnum):
    """The kinds of frames."""

    WELCOME = 1
    TEXT = 2
    AUDIO = 3
    VIDEO = 4
    CLEAR = 5
    ACK = 6
    BYE = 7
    GAP = 9


NUMBERED: Final = frozenset(
    {FrameKind.TEXT, FrameKind.AUDIO, FrameKind.VIDEO, FrameKind.CLEAR, FrameKind.GAP}
)
"""The kinds that are numbered, kept and sent again. The others have the number 0."""

FROM_CLIENTS: Final = frozenset(
    {
        FrameKind.TEXT,
        FrameKind.AUDIO,
        FrameKind.VIDEO,
        FrameKind.GAP,
        FrameKind.ACK,
        FrameKind.BYE,
    }
)
"""The kinds that a client may send."""


class FrameError(ValueError):
    """Bytes that are no frames, or frames that break the rules of the link."""


class Frame(NamedTuple):
    """One frame.

    Attributes:
        kind: Its kind.
        number: 1 or more and growing by one, in each direction; 0 for kinds without numbers.
        payload: Bytes of its kind.
    """

    kind: FrameKind
    number: int
    payload: bytes = b""


def write_frame(kind: FrameKind, number: int = 0, payload: bytes = b"") -> bytes:
    """Returns a frame as it goes over the wire."""
    return HEADER.pack(LEAST_LENGTH + len(payload), kind, number) + payload


def write_ack(received: int, held_s: float) -> bytes:
    """Returns an acknowledgment.

    Args:
        received: The number up to which all frames came.
        held_s: Seconds since then.
    """
    held_ms = min(MAX_MS, max(0, round(1000 * held_s)))
    return write_frame(FrameKind.ACK, payload=ACK.pack(received, held_ms))


def read_ack(payload: bytes) -> tuple[int, float]:
    """Returns what an acknowledgment states: the number, and the seconds since that frame came.

    Raises:
        FrameError: It is none.
    """
    if len(payload) != ACK.size:
        raise FrameError(f"expected {ACK.size} bytes in an acknowledgment, got {len(payload)}")
    received, held_ms = ACK.unpack(payload)
    return received, held_ms / 1000


def read_frames(data: bytes) -> Iterator[Frame]:
    """Yields the frames of a message or of the body of a POST, one after the other.

    Args:
        data: Whole frames.

    Raises:
        FrameError: The rest is no whole frame of a client. Those before it were yielded.
    """
    begin, end = 0, len(data)
    while begin < end:
        if end - begin < HEADER.size:
            raise FrameError(f"expected a header of {HEADER.size} bytes, got {end - begin}")
        length, kind, number = HEADER.unpack_from(data, begin)
        behind = begin + LENGTH_BYTES + length
        if length < LEAST_LENGTH or length > MAX_LENGTH or behind > end:
            raise FrameError(f"a frame of the length {length}, with {end - begin} bytes left")
        if kind not in FROM_CLIENTS:
            raise FrameError(f"a frame of the kind {kind}, which clients do not send")
        if (number > 0) != (kind in NUMBERED):
            raise FrameError(f"a frame of the kind {kind} with the number {number}")
        yield Frame(FrameKind(kind), number, data[begin + HEADER.size : behind])
        begin = behind

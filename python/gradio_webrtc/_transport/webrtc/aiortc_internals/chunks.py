"""Checks of SCTP packets, before aiortc parses them.

aiortc's parser trusts the lengths and counts in a chunk: a parameter of length 0 keeps it at the
same place for ever, and a short body raises an exception that nothing expects. No part of a packet
is parsed unless all of it is in order here, in one pass over its headers.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON_HEADER_BYTES: Final = 12
"""Ports, verification tag, checksum (RFC 9260 section 3.1)."""

HEADER: Final = struct.Struct("!BBH")
"""Type, flags, and the length with this header (RFC 9260 section 3.2)."""

PARAMETER: Final = struct.Struct("!HH")
"""Type, and the length with this header (RFC 9260 section 3.2.1)."""

MAX_CHUNKS: Final = 96
"""Chunks in one packet. The shortest message takes 20 bytes, and a packet has 1,189 at most: no
sender bundles more of them than that."""

MAX_PARAMETERS: Final = 32
"""Parameters of one chunk. INIT has half a dozen; a request to reset streams is one of them."""

DATA: Final = 0
INIT: Final = 1
INIT_ACK: Final = 2
SACK: Final = 3
SHUTDOWN: Final = 7
FORWARD_TSN: Final = 192


def is_in_order(packet: bytes) -> bool:
    """True if every chunk is as long as its type and its own counts require."""
    position, count = COMMON_HEADER_BYTES, 0
    holds_init = False
    while position < len(packet):
        if len(packet) - position < HEADER.size or count == MAX_CHUNKS:
            return False
        kind, _, length = HEADER.unpack_from(packet, position)
        if length < HEADER.size or position + length > len(packet):
            return False
        begin = position + HEADER.size
        check = CHECKS.get(kind)
        if check is not None and not check(packet, begin, length - HEADER.size):
            return False
        holds_init = holds_init or kind == INIT
        position += length + -length % 4
        count += 1
    # INIT stands alone (RFC 9260 section 4.3).
    return count == 1 if holds_init else count > 0


def _is_data(_packet: bytes, _begin: int, length: int) -> bool:
    # A chunk without a byte of data is an error of its own (RFC 9260 section 6.2).
    return length > 12  # noqa: PLR2004  # TSN, stream, sequence and protocol


def _is_init(packet: bytes, begin: int, length: int) -> bool:
    return length >= 16 and _has_parameters(packet, begin + 16, length - 16)  # noqa: PLR2004


def _is_sack(packet: bytes, begin: int, length: int) -> bool:
    if length < 12:  # noqa: PLR2004  # the fixed part
        return False
    gaps, duplicates = struct.unpack_from("!HH", packet, begin + 8)
    return bool(length == 12 + 4 * (gaps + duplicates))


def _is_forward_tsn(_packet: bytes, _begin: int, length: int) -> bool:
    return length >= 4 and length % 4 == 0  # noqa: PLR2004


def _has_four_bytes(_packet: bytes, _begin: int, length: int) -> bool:
    return length == 4  # noqa: PLR2004


def _has_parameters(packet: bytes, begin: int, length: int) -> bool:
    end, count = begin + length, 0
    while begin + PARAMETER.size <= end:
        _, size = PARAMETER.unpack_from(packet, begin)
        if size < PARAMETER.size or begin + size > end or count == MAX_PARAMETERS:
            return False
        begin += size + -size % 4
        count += 1
    return True


CHECKS: Final[dict[int, Callable[[bytes, int, int], bool]]] = {
    DATA: _is_data,
    INIT: _is_init,
    INIT_ACK: _is_init,
    SACK: _is_sack,
    SHUTDOWN: _has_four_bytes,
    FORWARD_TSN: _is_forward_tsn,
    # HEARTBEAT and its answer, ABORT, ERROR, RE-CONFIG.
    **dict.fromkeys((4, 5, 6, 9, 130), _has_parameters),
}
"""By the type of a chunk (RFC 9260 section 3.2, RFC 6525, RFC 3758)."""

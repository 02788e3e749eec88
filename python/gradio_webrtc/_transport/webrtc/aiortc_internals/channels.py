"""Checks of messages: those of the data channel protocol, and those of the client.

Functions without state, called on the event loop for each message that is complete. Imports nothing
of ours.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from aiortc.rtcsctptransport import (
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    WEBRTC_STRING_EMPTY,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHANNELS: Final = 2
"""Data channels of a session. A client of ours opens one."""

MAX_LABEL_BYTES: Final = 256
"""Of a channel's label, and of its protocol. Ours is called "text"."""

OPEN: Final = struct.Struct("!BBHLHH")
"""Type, channel type, priority, reliability, and the lengths of label and protocol (RFC 8832
section 5.1)."""


class ProtocolBreach(Exception):
    """The remote peer broke the protocol, and its session ends; the text is shown to its user."""


def check_message(channels: Mapping[int, object], stream: int, kind: int, data: bytes) -> bool:
    """True if a message is to be taken.

    Args:
        channels: The channels there are, by stream.
        stream: The stream that it came on.
        kind: Its payload protocol identifier (RFC 8831 section 8).
        data: All of it.

    Raises:
        ProtocolBreach: The session is to end.
    """
    if kind == WEBRTC_DCEP:
        return _check_control(channels, stream, data)
    # A client of ours sends text alone.
    return kind == WEBRTC_STRING_EMPTY or (kind == WEBRTC_STRING and _is_text(data))


def _check_control(channels: Mapping[int, object], stream: int, data: bytes) -> bool:
    if data[:1] == bytes((DATA_CHANNEL_ACK,)):
        return stream in channels
    if data[:1] != bytes((DATA_CHANNEL_OPEN,)) or len(data) < OPEN.size or stream in channels:
        return False
    *_, label, protocol = OPEN.unpack_from(data)
    if max(label, protocol) > MAX_LABEL_BYTES:
        raise ProtocolBreach(
            "The connection was closed: the name of a data channel was longer than "
            f"{MAX_LABEL_BYTES} bytes."
        )
    if len(channels) >= MAX_CHANNELS:
        raise ProtocolBreach(f"The connection was closed: more than {MAX_CHANNELS} data channels.")
    end = OPEN.size + label
    return end + protocol <= len(data) and _is_text(data[OPEN.size : end]) and _is_text(data[end:])


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

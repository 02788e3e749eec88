"""Messages on the data channel: their kinds, and how they look on the wire.

The twin of ``frontend/call/messages.ts``. Who sends them, and when, is not known here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

MessageType: TypeAlias = Literal[
    "send_input",
    "fetch_output",
    "stopword",
    "warning",
    "error",
    "log",
    "end_stream",
]

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)
"""Every kind that we send. A page ignores a kind it does not know."""

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""The largest message accepted from a page, in bytes: the size that every WebRTC stack can
receive in one piece (RFC 8841 section 6.1 gives 64 KiB as the default)."""


def create_message(kind: MessageType, data: object = None) -> dict[str, object]:
    """A message for the page.

    ``warning`` and ``error`` carry their text twice, as ``data`` and as ``message``, since the
    clients of both predecessors read one of the two.

    Args:
        kind: One of ``MESSAGE_TYPES``.
        data: Anything JSON can carry; the text of a warning, an error or a reason.
    """
    message: dict[str, object] = {"type": kind, "data": [] if data is None else data}
    if kind in ("warning", "error"):
        message["message"] = data
    return message


def encode_message(message: Mapping[str, object]) -> str:
    """The message as it goes over the wire.

    Raises:
        TypeError: A value in it is nothing that JSON can carry.
    """
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def decode_message(text: str | bytes) -> Mapping[str, object] | None:
    """What a page sent: a JSON object of at most ``MAX_MESSAGE_BYTES``, else ``None``."""
    if len(text) > MAX_MESSAGE_BYTES:
        return None
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None

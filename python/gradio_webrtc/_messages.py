"""Messages on the data channel: their kinds, and their form on the wire.

The twin of ``frontend/call/messages.ts``. Functions without state, for any thread; sending is up to
sessions. Imports nothing of ours.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

MessageType: TypeAlias = Literal[
    "send_input",
    "fetch_output",
    "stopword",
    "warning",
    "error",
    "info",
    "success",
    "log",
    "end_stream",
]

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)
"""Every kind that the server sends. A client ignores a kind that it does not have."""

WORDS: Final[tuple[MessageType, ...]] = ("warning", "error", "info", "success")
"""The kinds that a client shows to the user, as Gradio shows its own."""

MAX_LOGGED_CHARS: Final = 500
"""Characters of one text that go to the log: enough for every sentence of ours."""

SHOWN_S: Final = 10.0
"""Seconds for which a client shows words by default: Gradio's default."""


def create_message(kind: MessageType, data: object = None) -> dict[str, object]:
    """Returns a message for the client.

    The kinds in ``WORDS`` carry their text twice, as ``data`` and as ``message``: clients of
    gradio_webrtc 0.0.31 and fastrtc read one of the two.

    Args:
        kind: One of ``MESSAGE_TYPES``.
        data: A value that JSON can carry; the text of a warning, an error or a reason.
    """
    message: dict[str, object] = {"type": kind, "data": [] if data is None else data}
    if kind in WORDS:
        message["message"] = data
    return message


def create_ending(reason: str, code: str = "") -> dict[str, object]:
    """Returns the message that a session ends with.

    Args:
        reason: The text for the user; may be empty.
        code: The word that the client maps to its own text, as with a refusal; empty for none.
    """
    message = create_message("end_stream", reason)
    if code:
        message["code"] = code
    return message


def create_words(
    kind: MessageType, text: object, title: object = None, duration_s: object = SHOWN_S
) -> dict[str, object]:
    """Returns a message that the client shows to the user, with a title and for a time.

    The values come from users' code, and may be of any type.

    Args:
        kind: One of ``WORDS``.
        text: The text.
        title: The line above it; ``None`` for the name of the kind.
        duration_s: The time it is shown for, in seconds above 0. ``None``, 0 and anything that is
            no length of time mean: until the user closes it.
    """
    shown = create_message(kind, str(text))
    shown["title"] = kind.capitalize() if title is None else str(title)
    shown["duration"] = read_duration(duration_s)
    return shown


def read_duration(duration_s: object) -> float | None:
    """Returns a length of time above 0 in seconds, else ``None``; see `create_words`."""
    if isinstance(duration_s, int | float) and 0 < duration_s < math.inf:
        return duration_s
    return None


def encode_message(message: Mapping[str, object]) -> str:
    """Returns the message as it goes over the wire: JSON, and characters as they are.

    Raises:
        TypeError: JSON cannot carry a value in it.
        ValueError: It contains itself.
    """
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def decode_message(text: str | bytes) -> Mapping[str, object] | None:
    """Returns a client's message if it is a JSON object, else ``None``.

    The transport bounds its size.
    """
    try:
        message = json.loads(text)
    # A client may nest a thousand lists, which is a RecursionError.
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def printable(text: object) -> str:
    """Returns text as one line for a log.

    Parts of it may come from a client. Line breaks and the sequences that move a terminal's
    cursor are written as escapes, and what is longer than `MAX_LOGGED_CHARS` is cut.
    """
    line = str(text)
    shown = f"{line[:MAX_LOGGED_CHARS]}…" if len(line) > MAX_LOGGED_CHARS else line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)

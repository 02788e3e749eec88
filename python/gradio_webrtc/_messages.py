"""Messages on the data channel: their kinds, and their form on the wire.

The twin of ``frontend/call/messages.ts``. Functions without state, for any thread; sending is up to
sessions. Imports nothing of ours.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, Literal, Never, TypeAlias, get_args

MessageType: TypeAlias = Literal[
    "send_input",
    "fetch_output",
    "stopword",
    "hold",
    "resume",
    "turn",
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

HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
"""A code point that is half of a character (Unicode section 3.8), as Python's texts may hold it."""

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


def encode_message(message: object) -> str:
    """Returns the message as it goes over the wire: JSON, and characters as they are.

    Raises:
        TypeError: JSON cannot carry a value in it.
        ValueError: It contains itself, or a number that is none or infinite (RFC 8259 section 6).
    """
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Half a surrogate pair, which a text of the user's may hold, has no UTF-8 but an escape.
    return text if HALF_PAIR.search(text) is None else HALF_PAIR.sub(_escape, text)


def decode_message(text: str | bytes) -> dict[str, Any] | None:
    """Returns a client's message if it is a JSON object, else ``None``.

    The transport bounds its size.
    """
    message = decode_data(text)
    return message if isinstance(message, dict) else None


INBOUND_STATS: Final = '{"type":"inbound_stats",'
"""The beginning of the message with which a client reports the audio that it plays. It is for the
transport: no handler gets it."""


def read_inbound_stats(text: str) -> tuple[float, float] | None:
    """Returns the report of a client's jitter buffer; ``None`` if it is none.

    Returns:
        The times for which samples were in it, in seconds, all together, and the number of these
        samples: ``jitterBufferDelay`` and ``jitterBufferEmittedCount`` of W3C webrtc-stats.
    """
    message = decode_message(text)
    match message:
        case {
            "data": {
                "jitterBufferDelay": int() | float() as delay_s,
                "jitterBufferEmittedCount": int() | float() as samples,
            }
        } if samples > 0 <= delay_s:
            return float(delay_s), float(samples)
    return None


def decode_data(text: str | bytes) -> Any:
    """Returns the value of a client's message if it is JSON (RFC 8259), else the text itself.

    The transport bounds its size.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    # A client may nest a thousand lists, which is a RecursionError.
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> Never:
    # Python writes NaN and Infinity, and reads them; no other reader of JSON does.
    raise ValueError(name)


def _escape(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def printable(text: object) -> str:
    """Returns text as one line for a log.

    Parts of it may come from a client. Line breaks and the sequences that move a terminal's
    cursor are written as escapes, and what is longer than `MAX_LOGGED_CHARS` is cut.
    """
    line = str(text)
    shown = f"{line[:MAX_LOGGED_CHARS]}…" if len(line) > MAX_LOGGED_CHARS else line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)

"""Messages on the data channel: their kinds, and how they look on the wire.

The twin of ``frontend/call/messages.ts``. Who sends them, and when, is not known here.
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
"""Every kind that we send. A page ignores a kind it does not know."""

WORDS: Final[tuple[MessageType, ...]] = ("warning", "error", "info", "success")
"""The kinds that a page shows to its reader, as Gradio shows its own."""

MAX_LOGGED_CHARS: Final = 500
"""How much of one text a log gets: enough for every sentence of ours."""

SHOWN_S: Final = 10.0
"""How long a page shows words when nothing else is asked for, in seconds: Gradio's default."""


def create_message(kind: MessageType, data: object = None) -> dict[str, object]:
    """A message for the page.

    The kinds in ``WORDS`` carry their text twice, as ``data`` and as ``message``, since the clients
    of both predecessors read one of the two.

    Args:
        kind: One of ``MESSAGE_TYPES``.
        data: Anything JSON can carry; the text of a warning, an error or a reason.
    """
    message: dict[str, object] = {"type": kind, "data": [] if data is None else data}
    if kind in WORDS:
        message["message"] = data
    return message


def create_ending(reason: str, code: str = "") -> dict[str, object]:
    """The message that a call ends with.

    Args:
        reason: What the page shows; may be empty.
        code: The word that the page maps to its own text, as with a refusal; empty for none.
    """
    message = create_message("end_stream", reason)
    if code:
        message["code"] = code
    return message


def create_words(
    kind: MessageType, text: object, title: object = None, duration_s: object = SHOWN_S
) -> dict[str, object]:
    """A message that the page shows to its reader, with a title and for a time.

    What users' code gave for them may be anything.

    Args:
        kind: One of ``WORDS``.
        text: What is shown.
        title: What stands above it; ``None`` for the name of the kind.
        duration_s: For how long, in seconds. ``None``, 0 and what is no length of time stand for:
            until the reader closes it.
    """
    shown = create_message(kind, str(text))
    shown["title"] = kind.capitalize() if title is None else str(title)
    shown["duration"] = read_duration(duration_s)
    return shown


def read_duration(duration_s: object) -> float | None:
    """A length of time above 0 in seconds, or ``None`` for anything else, as in `create_words`."""
    if isinstance(duration_s, int | float) and 0 < duration_s < math.inf:
        return duration_s
    return None


def encode_message(message: Mapping[str, object]) -> str:
    """The message as it goes over the wire.

    Raises:
        TypeError: A value in it is nothing that JSON can carry.
    """
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def decode_message(text: str | bytes) -> Mapping[str, object] | None:
    """What a page sent, if it is a JSON object, else ``None``; the transport bounds its size."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):  # the latter where it nests a thousand deep
        return None
    return message if isinstance(message, dict) else None


def printable(text: object) -> str:
    """Returns text as one line for a log, whoever wrote it.

    A word of a client's may get into it. Line breaks and the sequences that move a terminal's
    cursor are written as escapes, and what is longer than `MAX_LOGGED_CHARS` is cut.
    """
    line = str(text)
    shown = f"{line[:MAX_LOGGED_CHARS]}…" if len(line) > MAX_LOGGED_CHARS else line
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)

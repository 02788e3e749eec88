"""The words in what a handler emits beside audio, for clients that show a transcript.

Handlers emit any values. Three forms are words: a text, one message, and a list of messages, the
last two as `gr.Chatbot` has them. Runs on the event loop; keeps the messages seen last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MESSAGES: Final = 100
"""Messages of a list that are compared with those before, the last."""

MAX_CHARS: Final = 20_000
"""Characters of one message; the rest is left out."""


class Words(NamedTuple):
    """Words that are new.

    Attributes:
        role: "user" or "assistant".
        text: The words.
        is_whole: False if they go on where the last ones of this role ended.
    """

    role: str
    text: str
    is_whole: bool = True


class WordReader:
    """Finds the words in outputs, each of them once."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, str]] = []

    def read(self, args: tuple[Any, ...]) -> list[Words]:
        """Returns what is new in one output of a handler."""
        for value in args:
            if isinstance(value, str) and len(args) == 1:
                return [Words("assistant", value[:MAX_CHARS])] if value.strip() else []
            if isinstance(value, dict) and (message := _message_of(value)) is not None:
                return [Words(*message)]
            if isinstance(value, list) and _is_conversation(value):
                return list(self._read_conversation(value))
        return []

    def _read_conversation(self, values: list[Any]) -> Iterator[Words]:
        """Yields what was added to a list of messages since the last one."""
        messages = [each for each in map(_message_of, values[-MAX_MESSAGES:]) if each is not None]
        before, self._messages = self._messages, messages
        # A list that has grown beyond the bound has lost its head.
        shift = _shift_of(before, messages)
        for at, (role, text) in enumerate(messages):
            known = before[at + shift] if at + shift < len(before) else None
            if known is None:
                yield Words(role, text)
            elif known != (role, text):
                goes_on = known[0] == role and text.startswith(known[1])
                yield Words(role, text[len(known[1]) :] if goes_on else text, not goes_on)


def _shift_of(before: list[tuple[str, str]], messages: list[tuple[str, str]]) -> int:
    """Returns how many messages at the head of a list are gone in the next one."""
    if not messages or len(before) < MAX_MESSAGES:
        return 0
    return before.index(messages[0]) if messages[0] in before else 0


def _is_conversation(values: list[Any]) -> bool:
    return bool(values) and _message_of(values[-1]) is not None


def _message_of(value: Any) -> tuple[str, str] | None:
    """Returns the role and the words of a message; ``None`` for anything else."""
    if not isinstance(value, dict) or value.get("role") not in ("user", "assistant"):
        return None
    text = _text_of(value.get("content"))
    return (str(value["role"]), text[:MAX_CHARS]) if text.strip() else None


def _text_of(content: Any) -> str:
    """Returns the text of a message, which Gradio also writes as a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(part for part in parts if isinstance(part, str))

"""The words of a conversation, in order and bounded, in the form in which `gr.Chatbot` shows them.

Runs on the event loop. Words of a reply are added when they were spoken to the user, not when the
service sent them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gradio_webrtc.types import AdditionalOutputs

from .protocol import Event, message_item

if TYPE_CHECKING:
    from collections.abc import Callable

Role: TypeAlias = Literal["user", "assistant"]

Message: TypeAlias = dict[str, str]
"""``{"role": "user" | "assistant", "content": words}``."""

MAX_MESSAGES: Final = 100
"""Messages that are kept, the latest: more than anybody reads, and what a service gets again after
its connection was lost."""

MAX_CHARS: Final = 20_000
"""Characters of one message; what follows is left out. An answer of ten minutes has 10,000."""

OUTPUTS_EVERY_S: Final = 0.25
"""Seconds between two outputs: a client that shows each of 20 a second does nothing else."""

CUT_OFF: Final = "…"
"""The end of a message that was not spoken to its end."""


@dataclass
class _Entry:
    """One item of the conversation.

    Attributes:
        role: The speaker.
        text: The words, as far as they are there.
        is_cut: True if the user has interrupted them.
    """

    role: Role
    text: str = ""
    is_cut: bool = False


class Transcript:
    """The messages of one session by the ids of their items."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    @property
    def is_complete(self) -> bool:
        """True if the words of all items are there."""
        return all(entry.text for entry in self._entries.values())

    @property
    def is_unanswered(self) -> bool:
        """True if the user has the last word, and the words are there."""
        for entry in reversed(self._entries.values()):
            # A reply has its place before it has words.
            if entry.role == "user" or entry.text.strip():
                return entry.role == "user" and bool(entry.text.strip())
        return False

    def begin(self, item_id: str, role: Role) -> None:
        """Gives an item its place, before there are words; does nothing if it has one."""
        if not item_id or item_id in self._entries:
            return
        if len(self._entries) >= MAX_MESSAGES:
            del self._entries[next(iter(self._entries))]
        self._entries[item_id] = _Entry(role)

    def add(self, item_id: str, text: str, role: Role = "assistant") -> None:
        """Adds words to an item."""
        self.begin(item_id, role)
        entry = self._entries.get(item_id)
        if entry is not None and not entry.is_cut:
            entry.text = (entry.text + text)[:MAX_CHARS]

    def put(self, item_id: str, text: str, role: Role) -> None:
        """Sets the words of an item."""
        self.begin(item_id, role)
        if (entry := self._entries.get(item_id)) is not None:
            entry.text = text[:MAX_CHARS]

    def cut(self, item_id: str) -> bool:
        """Ends an item where it is: of a reply that was interrupted, the rest was not played.

        Returns:
            True if that is a change for who reads `messages`.
        """
        entry = self._entries.get(item_id)
        if entry is None or entry.is_cut:
            return False
        if not entry.text.strip():
            del self._entries[item_id]
            return False
        entry.is_cut = True
        entry.text = f"{entry.text.rstrip()}{CUT_OFF}"
        return True

    def messages(self) -> list[Message]:
        """Returns the messages that have words, the oldest first."""
        return [
            {"role": entry.role, "content": entry.text.strip()}
            for entry in self._entries.values()
            if entry.text.strip()
        ]

    def items(self, *, beta: bool) -> list[Event]:
        """Returns the messages as items for a service that has none of them.

        Args:
            beta: True for the form of the beta.
        """
        return [message_item(each["role"], each["content"], beta=beta) for each in self.messages()]


class WordOutputs:
    """The messages as outputs of a handler: once they have changed, and not too often.

    Args:
        transcript: The messages.
        wake: Called when outputs are due that nobody has come for.
    """

    def __init__(self, transcript: Transcript, wake: Callable[[], None]) -> None:
        self._transcript = transcript
        self._wake = wake
        self._has_changed = False
        self._taken_s = -OUTPUTS_EVERY_S
        self._timer: asyncio.TimerHandle | None = None

    def note_change(self) -> None:
        """Records a change that is to be shown as soon as may be."""
        self._has_changed = True
        self._due()

    def note_shown_later(self) -> None:
        """Records a change that whoever caused it takes itself."""
        self._has_changed = True

    def take(self) -> AdditionalOutputs | None:
        """Returns the messages if they have changed."""
        if not self._has_changed:
            return None
        self._has_changed = False
        self.close()
        self._taken_s = asyncio.get_running_loop().time()
        return AdditionalOutputs(self._transcript.messages())

    def take_if_due(self) -> AdditionalOutputs | None:
        """Returns the messages if they have changed, `OUTPUTS_EVERY_S` after those before."""
        if not self._has_changed:
            return None
        loop = asyncio.get_running_loop()
        due_s = self._taken_s + OUTPUTS_EVERY_S
        if loop.time() >= due_s:
            return self.take()
        if self._timer is None:
            self._timer = loop.call_at(due_s, self._due)
        return None

    def close(self) -> None:
        """Stops the wait for the next outputs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self.close()
        self._wake()

"""What waits to be written to a client, in order and bounded.

Runs on the event loop. Reads nothing of what waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Wire: TypeAlias = str | bytes
"""One message as it goes over the wire: text, or bytes."""

MAX_AUDIO_PACKETS: Final = 50
"""A second of audio. Of more, the oldest goes: a client that is further behind would play an answer
to what was said long ago."""

MAX_TEXTS: Final = 4096
"""Messages. A client with more than that takes none: its session ends."""

MAX_TEXT_BYTES: Final = 8 * 1024 * 1024
"""Their bytes, or characters; beyond it likewise."""


class _Item(NamedTuple):
    wire: Wire
    is_audio: bool


class SendQueue:
    """A queue of messages for one client, in which audio gives way and text does not.

    Attributes:
        audio_packets: Packets of audio that wait.
        dropped_audio: Packets of audio that newer ones replaced.
        on_put: Called when something was put in, for writers that do not wait in `take`.
    """

    def __init__(self) -> None:
        self.audio_packets = 0
        self.dropped_audio = 0
        self.on_put: Callable[[], object] = lambda: None
        self._items: deque[_Item] = deque()
        self._text_bytes = 0
        self._ready = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def text_bytes(self) -> int:
        """The bytes, or characters, of all that is no audio."""
        return self._text_bytes

    def put_audio(self, wire: Wire) -> None:
        """Queues a packet of audio; of more than a second the oldest packet goes."""
        if self.audio_packets >= MAX_AUDIO_PACKETS:
            oldest = next(each for each in self._items if each.is_audio)
            self._items.remove(oldest)
            self.audio_packets -= 1
            self.dropped_audio += 1
        self.audio_packets += 1
        self._put(_Item(wire, is_audio=True))

    def put_text(self, wire: Wire) -> bool:
        """Queues any other message.

        Returns:
            False if too many wait: this one is dropped, and the client is to be given up.
        """
        texts = len(self._items) - self.audio_packets
        if texts >= MAX_TEXTS or self._text_bytes + len(wire) > MAX_TEXT_BYTES:
            return False
        self._text_bytes += len(wire)
        self._put(_Item(wire, is_audio=False))
        return True

    def clear_audio(self) -> None:
        """Drops the audio that waits (barge-in)."""
        if self.audio_packets:
            self._items = deque(each for each in self._items if not each.is_audio)
            self.audio_packets = 0
            self._note_taken()

    async def take(self) -> Wire:
        """Returns the next message, once there is one; for one writer at a time.

        The queue counts as empty only when the writer comes back for more.
        """
        # What woke the writer may have been cleared before it runs.
        while (wire := self.pop()) is None:
            await self._ready.wait()
        return wire

    def pop(self, *, with_audio: bool = True) -> Wire | None:
        """Takes the next message, if there is one; for one writer at a time.

        The queue counts as empty only when the writer comes back for more.

        Args:
            with_audio: False to leave audio in the queue.
        """
        index = 0
        if not with_audio:
            texts = (index for index, each in enumerate(self._items) if not each.is_audio)
            index = next(texts, len(self._items))
        if index >= len(self._items):
            if not self._items:
                self._empty.set()
            return None
        wire, is_audio = self._items[index]
        del self._items[index]
        if is_audio:
            self.audio_packets -= 1
        else:
            self._text_bytes -= len(wire)
        self._note_taken()
        return wire

    async def wait_empty(self) -> None:
        """Returns once everything that was put in is written."""
        await self._empty.wait()

    def _put(self, item: _Item) -> None:
        self._items.append(item)
        self._ready.set()
        self._empty.clear()
        self.on_put()

    def _note_taken(self) -> None:
        if not self._items:
            self._ready.clear()

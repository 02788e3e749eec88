"""Events on their way to a service, in order and bounded.

Runs on the event loop. What is said while no service is there waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

MAX_AUDIO_EVENTS: Final = 250
"""Five seconds of a user's audio in events of 20 ms. Of more, the oldest goes: what was said so
long ago is answered by nobody."""

MAX_OTHER_EVENTS: Final = 256
"""Other events that wait. A service that takes none for so long is lost."""

MAX_OTHER_CHARS: Final = 4 * 1024 * 1024
"""Their characters; beyond it likewise."""


class Outgoing:
    """A queue of events, in which audio gives way and other events do not.

    Attributes:
        dropped_audio: Events of audio that newer ones replaced.
    """

    def __init__(self) -> None:
        self.dropped_audio = 0
        self._events: deque[tuple[str, bool]] = deque()
        self._audio_events = 0
        self._other_chars = 0
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put_audio(self, text: str) -> None:
        """Queues audio; in a full queue the oldest goes."""
        if self._audio_events >= MAX_AUDIO_EVENTS:
            self._events.remove(next(each for each in self._events if each[1]))
            self._audio_events -= 1
            self.dropped_audio += 1
        self._audio_events += 1
        self._events.append((text, True))
        self._ready.set()

    def put(self, text: str) -> bool:
        """Queues any other event.

        Returns:
            False if too many wait; this one is dropped.
        """
        others = len(self._events) - self._audio_events
        if others >= MAX_OTHER_EVENTS or self._other_chars + len(text) > MAX_OTHER_CHARS:
            return False
        self._other_chars += len(text)
        self._events.append((text, False))
        self._ready.set()
        return True

    def keep_audio(self) -> None:
        """Drops all events but audio: they belonged to a connection that is over."""
        self._events = deque(each for each in self._events if each[1])
        self._other_chars = 0

    async def take(self) -> str:
        """Returns the next event, once there is one; for one sender at a time."""
        while not self._events:
            self._ready.clear()
            await self._ready.wait()
        text, is_audio = self._events.popleft()
        if is_audio:
            self._audio_events -= 1
        else:
            self._other_chars -= len(text)
        return text

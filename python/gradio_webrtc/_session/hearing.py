"""The part of each reply that the user has heard, and the moment of its end.

Runs on the event loop, but for `Hearing.heard_s`. Imports neither handlers nor transports.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final, Protocol

from gradio_webrtc._workers.task_scope import TaskScope

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_REPLIES: Final = 100
"""Replies whose heard audio is kept, the latest."""

ROUNDING_S: Final = 0.001
"""The least audio that counts as not played, in seconds: less is the rounding of sums."""


class Timeline(Protocol):
    """Audio that is queued and played in one order. Lengths are in seconds, without padding."""

    @property
    def accepted_s(self) -> float:
        """What was queued and not dropped."""

    @property
    def played_s(self) -> float:
        """What of it was passed on to be played."""

    async def until_moving(self) -> bool:
        """Returns once it is neither held nor behind something else; True if it was."""

    async def drain(self) -> None:
        """Returns once everything queued so far was passed on."""


class Utterance:
    """One reply, or one announcement, on its timeline.

    Args:
        timeline: The timeline.

    Attributes:
        begin_s: The place of its first sample.
        end_s: The place behind its last; ``None`` while more may come.
        lost_s: The part of it that the client had and did not play.
        is_over: True once it was heard to its end, or cut short.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.begin_s = timeline.accepted_s
        self.end_s: float | None = None
        self.lost_s = 0.0
        self.is_over = False
        self._timeline = timeline

    def heard_s(self, delay_s: float) -> float:
        """Returns what was heard of it, in seconds.

        Args:
            delay_s: The time from a packet to the moment at which the client has played it.
        """
        place_s = self._timeline.played_s - (0.0 if self.is_over else delay_s)
        end_s = place_s if self.end_s is None else min(self.end_s, place_s)
        return max(0.0, end_s - self.begin_s - self.lost_s)

    def note_dropped(self, unplayed_s: float) -> None:
        """What waited was dropped, and at the client the last ``unplayed_s`` before that."""
        played_s = self._timeline.played_s
        if self.end_s is not None:
            self.end_s = min(self.end_s, played_s)
        end_s = played_s if self.end_s is None else self.end_s
        self.lost_s += max(0.0, end_s - max(self.begin_s, played_s - unplayed_s))

    def finish(self) -> float:
        """It ends with what is queued of it; returns what was heard of it, in seconds."""
        if self.end_s is None:
            self.end_s = self._timeline.accepted_s
        self.is_over = True
        return self.heard_s(0.0)

    @property
    def is_passed_on(self) -> bool:
        """True once all of it was passed on to be played."""
        end_s = self.begin_s if self.end_s is None else self.end_s
        return self._timeline.played_s >= end_s - ROUNDING_S

    @property
    def left_s(self) -> float:
        """What waits of it, in seconds."""
        end_s = self.begin_s if self.end_s is None else self.end_s
        return max(0.0, end_s - self._timeline.played_s)

    async def until_passed_on(self) -> None:
        """Returns once `is_passed_on`."""
        while not self.is_passed_on:
            before_s = self._timeline.played_s
            # It is played in real time: that is when to look again.
            await asyncio.sleep(self.left_s)
            if self._timeline.played_s <= before_s and not await self._timeline.until_moving():
                # Nobody takes it at the moment.
                await self._timeline.drain()


class Hearing:
    """Reports the end of each reply once the user has heard it.

    Args:
        timeline: The handler's audio.
        delay_s: Returns the time from a packet to the moment at which the client has played it, in
            seconds.
    """

    def __init__(self, timeline: Timeline, delay_s: Callable[[], float]) -> None:
        self._timeline = timeline
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self._replies: dict[int, Utterance] = {}
        self._unheard: dict[int, tuple[Callable[[], None], asyncio.Task[None]]] = {}
        self._next: Utterance | None = None
        self._tasks = TaskScope()

    @property
    def unheard(self) -> int | None:
        """The turn whose reply is complete, and was not heard to its end; the oldest."""
        return next(iter(self._unheard), None)

    def begin(self, turn: int) -> None:
        """The reply to a turn begins: one before it that is complete counts as heard."""
        for earlier in list(self._unheard):
            on_heard, waiting = self._unheard.pop(earlier)
            waiting.cancel()
            self._replies[earlier].finish()
            on_heard()
        with self._lock:
            # Those to turn 0 come one after the other.
            self._replies.pop(turn, None)
            if len(self._replies) >= MAX_REPLIES:
                del self._replies[next(iter(self._replies))]
            self._replies[turn] = Utterance(self._timeline)

    def end(self, turn: int, on_heard: Callable[[], None]) -> None:
        """The reply to a turn is complete.

        Args:
            turn: Its number.
            on_heard: Called once the user has heard the end, unless `interrupt` comes before: at
                once where there is nothing to be heard.
        """
        reply = self._replies.get(turn)
        if reply is None or reply.end_s is not None:
            on_heard()
            return
        reply.end_s = self._timeline.accepted_s
        if reply.end_s <= reply.begin_s + ROUNDING_S:
            reply.finish()
            on_heard()
            return
        waiting = self._tasks.start(self._until_heard(turn, reply, on_heard))
        self._unheard[turn] = on_heard, waiting

    def interrupt(self, turn: int) -> float:
        """The reply to a turn was cut short; returns what was heard of it, in seconds.

        What the client has it plays.
        """
        if (unheard := self._unheard.pop(turn, None)) is not None:
            unheard[1].cancel()
        reply = self._replies.get(turn)
        return 0.0 if reply is None else reply.finish()

    def note_cleared(self, unplayed_s: float) -> None:
        """What waited was dropped, before what follows from that is reported.

        Args:
            unplayed_s: The audio that the client had and drops as well, in seconds.
        """
        for reply in self._replies.values():
            reply.note_dropped(unplayed_s)
        if self._next is not None:
            self._next.note_dropped(0.0)

    def when_next(self, act: Callable[[], object], *, is_queued: bool) -> None:
        """Calls ``act`` when what waits was passed on; what was to be called before is dropped.

        Args:
            act: Called on the event loop.
            is_queued: True if it waits already, behind nothing but a hold or an announcement.
        """
        self._next = Utterance(self._timeline)
        self._next.end_s = self._timeline.played_s if is_queued else self._timeline.accepted_s
        self._tasks.start(self._until_next(self._next, act))

    def heard_s(self, turn: int) -> float:
        """Returns what the user has heard of the reply to a turn, in seconds; any thread."""
        with self._lock:
            reply = self._replies.get(turn)
        return 0.0 if reply is None else reply.heard_s(self._delay_s())

    def close(self) -> None:
        """Reports nothing any more."""
        self._tasks.cancel()
        self._unheard.clear()

    async def _until_next(self, before: Utterance, act: Callable[[], object]) -> None:
        await before.until_passed_on()
        while await self._timeline.until_moving():
            await before.until_passed_on()
        if self._next is before:
            act()

    async def _until_heard(self, turn: int, reply: Utterance, on_heard: Callable[[], None]) -> None:
        while True:
            await reply.until_passed_on()
            await asyncio.sleep(self._delay_s())
            # A hold takes back what was passed on.
            if reply.is_passed_on:
                break
        self._unheard.pop(turn, None)
        reply.finish()
        on_heard()

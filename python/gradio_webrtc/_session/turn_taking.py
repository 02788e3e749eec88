"""The turns of user and handler: derived from the events of a session.

Runs on the event loop. Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_AWAITED_S: Final = 10.0
"""Seconds after a turn in which an answer to it is expected: as long as a turn waits for the
client's inputs. A service that detects turns may leave one without an answer."""

REPLY_STARTS: Final = "response_starting"

REPLY_ENDS: Final = "response_finished"

REPLY_STOPS: Final = "interrupted"

TURN_ENDS: Final = frozenset({"pause_detected", "response_triggered"})


class TurnTaking:
    """The replies under way, and whether the user speaks or waits for one.

    Replies and announcements that are complete are under way until they were heard.

    Attributes:
        changed: Set with each change, and cleared by whoever waits for one.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._replies: set[int] = set()
        self._announcements = 0
        self._user_speaks = False
        self._awaited_since_s = -math.inf
        self._finished = asyncio.Event()
        self._finished.set()

    @property
    def is_replying(self) -> bool:
        """True while a reply or an announcement is under way."""
        return bool(self._replies or self._announcements)

    def silent_in_s(self, now_s: float) -> float:
        """Returns 0 while nobody speaks and no answer is due, else the time until that may be.

        Args:
            now_s: The time of the event loop, in seconds.

        Returns:
            Seconds; infinite where an event comes first.
        """
        if self.is_replying or self._user_speaks:
            return math.inf
        return max(0.0, self._awaited_since_s + MAX_AWAITED_S - now_s)

    async def until_replied(self) -> None:
        """Returns once nothing is under way."""
        await self._finished.wait()

    def note_event(self, name: str, data: Mapping[str, Any], now_s: float) -> None:
        """Takes an event of the conversation."""
        turn = data.get("turn", 0)
        if data.get("announcement"):
            self._announcements += 1 if name == REPLY_STARTS else -1
        elif name == "started_talking":
            self._user_speaks = True
        elif name in TURN_ENDS:
            self._user_speaks, self._awaited_since_s = False, now_s
        elif name == "reply_resumed":
            self._user_speaks = False
        elif name == REPLY_STARTS:
            self._replies.add(turn)
        elif name in {REPLY_ENDS, REPLY_STOPS}:
            self._replies.discard(turn)
        if turn and name in {REPLY_STARTS, REPLY_ENDS}:
            self._user_speaks, self._awaited_since_s = False, -math.inf
        elif name == REPLY_STOPS:
            self._awaited_since_s = -math.inf
        if self.is_replying:
            self._finished.clear()
        else:
            self._finished.set()
        self.changed.set()

"""Answers that are begun before it is certain that the user's turn is over.

`TurnProgress` is the history of one turn, without audio or tasks; `SpeculativeReply` is an answer
whose items are held back; `Speculator` does with the one what the other decides. Runs on the event
loop.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .current_turn import MAX_HELD, CurrentTurn, Hold
from .replies import Reply
from .runner import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Speculation
    from .replies import ReplyQueue, Turn
    from .runner import Step

MAX_WAITS: Final = 2
"""Starts in one turn that may wait until the code of a dropped answer has returned: what cannot be
stopped is not queued up behind itself."""


class Act(enum.Enum):
    """The outcome of a step of `TurnProgress` for the answer."""

    NOTHING = enum.auto()
    START = enum.auto()
    DISCARD = enum.auto()
    COMMIT = enum.auto()
    ANSWER = enum.auto()


class TurnProgress:
    """The history of the user's turns, as far as answers are begun for them.

    Between two ends of turns ::

        speaking ──candidate──► held ──pause──► (commit) speaking, of the next turn
            ▲                    │
            └──resumed, dropped──┘ (discard)

        speaking ──pause──► (answer) speaking, of the next turn

    A candidate begins nothing where the turn is too long, where it had its starts, or where those
    had to wait too often. Nothing is begun twice for the same silence.

    Args:
        terms: The limits of one turn.

    Attributes:
        is_holding: True while an answer is held back.
        starts: The answers that were begun in this turn.
        waits: Those that had to wait for a dropped one to return.
    """

    def __init__(self, terms: Speculation) -> None:
        self.is_holding = False
        self.starts = self.waits = 0
        self._terms = terms

    def candidate(self, speech_s: float, *, must_wait: bool) -> Act:
        """The turn may be over.

        Args:
            speech_s: Its length so far, in seconds.
            must_wait: True if an answer could only begin once a dropped one has returned.
        """
        is_refused = (
            self.is_holding
            or speech_s > self._terms.max_speech_s
            or self.starts >= self._terms.max_starts
            or (must_wait and self.waits >= MAX_WAITS)
        )
        if is_refused:
            return Act.NOTHING
        self.is_holding = True
        self.starts += 1
        self.waits += must_wait
        return Act.START

    def resumed(self) -> Act:
        """The turn was not over: the user talks on."""
        was_holding, self.is_holding = self.is_holding, False
        return Act.DISCARD if was_holding else Act.NOTHING

    def dropped(self) -> Act:
        """The turn counts no more: it is ignored, or answered in another way."""
        act = self.resumed()
        self.starts = self.waits = 0
        return act

    def pause(self) -> Act:
        """The turn is over."""
        act = Act.COMMIT if self.is_holding else Act.ANSWER
        self.is_holding = False
        self.starts = self.waits = 0
        return act


class SpeculativeReply(Reply):
    """An answer that is begun at once, and whose items are held back until it is certain.

    The arguments are those of `Reply`.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._session = self._hold = Hold(self._session, self.turn.number)
        self._current = CurrentTurn(self.turn.number, self._hold, self._heard_s)
        self._held_s = 0.0
        self._is_finished = False
        self._changed = asyncio.Event()
        self._pulling: asyncio.Task[None] | None = None

    def start(self, earlier: Reply | None, max_held_s: float) -> None:
        """Begins the answer, once the one before it has returned.

        Args:
            earlier: That one, if it has not.
            max_held_s: The audio that is held back, in seconds.
        """
        self._pulling = self._tasks.start(self._pull(earlier, max_held_s))

    def commit(self) -> None:
        """The turn is over: everything is passed on."""
        self._hold.release()
        self._current.decide(is_over=True)
        if self.has_begun:
            self._note_begin()
        self._changed.set()

    async def step(self) -> Step:
        """Returns the next item, held or not; see `Reply.step`. Call it once it is certain."""
        while not self.is_interrupted:
            held = self._hold.take()
            if held is not None:
                item: Step = held[0]
                return item
            if self._is_finished:
                return FINISHED
            if self._pulling is None or self._pulling.done():
                # What the function gave is passed on: from now on it is stepped for each item.
                return await super().step()
            self._changed.clear()
            await self._changed.wait()
        return FINISHED

    def interrupt(self) -> None:
        """Ends the step under way at once, and every later one; what is held is dropped."""
        self._hold.drop()
        self._current.decide(is_over=False)
        super().interrupt()
        self._changed.set()

    async def _clean_up(self, timeout_s: float | None) -> None:
        if self._pulling is not None:
            # It waits for the answer before this one, which is closed before this one is.
            await asyncio.wait({self._pulling}, timeout=timeout_s)
        await super()._clean_up(timeout_s)
        self._tasks.cancel()
        # What tasks of the function's own still send goes on its way from now on.
        self._hold.drop()

    def _note_begin(self) -> None:
        if self._hold.is_certain:
            super()._note_begin()

    async def _pull(self, earlier: Reply | None, max_held_s: float) -> None:
        """Steps the function until it is certain, or there is enough."""
        try:
            if earlier is not None:
                await earlier.wait_closed()
            while not (self._hold.is_certain or self.is_interrupted):
                if self._held_s >= max_held_s or len(self._hold) >= MAX_HELD:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                item = await super().step()
                if item is FINISHED:
                    self._is_finished = True
                    return
                self._held_s += seconds_of(item)
                self._hold.put(kept(item))
                self._changed.set()
        finally:
            self._changed.set()


class Speculator:
    """Begins answers at pauses that may be none, and releases or drops them.

    Args:
        terms: The limits.
        replies: Holds the answers.
        make_reply: Returns the answer to a turn, not begun yet.
        on_discard: Called behind each answer that was dropped.
    """

    def __init__(
        self,
        terms: Speculation,
        replies: ReplyQueue,
        make_reply: Callable[[Turn], SpeculativeReply],
        on_discard: Callable[[], None],
    ) -> None:
        self._progress = TurnProgress(terms)
        self._max_held_s = terms.max_held_s
        self._replies = replies
        self._make_reply = make_reply
        self._on_discard = on_discard

    @property
    def is_holding(self) -> bool:
        """True while an answer is held back."""
        return self._progress.is_holding

    def candidate(self, turn: Turn) -> None:
        """The turn may be over: has its answer begun, unless the one before is still heard."""
        if self._replies.is_engaged:
            return
        turn = self._replies.with_carried(turn)
        seconds = turn.audio.size / turn.rate_hz
        if self._progress.candidate(seconds, must_wait=self._replies.is_closing) is Act.START:
            self._replies.hold(self._make_reply(turn), self._max_held_s)

    def resumed(self) -> None:
        """The user talks on."""
        self._follow(self._progress.resumed())

    def dropped(self) -> None:
        """The turn counts no more."""
        self._follow(self._progress.dropped())

    def pause(self) -> None:
        """The turn is over: releases its answer."""
        if self._progress.pause() is Act.COMMIT:
            self._replies.commit()

    def _follow(self, act: Act) -> None:
        if act is Act.DISCARD and self._replies.discard():
            self._on_discard()


def kept(item: object) -> object:
    """Returns an item that stays as it is, whatever the function writes into its arrays later."""
    if isinstance(item, tuple):
        return tuple(kept(part) for part in item)
    return item.copy() if isinstance(item, np.ndarray) else item


def seconds_of(item: object) -> float:
    """Returns the length of an item's audio, in seconds; 0 for anything that is no audio."""
    audio: Any = item
    if isinstance(audio, tuple) and audio and isinstance(audio[0], tuple):
        audio = audio[0]
    if not (isinstance(audio, tuple) and len(audio) >= 2):  # noqa: PLR2004 - rate and samples
        return 0.0
    try:
        return float(max(audio[1].shape) / audio[0])
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        # What it is, and what is wrong with it, is looked at when it is played.
        return 0.0

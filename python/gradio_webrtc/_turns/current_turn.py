"""The turn that the running code answers, and what that code gives before the turn is certain.

A context variable carries the turn into every task and worker that the code of an answer starts.
Any thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections import deque
from collections.abc import Callable  # noqa: TC003 - read at runtime by NamedTuple
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol

from gradio_webrtc._workers.waiting import note_wait
from gradio_webrtc.errors import TurnDiscarded

MAX_HELD: Final = 256
"""Items that are held back at most, as many as messages before the data channel opens. A function
is not stepped any further then; of the messages that it goes on to send, the oldest are dropped."""

_logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Takes the errors of user code in one session."""

    webrtc_id: str

    def report(self, error: BaseException) -> None:
        """Reports an error: once to the log, and to the user without internals."""


class Act(NamedTuple):
    """Something that an answer does.

    Attributes:
        do: Does it.
        drop: Is called in place of that where the answer is dropped.
    """

    do: Callable[[], object]
    drop: Callable[[], object]


def _nothing() -> None: ...


class Hold:
    """The items and acts of an answer that is not certain: kept in order, passed on or dropped.

    Args:
        reporter: Gets the errors once the answer is certain.
        turn: The number of the turn, for the log.

    Attributes:
        is_certain: True once everything is passed on.
        is_dropped: True once everything is dropped, until the end.
        webrtc_id: The id of the session.
    """

    def __init__(self, reporter: Reporter, turn: int = 0) -> None:
        self.is_certain = self.is_dropped = False
        self.webrtc_id = reporter.webrtc_id
        self._reporter = reporter
        self._turn = turn
        self._lock = threading.Lock()
        self._kept: deque[tuple[bool, Any]] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, item: object) -> None:
        """Keeps an item of the answer, behind what it did before."""
        with self._lock:
            if not self.is_dropped:
                self._kept.append((True, item))

    def defer(self, act: Callable[[], object], drop: Callable[[], object] = _nothing) -> bool:
        """Keeps something that the answer does, such as a message, to be done in its order.

        Args:
            act: Does it.
            drop: Is called in place of that where the answer is dropped.

        Returns:
            False if it is to be done now, since the answer is certain and nothing is kept.
        """
        oldest = None
        with self._lock:
            is_dropped = self.is_dropped
            if not is_dropped:
                if self.is_certain and not self._kept:
                    return False
                oldest = self._take_oldest_act() if len(self._kept) >= MAX_HELD else None
                self._kept.append((False, Act(act, drop)))
        if is_dropped:
            drop()
        elif oldest is not None and self.is_certain:
            # Before its audio is better than never.
            oldest.do()
        elif oldest is not None:
            oldest.drop()
            _logger.warning(
                "an answer that may still be dropped sends more than %d messages: the oldest are "
                "dropped; wait for turn.certain() before sending",
                MAX_HELD,
            )
        return True

    def report(self, error: BaseException) -> None:
        """Reports an error of the answer, in its order; one of a dropped answer only to the log."""
        if self.is_dropped:
            _logger.debug("turn %d was not over; its answer raised", self._turn, exc_info=error)
        elif not self.defer(lambda: self._reporter.report(error)):
            self._reporter.report(error)

    def take(self) -> tuple[Any] | None:
        """Returns the next item in a tuple, once what came before it was done; else ``None``."""
        while True:
            with self._lock:
                if not self._kept:
                    return None
                is_item, kept = self._kept.popleft()
            if is_item:
                return (kept,)
            kept.do()

    def release(self) -> None:
        """Has what is kept passed on, by `take`, and what comes behind it."""
        self.is_certain = True

    def drop(self) -> None:
        """Drops what is kept, and everything from now on.

        Of an answer that is certain no item is kept any more, and the acts are done at once.
        """
        with self._lock:
            self.is_dropped = not self.is_certain
            acts: list[Act] = [kept for is_item, kept in self._kept if not is_item]
            self._kept.clear()
        for act in acts:
            if self.is_dropped:
                act.drop()
            else:
                act.do()

    def _take_oldest_act(self) -> Act | None:
        for index, (is_item, act) in enumerate(self._kept):
            if not is_item:
                del self._kept[index]
                oldest: Act = act
                return oldest
        return None


class CurrentTurn:
    """The turn that the running code answers; `get_turn` returns it. Any thread.

    Args:
        number: See below.
        hold: Keeps back what the code gives; ``None`` where it is certain from the start.
        heard_s: Returns the seconds of the answer to a turn that were heard, by its number.

    Attributes:
        number: Counts the user's turns from 1; 0 for an answer to no turn, as that of
            ``startup_fn``. Answers that are begun before the end of one turn have the same number.

    Example:
        >>> CurrentTurn(1).is_certain
        True
    """

    def __init__(
        self,
        number: int,
        hold: Hold | None = None,
        heard_s: Callable[[int], float] = lambda _turn: 0.0,
    ) -> None:
        self.number = number
        self._heard_s = heard_s
        self._hold = hold
        self._is_over: concurrent.futures.Future[bool] = concurrent.futures.Future()
        self._loop = None if hold is None else asyncio.get_running_loop()
        if hold is None:
            self._is_over.set_result(True)

    @property
    def is_certain(self) -> bool:
        """True once it is certain that the turn is over, and what the code gives is played."""
        return self._is_over.done() and self._is_over.result()

    @property
    def heard_s(self) -> float:
        """The part of the answer's audio that the user has heard so far, in seconds.

        It is what a conversation's history should have of an answer that was interrupted: read it
        where the code ends, as in a ``finally``. Where the client reports nothing it is an
        estimate, some 0.1 s off.
        """
        return self._heard_s(self.number)

    @property
    def is_dropped(self) -> bool:
        """True once the user has talked on, or left: nothing of what the code gives is played."""
        return self._is_over.done() and not self._is_over.result()

    async def certain(self) -> None:
        """Returns once it is certain that the turn is over; await it before side effects.

        Without ``speculative=`` it always is. Call it for what cannot be taken back: bookings,
        payments, what is written to a database.

        Raises:
            TurnDiscarded: The user talked on, or left.
        """
        try:
            # Shielded: the future is everybody's.
            is_over = await asyncio.shield(asyncio.wrap_future(self._is_over))
        except asyncio.CancelledError:
            if not self._is_over.done() or self._is_over.result():
                raise
            is_over = False
        if not is_over:
            raise TurnDiscarded(self.number)

    def wait_until_certain(self) -> None:
        """As `certain`, for sync code; blocks its thread.

        Raises:
            RuntimeError: Called on the event loop, where it could never return.
            TurnDiscarded: The user talked on, or left.
        """
        if not self._is_over.done():
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                raise RuntimeError("write await get_turn().certain() in async code")
            note_wait(self._loop, self._is_over)
        if not self._is_over.result():
            raise TurnDiscarded(self.number)

    def decide(self, *, is_over: bool) -> None:
        """Decides it; the first decision counts."""
        if not self._is_over.done():
            self._is_over.set_result(is_over)

    def defer(self, act: Callable[[], object], drop: Callable[[], object] = _nothing) -> bool:
        """Keeps ``act`` until the turn is certain; returns False if it is to be done now.

        ``drop`` is called in its place if the user talks on.
        """
        return self._hold is not None and self._hold.defer(act, drop)


current_turn: ContextVar[CurrentTurn | None] = ContextVar("current_turn", default=None)
"""The turn that the running code answers."""


def get_turn() -> CurrentTurn:
    """Returns the turn that the running code answers; from any code of a `ReplyOnPause` function.

    Returns:
        An object with ``number``, which counts the user's turns from 1 (0 for ``startup_fn``), and
        ``is_certain``. ``await certain()``, or ``wait_until_certain()`` in sync code, returns once
        the turn is over, and raises `TurnDiscarded` if the user talks on.

    Raises:
        RuntimeError: The code answers no turn.

    Example:
        >>> async def book(audio):
        ...     room = "a room"
        ...     await get_turn().certain()  # the user has finished
        ...     yield AdditionalOutputs(f"booked {room}")
        >>> handler = ReplyOnPause(book, speculative=True)
    """
    turn = current_turn.get()
    if turn is None:
        raise RuntimeError(
            "get_turn() is for the function of ReplyOnPause, and code that it calls: no turn is "
            "answered here"
        )
    return turn


def deferred(act: Callable[[], object], drop: Callable[[], object] = _nothing) -> bool:
    """Keeps ``act`` if the running code answers a turn that is not certain; else returns False.

    ``drop`` is called in its place if the user talks on.
    """
    turn = current_turn.get()
    return turn is not None and turn.defer(act, drop)

"""The user's turns, one reply to each at a time, and barge-in.

Runs on the event loop. Detects no turns and sends no audio: `detector` does the one, the session
the other.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from weakref import WeakMethod

import numpy as np

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc.errors import ConnectionLost

from .current_turn import CurrentTurn, current_turn
from .runner import FINISHED, RELEASE_S, CancellableWait, GeneratorRun

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from numpy.typing import NDArray

    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import SessionHandle

    from .current_turn import Reporter
    from .runner import Playable, Step
    from .speculation import SpeculativeReply

Arguments: TypeAlias = tuple[object, ...]
"""The positional arguments of a user function."""

GetArguments: TypeAlias = "Callable[[Turn], Arguments | Coroutine[Any, Any, Arguments]]"
"""Returns the arguments for a turn, or a coroutine that waits for the client's inputs first."""

MAX_CARRIED_S: Final = 60.0
"""Seconds of audio of turns that were never answered that go into the next one. People who talk on
while the function is busy have said what matters within a minute; memory needs some bound."""


@dataclass(frozen=True)
class Turn:
    """A turn of the user, to be answered.

    Attributes:
        number: Counts the user's turns from 1; 0 stands for an answer to no turn: when the session
            starts, or because a subclass set ``generator``.
        rate_hz: The rate of ``audio``.
        audio: int16, ``(1, n)``; empty at the start, or when a reply was requested in silence.
        generator: Played for an answer, in place of the function's.
    """

    number: int
    rate_hz: int
    audio: NDArray[np.int16]
    generator: Playable | None = None

    def after(self, earlier: NDArray[np.int16]) -> Turn:
        """Returns this turn behind the audio of earlier ones, the last `MAX_CARRIED_S` of it."""
        kept = earlier[:, -round(MAX_CARRIED_S * self.rate_hz) :]
        audio = np.concatenate([kept, self.audio], axis=1)
        return dataclasses.replace(self, audio=audio)


class BindableFunction(Protocol):
    """A user function, and the arguments besides the inputs that it is called with."""

    fn: Callable[..., Any]

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, complete with those besides ``args``."""


class Reply:
    """The answer to one turn. Every method is called on the event loop.

    Args:
        turn: The turn that is answered.
        function: The user's function.
        get_arguments: Returns the values the function is called with, or a coroutine that waits for
            the client's inputs first.
        on_begin: Called right before the function is.
        session: Receives the exceptions of the user's code, and the moments of the turn.
        worker: Runs the function if it blocks.
    """

    def __init__(
        self,
        turn: Turn,
        function: BindableFunction,
        get_arguments: GetArguments,
        on_begin: Callable[[Turn], None],
        session: SessionHandle,
        worker: Worker,
    ) -> None:
        self.turn = turn
        self._function = function
        self._get_arguments = get_arguments
        self._on_begin = on_begin
        self._session: Reporter = session
        # Not held back with the answer, which `_session` may be.
        self._note_moment = session.note_moment
        self._has_given_audio = False
        self._worker = worker
        self._heard_s = session.heard_s
        self._current = CurrentTurn(turn.number, heard_s=self._heard_s)
        self._tasks = TaskScope()
        self._preparing = CancellableWait()
        self._run: GeneratorRun | None = None
        self._has_no_arguments = False
        self._closed = asyncio.Event()

    @property
    def is_interrupted(self) -> bool:
        """True once the reply was ended before its time."""
        return self._preparing.is_interrupted

    @property
    def has_begun(self) -> bool:
        """True once the user's function was called."""
        return self._run is not None

    @property
    def has_failed(self) -> bool:
        """True once the user's function has raised, or its arguments could not be had."""
        return self._has_no_arguments or (self._run is not None and self._run.has_failed)

    @property
    def generator(self) -> Playable | None:
        """The result of the user's function, once it was called."""
        return self.turn.generator if self._run is None else self._run.generator

    async def step(self) -> Step:
        """Returns the next item, or `FINISHED` when there is none or the reply was interrupted.

        An error of the user's code, or in the wait for its inputs, is reported and ends the reply.
        """
        if self.is_interrupted:
            return FINISHED
        if self._run is None:
            with guard(self._session.report) as preparation:
                self._run = await self._begin()
            self._has_no_arguments = preparation.error is not None
        if self._run is None:
            return FINISHED
        item = await self._run.step()
        if not self._has_given_audio and has_audio(item):
            self._has_given_audio = True
            self._note_moment(self.turn.number, "first_item_s")
        return item

    async def _begin(self) -> GeneratorRun | None:
        """Returns the run of the function, or ``None`` if it was interrupted before that."""
        arguments = () if self.turn.generator is not None else self._get_arguments(self.turn)
        if not isinstance(arguments, tuple):
            received = await self._preparing.run(self._tasks.start(arguments))
            if received is FINISHED:
                return None
            arguments = received
        self._note_begin()
        self._note_moment(self.turn.number, "function_start_s")
        fn, args = self._function.bind(*arguments)
        token = current_turn.set(self._current)
        try:
            # It takes the context variables for all of its steps now.
            return GeneratorRun(fn, args, self._session, self._worker, self.turn.generator)
        finally:
            current_turn.reset(token)

    def _note_begin(self) -> None:
        self._on_begin(self.turn)

    def interrupt(self) -> None:
        """Ends the step under way at once, and every later one."""
        self._preparing.interrupt()
        if self._run is not None:
            self._run.interrupt()

    async def close(self, timeout_s: float | None = None) -> None:
        """Waits until the user's code has returned and cleaned up; an error in that is reported.

        Args:
            timeout_s: The longest wait for it, in seconds; ``None`` for as long as it takes.
        """
        try:
            await self._clean_up(timeout_s)
        finally:
            self._closed.set()

    @property
    def is_closed(self) -> bool:
        """True once `close` has returned."""
        return self._closed.is_set()

    async def wait_closed(self) -> None:
        """Returns once `close` has returned, which somebody else has called or will."""
        await self._closed.wait()

    async def _clean_up(self, timeout_s: float | None) -> None:
        if self._run is None and self.turn.generator is not None:
            fn = self._function.fn
            self._run = GeneratorRun(fn, (), self._session, self._worker, self.turn.generator)
        if self._run is not None:
            await self._run.close(timeout_s)


class ReplySignal(threading.Event):
    """Set while there is a turn to answer; notifies its handler when other code sets it.

    Args:
        on_asked: A method, called by whoever calls `set`, in their thread. Its object is not kept:
            the handler has the event.

    Attributes:
        is_asked: True if `set` was called, and the handler has not acted on it yet.
    """

    def __init__(self, on_asked: Callable[[], None]) -> None:
        super().__init__()
        self.is_asked = False
        self._on_asked = WeakMethod(on_asked)

    def set(self) -> None:
        """Asks the handler for an answer; from any thread."""
        self.is_asked = True
        super().set()
        on_asked = self._on_asked()
        if on_asked is not None:
            on_asked()

    def clear(self) -> None:
        """Takes that back, if the handler has not acted on it yet."""
        self.is_asked = False
        super().clear()

    def mark(self) -> None:
        """Sets the event on behalf of the handler, without asking it."""
        super().set()


class ReplyQueue:
    """Takes the user's turns and returns the items of the replies to them.

    One reply is under way at a time, and at most one turn waits for it to be closed. A turn without
    an answer because the user talked on is not lost: it is the beginning of the next. A reply may
    be begun before it is certain that the turn is over: it is held, until `commit` or `discard`.
    Every method is called on the event loop.

    Args:
        session: Notified of interruptions and of the ends of replies.
        make_reply: Returns the reply to a turn, ready to be stepped.
        on_reply_over: Called at the end of a reply, with True if it was interrupted.
        silence: Drops the queued audio of an interrupted reply, and the item on its way.

    Attributes:
        on_change: Called when ``is_responding`` may have changed.
        on_unpaused: Called when the reply that is paused is played on, or ended.
    """

    def __init__(
        self,
        session: SessionHandle,
        make_reply: Callable[[Turn], Reply],
        on_reply_over: Callable[[bool], None],
        silence: Callable[[], None],
    ) -> None:
        self._session = session
        self._make_reply = make_reply
        self._on_reply_over = on_reply_over
        self._silence = silence
        self.on_change: Callable[[], None] = _ignore
        self.on_unpaused: Callable[[], None] = _ignore
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._waiting: Turn | None = None
        self._held: SpeculativeReply | None = None
        self._committed: deque[SpeculativeReply] = deque()
        self._reply: Reply | None = None
        self._latest: Reply | None = None
        self._latest_turn = 0
        self._tasks = TaskScope()
        self._carried: NDArray[np.int16] | None = None
        self._ready = asyncio.Event()

    @property
    def is_responding(self) -> bool:
        """True if a turn waits for its reply or is being replied to; not while one is held."""
        return self._waiting is not None or self._reply is not None or bool(self._committed)

    @property
    def is_speaking(self) -> bool:
        """True if a reply is under way that was not interrupted."""
        return self._speaking is not None

    @property
    def is_engaged(self) -> bool:
        """True if a reply is to come, or is under way and was not interrupted."""
        return self._waiting is not None or self._speaking is not None

    @property
    def latest_turn(self) -> int:
        """The number of the turn whose reply waits, is under way or was last; 0 for none."""
        return self._latest_turn if self._waiting is None else self._waiting.number

    @property
    def is_closing(self) -> bool:
        """True while the code of the newest reply has not returned."""
        return self._latest is not None and not self._latest.is_closed

    @property
    def has_begun_early(self) -> bool:
        """True if a reply is held whose function was called."""
        return self._held is not None and self._held.has_begun

    @property
    def is_preparing(self) -> bool:
        """True if a turn of the user's has no reply yet, and is about to get one."""
        turn = self._waiting
        if turn is None and self._speaking is not None and not self._speaking.has_begun:
            turn = self._speaking.turn
        return turn is not None and turn.number > 0

    @property
    def generator(self) -> Playable | None:
        """The result of the user's function for the reply under way."""
        if self._waiting is not None:
            return self._waiting.generator
        return None if self._speaking is None else self._speaking.generator

    async def wait_until_ready(self) -> None:
        """Returns when there is a reply to begin, to step or to close. Costs nothing meanwhile."""
        await self._ready.wait()

    def take(self, turn: Turn) -> Turn:
        """Has the user's turn answered, in place of the reply under way.

        Returns:
            The turn with the audio of those before it that were never answered.
        """
        self.discard()
        if self.is_engaged:
            self.interrupt()
        self.unpause()
        turn = self.with_carried(turn)
        if turn.number:
            self._carried = None
        self._waiting = turn
        self._update()
        return turn

    def with_carried(self, turn: Turn) -> Turn:
        """Returns the user's turn behind the audio of those before it that were never answered."""
        if self._carried is None or not turn.number:
            return turn
        return turn.after(self._carried)

    def hold(self, reply: SpeculativeReply, max_held_s: float) -> None:
        """Begins the reply to a turn that may be over, behind the one that is being closed.

        Args:
            reply: Not begun yet.
            max_held_s: The audio of it that is held, in seconds.
        """
        reply.start(self._latest if self.is_closing else None, max_held_s)
        self._held = self._latest = reply

    def discard(self) -> bool:
        """Ends the reply that is held, for the user talks on; returns False if there is none."""
        reply, self._held = self._held, None
        if reply is None:
            return False
        reply.interrupt()
        self._tasks.start(self._close(reply))
        self._session.event("reply_discarded", turn=reply.turn.number)
        return True

    def commit(self) -> bool:
        """Makes the reply that is held the one under way; returns False if there is none."""
        reply, self._held = self._held, None
        if reply is None:
            return False
        self._carried = None
        self._latest_turn = reply.turn.number
        self._committed.append(reply)
        self._session.event("turn_committed", turn=reply.turn.number)
        reply.commit()
        self._update()
        return True

    def pause(self) -> None:
        """Silences the reply under way, and what is queued of the last one, until `unpause`.

        Its code runs until the queue is full. A reply that waits is not begun, and none finishes.
        """
        self._unpaused.clear()
        self._session.hold_reply()

    def unpause(self) -> None:
        """Plays on what is paused, if anything is."""
        if self._unpaused.is_set():
            return
        self._unpaused.set()
        self._session.resume_reply()
        self.on_unpaused()

    def interrupt(self, *, is_silenced: bool = True) -> Turn | None:
        """Ends the reply at once and drops its queued audio (barge-in).

        Args:
            is_silenced: False to play its queued audio to the end.

        Returns:
            The turn whose reply it was; ``None`` when none was under way.
        """
        turn, has_begun = self._waiting, False
        self._waiting = None
        if turn is None and self._speaking is not None:
            turn, has_begun = self._speaking.turn, self._speaking.has_begun
            self._speaking.interrupt()
        if turn is not None and turn.number and not has_begun:
            self._carried = turn.audio
        number = None if turn is None else turn.number
        if is_silenced:
            # Its code is over, and the user has not heard all of it.
            number = self._session.unheard if number is None else number
            self._silence()
        self.unpause()
        if number is not None:
            self._session.event("interrupted", turn=number)
        self._update()
        return turn

    async def step(self) -> Step:
        """Returns the next item of the reply under way, or `FINISHED` when there is none.

        An error of the user's code is reported and ends the reply.
        """
        if self._reply is None:
            if self._latest is not None and self._waiting is not None and not self._committed:
                # The code of a reply that was discarded runs to its end first.
                await self._latest.wait_closed()
            await self._unpaused.wait()
            self._reply = self._next_reply()
        reply = self._reply
        if reply is None:
            return FINISHED
        item = await reply.step()
        if item is FINISHED:
            await self._unpaused.wait()
            await self._end(reply)
        return item

    async def close(self) -> None:
        """Ends all replies for good; waits no longer than `RELEASE_S` for code that blocks."""
        self._waiting = None
        self._unpaused.set()
        self.discard()
        replies = [*self._committed] if self._reply is None else [self._reply, *self._committed]
        self._reply, self._latest = None, None
        self._committed.clear()
        for reply in replies:
            reply.interrupt()
            self._tasks.start(reply.close(RELEASE_S))
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._tasks.wait()
        except TimeoutError:
            await self._tasks.close()

    def detach(self) -> None:
        """Drops the references to the handler once the session is over; later turns are refused."""
        self._make_reply = _refuse
        self._on_reply_over = _ignore
        self._silence = self.on_change = self.on_unpaused = _ignore

    @property
    def _speaking(self) -> Reply | None:
        for reply in (*self._committed, self._reply):
            if reply is not None and not reply.is_interrupted:
                return reply
        return None

    def _next_reply(self) -> Reply | None:
        if self._committed:
            return self._committed.popleft()
        turn, self._waiting = self._waiting, None
        if turn is not None:
            self._latest = self._make_reply(turn)
            self._latest_turn = turn.number
        return None if turn is None else self._latest

    async def _close(self, reply: Reply) -> None:
        """Closes a reply; its code may take its time, and the next one waits for it."""
        await reply.close()
        if self._latest is reply:
            self._latest = None

    async def _end(self, reply: Reply) -> None:
        # Without a time limit: the worker has one thread, which the next reply needs.
        await self._close(reply)
        self._reply = None
        if not reply.is_interrupted:
            self._session.end_reply()
            turn = reply.turn.number
            self._session.event("response_finished", turn=turn, failed=reply.has_failed)
        # A subclass may override `reset`, which this leads to.
        with guard(self._session.report):
            self._on_reply_over(reply.is_interrupted)
        self._update()

    def _update(self) -> None:
        if self.is_responding:
            self._ready.set()
        else:
            self._ready.clear()
        self.on_change()


def _refuse(_turn: Turn) -> Reply:
    raise ConnectionLost("the session ended")


def _ignore(*_: object) -> None:
    """Stands for the callbacks of a session that is over."""


def has_audio(item: object) -> bool:
    """True for an item with audio, also where that turns out to be none that can be played."""
    audio: Any = item
    if isinstance(audio, tuple) and audio and isinstance(audio[0], tuple):
        audio = audio[0]
    is_audio = isinstance(audio, tuple) and len(audio) >= 2  # noqa: PLR2004 - rate and samples
    return is_audio and getattr(audio[1], "size", 1) != 0

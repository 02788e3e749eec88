"""Who speaks: the caller's turns, one reply at a time, and barge-in."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from gradio_webrtc.errors import ConnectionLost

from .runner import FINISHED, CancellableWait, GeneratorRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import SessionHandle

    from .runner import Playable, Step

Arguments: TypeAlias = tuple[object, ...]
"""What the user's function is called with."""

MAX_CARRIED_S: Final = 60.0
"""How much sound of turns that were never answered goes into the next one. People who talk on
while the function is busy have said what matters within a minute; memory needs some bound."""


@dataclass(frozen=True)
class Turn:
    """What is to be answered.

    Attributes:
        number: Counts the caller's turns from 1; 0 is what is said unasked: when the call starts,
            or because a subclass set ``generator``.
        rate_hz: The rate of ``audio``.
        audio: int16, ``(1, n)``; empty at the start, or when a reply was asked for in silence.
        generator: Played for an answer, in place of the function's.
    """

    number: int
    rate_hz: int
    audio: NDArray[np.int16]
    generator: Playable | None = None

    def after(self, earlier: NDArray[np.int16]) -> Turn:
        """This turn with the sound of earlier ones before it, the last `MAX_CARRIED_S` of it."""
        kept = earlier[:, -round(MAX_CARRIED_S * self.rate_hz) :]
        audio = np.concatenate([kept, self.audio], axis=1)
        return dataclasses.replace(self, audio=audio)


class UserFunction(Protocol):
    """A user's function, and how its arguments are completed."""

    fn: Callable[..., Any]

    def bind(self, *args: object) -> tuple[Callable[..., Any], tuple[object, ...]]:
        """Returns a callable and its positional arguments, with what is wanted besides ``args``."""


class Reply:
    """One answer in the making. Every method is called on the event loop.

    Args:
        turn: What is answered.
        callee: The user's function.
        get_arguments: Gives the values it is called with, or a coroutine that waits for the page's
            inputs first.
        on_begin: Called right before the function is.
        worker: Where the function runs when it blocks.
    """

    def __init__(
        self,
        turn: Turn,
        callee: UserFunction,
        get_arguments: Callable[[Turn], Arguments | Coroutine[Any, Any, Arguments]],
        on_begin: Callable[[Turn], None],
        worker: Worker,
    ) -> None:
        self.turn = turn
        self._callee = callee
        self._get_arguments = get_arguments
        self._on_begin = on_begin
        self._worker = worker
        self._given = turn.generator
        self._preparing = CancellableWait()
        self._runner: GeneratorRunner | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether it was ended before its time."""
        return self._preparing.is_interrupted

    @property
    def has_begun(self) -> bool:
        """Whether the user's function was called."""
        return self._runner is not None

    @property
    def generator(self) -> Iterator[object] | AsyncIterator[object] | None:
        """What the user's function gave, once it was called."""
        return self._given if self._runner is None else self._runner.generator

    async def step(self) -> Step:
        """The next item, or `FINISHED` when there is none or the reply was interrupted.

        Raises:
            Exception: Whatever the user's code raises, or the wait for its inputs.
        """
        if self.is_interrupted:
            return FINISHED
        if self._runner is None:
            arguments = () if self._given is not None else self._get_arguments(self.turn)
            if not isinstance(arguments, tuple):
                arrived = await self._preparing.run(
                    asyncio.get_running_loop().create_task(arguments)
                )
                if arrived is FINISHED:
                    return FINISHED
                arguments = arrived
            self._on_begin(self.turn)
            fn, given = self._callee.bind(*arguments)
            self._runner = GeneratorRunner(fn, given, self._worker, self._given)
        return await self._runner.step()

    def interrupt(self) -> None:
        """Ends the step in the middle at once, and every later one."""
        self._preparing.interrupt()
        if self._runner is not None:
            self._runner.interrupt()

    async def close(self) -> None:
        """Waits until the user's code has returned and cleaned up.

        Raises:
            Exception: Whatever the user's clean-up raises.
        """
        if self._runner is None and self._given is not None:
            self._runner = GeneratorRunner(self._callee.fn, (), self._worker, self._given)
        if self._runner is not None:
            await self._runner.close()


class ReplyQueue:
    """Takes the caller's turns and gives the items of their replies.

    One reply is under way at a time, and at most one turn waits for it to be closed. A turn that
    comes to nothing because the caller talked on is not lost: it is the beginning of the next.
    Every method is called on the event loop.

    Args:
        call: Told of interruptions and of replies that are over.
        make_reply: Gives the reply to a turn, ready to be stepped.
        on_reply_over: Called when a reply is over, with whether it was interrupted.
        silence: Drops what is queued of an interrupted reply, and what is on its way.
    """

    def __init__(
        self,
        call: SessionHandle,
        make_reply: Callable[[Turn], Reply],
        on_reply_over: Callable[[bool], None],
        silence: Callable[[], None],
    ) -> None:
        self._call = call
        self._make_reply = make_reply
        self._on_reply_over = on_reply_over
        self._silence = silence
        self._waiting: Turn | None = None
        self._reply: Reply | None = None
        self._carried: NDArray[np.int16] | None = None
        self._ready = asyncio.Event()

    @property
    def is_responding(self) -> bool:
        """Whether a turn waits for its reply or is being replied to."""
        return self._waiting is not None or self._reply is not None

    @property
    def is_speaking(self) -> bool:
        """Whether a reply is under way that nobody has interrupted."""
        return self._speaking is not None

    @property
    def is_engaged(self) -> bool:
        """Whether there is a reply to come, or under way, that nobody has interrupted."""
        return self._waiting is not None or self._speaking is not None

    @property
    def generator(self) -> Iterator[object] | AsyncIterator[object] | None:
        """What the user's function gave for the reply under way."""
        if self._waiting is not None:
            return self._waiting.generator
        return None if self._speaking is None else self._speaking.generator

    async def wait_until_ready(self) -> None:
        """Returns when there is a reply to begin, to step or to close. Costs nothing meanwhile."""
        await self._ready.wait()

    def take(self, turn: Turn) -> Turn:
        """Lets the caller's turn be answered, in place of whatever is being said.

        Returns:
            The turn with the sound of those before it that were never answered.
        """
        if self.is_engaged:
            self.interrupt()
        if self._carried is not None and turn.number:
            turn, self._carried = turn.after(self._carried), None
        self._waiting = turn
        self._ready.set()
        return turn

    def interrupt(self, *, is_silenced: bool = True) -> Turn | None:
        """Barge-in: ends the reply at once and drops what is queued of it.

        Args:
            is_silenced: If not, what is queued of it is still heard.

        Returns:
            The turn whose reply it was; ``None`` when none was under way.
        """
        turn, was_heard = self._waiting, False
        self._waiting = None
        if turn is None and self._speaking is not None:
            turn, was_heard = self._speaking.turn, self._speaking.has_begun
            self._speaking.interrupt()
        if turn is not None and turn.number and not was_heard:
            self._carried = turn.audio
        if is_silenced:
            self._silence()
        if turn is not None:
            self._call.event("interrupted", turn=turn.number)
        self._update()
        return turn

    async def step(self) -> Step:
        """The next item of the reply under way, or `FINISHED` when there is nothing to say.

        An error of the user's code is reported and ends the reply.
        """
        if self._reply is None:
            if self._waiting is None:
                return FINISHED
            self._reply, self._waiting = self._make_reply(self._waiting), None
        failed = False
        try:
            item = await self._reply.step()
        except Exception as error:  # noqa: BLE001 - this is where the user's code meets ours
            self._call.report(error)
            item, failed = FINISHED, True
        if item is FINISHED:
            await self._end(self._reply, failed=failed)
        return item

    async def close(self) -> None:
        """Ends the reply for good and waits until the user's code has cleaned up."""
        self._waiting = None
        if self._reply is not None:
            reply, self._reply = self._reply, None
            await self._close(reply)

    def let_go(self) -> None:
        """Drops where it led to, once the call is over: what comes later is answered no more."""
        self._make_reply = _refuse
        self._on_reply_over = _ignore
        self._silence = _ignore

    @property
    def _speaking(self) -> Reply | None:
        reply = self._reply
        return None if reply is None or reply.is_interrupted else reply

    async def _end(self, reply: Reply, *, failed: bool) -> None:
        await self._close(reply)
        self._reply = None
        if not reply.is_interrupted:
            self._call.end_reply()
            self._call.event("response_finished", turn=reply.turn.number, failed=failed)
        try:
            self._on_reply_over(reply.is_interrupted)
        except Exception as error:  # noqa: BLE001 - users override it
            self._call.report(error)
        self._update()

    async def _close(self, reply: Reply) -> None:
        try:
            await reply.close()
        except Exception as error:  # noqa: BLE001 - the user's clean-up
            self._call.report(error)

    def _update(self) -> None:
        if self.is_responding:
            self._ready.set()
        else:
            self._ready.clear()


def _refuse(_turn: Turn) -> Reply:
    raise ConnectionLost("the call ended")


def _ignore(*_: object) -> None:
    """What a call that is over makes of its news."""

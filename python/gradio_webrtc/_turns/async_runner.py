"""One async generator in one task, from its first step to its clean-up."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gradio_webrtc._workers.user_code import await_user_code
from gradio_webrtc._workers.watchdog import Expect

if TYPE_CHECKING:
    import contextvars
    from collections.abc import AsyncIterator, Awaitable


class Finished(enum.Enum):
    """The type of `FINISHED`, the one value that no generator can yield by accident."""

    TOKEN = 0


FINISHED: Final = Finished.TOKEN
"""What a step gives when there is no further item."""

_REFUSALS: Final = ("generator already executing", "generator is already running")

Step: TypeAlias = object | Literal[Finished.TOKEN]


class AsyncGeneratorTask:
    """Steps an async generator, all of it in one task of its own.

    Task groups, time-outs and cancel scopes that a generator holds across a ``yield`` belong to
    the task that entered them; a task for each step would break them.

    Args:
        generator: Of the user's.
        context: The task runs in it.
        label: What the log calls the generator.
        expect: Whether the watchdog names it when a step takes long.
    """

    def __init__(
        self,
        generator: AsyncIterator[object],
        context: contextvars.Context,
        label: str,
        expect: Expect = Expect.RETURN,
    ) -> None:
        self._expect = expect
        self._generator = generator
        self._label = label
        self._asked = asyncio.Event()
        self._answer: asyncio.Future[Step] | None = None
        self._interruption = asyncio.Event()
        self._is_closed = False
        self._task = asyncio.get_running_loop().create_task(self._drive(), context=context)

    async def step(self) -> Step:
        """The next item, or `FINISHED`."""
        if self._interruption.is_set() or self._task.done():
            return FINISHED
        self._answer = asyncio.get_running_loop().create_future()
        self._asked.set()
        try:
            item = await self._answer
        except asyncio.CancelledError:
            self.interrupt()
            raise
        # The two may meet in one turn of the loop: the interruption wins.
        return FINISHED if self._interruption.is_set() else item

    def interrupt(self) -> None:
        """Cancels the step in the middle, whose waiter gets `FINISHED` at once."""
        if not self._interruption.is_set():
            self._interruption.set()
            self._task.cancel()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(FINISHED)

    async def close(self) -> None:
        """Waits for the end of the task, and raises what the clean-up raised."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.wait({self._task})
        # A task that was cancelled before its first moment has not cleaned up.
        await self._clean_up()
        if not self._task.cancelled():
            self._task.result()

    async def _drive(self) -> None:
        try:
            while not self._interruption.is_set():
                await self._asked.wait()
                self._asked.clear()
                item = await await_user_code(
                    _anext(self._generator),
                    self._label,
                    self._expect,
                    root=getattr(self._generator, "awaited", self._generator),
                )
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(item)
                if item is FINISHED:
                    return
        except Exception as error:
            if self._answer is None or self._answer.done():
                raise
            self._answer.set_exception(error)
        finally:
            await self._clean_up()

    async def _clean_up(self) -> None:
        await await_user_code(close_async(self._generator), self._label, root=self._generator)


async def close_async(generator: AsyncIterator[object]) -> None:
    """Lets an async generator clean up; an iterator that is none has nothing to."""
    if not hasattr(generator, "aclose"):
        return
    try:
        await generator.aclose()
    except RuntimeError as error:
        if not is_in_use(error):
            raise


def is_in_use(error: Exception) -> bool:
    """Whether Python refused to step or close a generator that somebody else is closing.

    Subclasses close what they find in ``generator`` from a thread or task of their own.
    """
    traceback = error.__traceback__
    # An error of the generator's own brings a frame of it.
    is_refusal = traceback is not None and traceback.tb_next is None
    return is_refusal and any(str(error).endswith(end) for end in _REFUSALS)


async def _anext(generator: AsyncIterator[object]) -> Step:
    try:
        return await anext(generator, FINISHED)
    except RuntimeError as error:
        if is_in_use(error):
            return FINISHED
        raise


class OneShotIterator:
    """Something awaitable, as an async generator of one item.

    Attributes:
        awaited: The same, for whoever looks into what is waited for.
    """

    def __init__(self, awaitable: Awaitable[object]) -> None:
        self.awaited = awaitable
        self._awaitable: Awaitable[object] | None = awaitable

    def __aiter__(self) -> AsyncIterator[object]:
        return self

    async def __anext__(self) -> object:
        awaitable, self._awaitable = self._awaitable, None
        if awaitable is None:
            raise StopAsyncIteration
        return await awaitable

    async def aclose(self) -> None:
        """Lets go of what was not awaited."""
        # A coroutine that is dropped before its first step complains unless it is closed.
        close = getattr(self._awaitable, "close", None)
        if close is not None:
            close()
        self._awaitable = None

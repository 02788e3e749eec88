"""Stepping and closing what a user's function gives, sync or async, from the event loop.

Knows neither media nor calls: an item is any object.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import inspect
import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from gradio_webrtc._workers.user_code import (
    await_user_code,
    cancelled_from_within,
    describe_callable,
    is_async_callable,
    is_being_cancelled,
)
from gradio_webrtc._workers.watchdog import Expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gradio_webrtc._workers.workers import Worker


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


T = TypeVar("T")

Playable: TypeAlias = Iterator[object] | AsyncIterator[object]
"""What is stepped."""

SLOW_CLOSE_S: Final = 5.0
"""How long an interrupted step may hold up the next turn before the log names it. The longest
pause that people still take for thinking; the step is waited for all the same, since no thread
can be stopped from outside."""

_logger = logging.getLogger(__name__)


class CancellableWait:
    """Awaits one thing at a time, which `interrupt` cancels without cancelling the waiter.

    Every method is called on the event loop.
    """

    def __init__(self) -> None:
        self.is_interrupted = False
        self._future: asyncio.Future[Any] | None = None

    async def run(self, future: asyncio.Future[T]) -> T | Literal[Finished.TOKEN]:
        """What ``future`` gives, or `FINISHED` when it was interrupted, before or in the middle.

        Raises:
            Exception: Whatever ``future`` raises.
        """
        self._future = future
        if self.is_interrupted:
            future.cancel()
        try:
            result = await future
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            if self.is_interrupted:
                return FINISHED
            raise cancelled_from_within() from None
        finally:
            self._future = None
        return FINISHED if self.is_interrupted else result

    def interrupt(self) -> None:
        """Cancels what runs, for good: whatever is run here from now on is `FINISHED`."""
        self.is_interrupted = True
        if self._future is not None:
            self._future.cancel()


class GeneratorRunner:
    """One call of a user's function, stepped and closed from the event loop.

    A sync generator runs in ``worker``, in one context for all its steps; an async one on the
    loop, in one task. A plain function or a coroutine counts as a generator of one item.

    Args:
        fn: The user's function. What it needs besides ``args`` it has bound.
        args: Its positional arguments.
        worker: Where it runs when it blocks.
        generator: What the function gave already, so that it need not be called.

    Attributes:
        generator: What the function gave, once it was called.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[object, ...],
        worker: Worker,
        generator: Playable | None = None,
    ) -> None:
        self.generator = generator
        self._fn = fn
        self._args = args
        self._worker = worker
        self._label = describe_callable(fn if generator is None else generator)
        self._context = contextvars.copy_context()
        self._running = CancellableWait()
        self._driver: AsyncGeneratorTask | None = None

    async def step(self) -> Step:
        """The next item, or `FINISHED` when there is none or `interrupt` was called.

        Raises:
            Exception: Whatever the user's code raises; there is no further item then.
        """
        if self._running.is_interrupted:
            return FINISHED
        if self.generator is None and is_async_callable(self._fn):
            self.generator = as_generator(self._context.run(self._fn, *self._args))
        if self.generator is None:
            first = await self._running.run(self._in_worker(self._begin))
            # A sync function may still give something async.
            if first is FINISHED or not isinstance(self.generator, AsyncIterator):
                return first
        if isinstance(self.generator, AsyncIterator):
            if self._driver is None:
                label = self._worker.label(self._label)
                self._driver = AsyncGeneratorTask(
                    self.generator, self._context, label, self._worker.expect
                )
            return await self._driver.step()
        return await self._running.run(self._in_worker(_next, self.generator))

    def interrupt(self) -> None:
        """Ends the step in the middle: an async one is cancelled, a sync one goes on unheeded."""
        self._running.interrupt()
        if self._driver is not None:
            self._driver.interrupt()

    async def close(self) -> None:
        """Interrupts, waits for the step in the middle to end, and lets the user's code clean up.

        A wait of more than `SLOW_CLOSE_S` is told in a warning. Closing twice is fine.

        Raises:
            Exception: Whatever the user's clean-up raises.
        """
        self.interrupt()
        warning = asyncio.get_running_loop().call_later(SLOW_CLOSE_S, _warn_slow, self._label)
        try:
            if self._driver is not None:
                await self._driver.close()
                return
            if hasattr(self.generator, "close") or self._worker.is_busy:
                # Behind a step in the middle: the worker takes one job after the other.
                await self._in_worker(self._clean_up)
            if isinstance(self.generator, AsyncIterator):
                await await_user_code(close_async(self.generator), self._label)
        finally:
            warning.cancel()

    def _in_worker(self, fn: Callable[..., T], *args: object) -> asyncio.Future[T]:
        return self._worker.submit(self._context, self._label, fn, *args)

    # In the worker

    def _begin(self) -> Step:
        """Calls the function, and gives its first item unless it is async.

        Both in one job: each costs two changes of thread between a caller's pause and the answer.
        """
        self.generator = as_generator(self._fn(*self._args))
        return _next(self.generator) if isinstance(self.generator, Iterator) else None

    def _clean_up(self) -> None:
        if not isinstance(self.generator, Iterator):
            return
        generator, self.generator = self.generator, iter(())
        if hasattr(generator, "close"):
            try:
                generator.close()
            except ValueError as error:
                if not is_in_use(error):
                    raise


def _next(generator: Iterator[object]) -> Step:
    try:
        # With a default, `next` never raises StopIteration, which no future can carry.
        return next(generator, FINISHED)
    except ValueError as error:
        if is_in_use(error):
            return FINISHED
        raise


def as_playable(given: object) -> Playable:
    """What a program wants played in place of a function's answer.

    Args:
        given: Anything that can be iterated, sync or async, or awaited for one item.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(given, AsyncIterable):
        return aiter(given)
    # Sound is a tuple, which could be iterated, and an array too; neither is meant that way.
    is_item = isinstance(given, (str, bytes, Mapping)) or hasattr(given, "dtype")
    is_item = is_item or (isinstance(given, tuple) and isinstance(next(iter(given), None), int))
    if inspect.isawaitable(given):
        return OneShotIterator(given)
    if isinstance(given, Iterable) and not is_item:
        return iter(given)
    instead = "generator = iter([item])"
    if callable(given):
        instead = f"generator = {getattr(given, '__name__', 'fn')}()"
    raise TypeError(
        "generator is what is played: a generator, sync or async, any other iterator, or None to "
        f"end the answer under way; got {given!r:.100}: write self.{instead}"
    )


def as_generator(result: object) -> Playable:
    """What a user's function returned, as something to step: at worst as its one item."""
    if inspect.isawaitable(result):
        return OneShotIterator(result)
    return result if isinstance(result, (AsyncIterator, Iterator)) else iter((result,))


def _warn_slow(label: str) -> None:
    _logger.warning("%s was interrupted and has not returned since", label)

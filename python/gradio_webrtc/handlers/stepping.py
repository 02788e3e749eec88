"""Stepping and closing what a user's function gives, sync or async, from the event loop.

Knows neither media nor calls: an item is any object.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from gradio_webrtc.concurrency import describe_callable, is_async_callable

from .async_driver import (
    FINISHED,
    AsyncDriver,
    Finished,
    SingleItem,
    Step,
    cancelled_from_within,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gradio_webrtc.concurrency import Worker

T = TypeVar("T")

SLOW_CLOSE_S: Final = 5.0
"""How long an interrupted step may hold up the next turn before the log names it. The longest
pause that people still take for thinking; the step is waited for all the same, since no thread
can be stopped from outside."""

_logger = logging.getLogger(__name__)


class Interruptible:
    """Awaits one coroutine at a time, which `interrupt` cancels without cancelling the waiter.

    Every method is called on the event loop.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._interruption = asyncio.Event()

    async def run(self, coro: Coroutine[Any, Any, T]) -> T | Literal[Finished.TOKEN]:
        """What ``coro`` returns, or `FINISHED` when it was interrupted, before or in the middle.

        Args:
            coro: Runs in a task of its own.

        Raises:
            Exception: Whatever ``coro`` raises.
        """
        if self._interruption.is_set():
            coro.close()
            return FINISHED
        self._task = asyncio.get_running_loop().create_task(coro)
        try:
            result: T = await self._task
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            if self._interruption.is_set():
                return FINISHED
            raise cancelled_from_within() from None
        finally:
            self._task = None
        return FINISHED if self._interruption.is_set() else result

    def interrupt(self) -> None:
        """Cancels what runs, for good: whatever is run here from now on is `FINISHED`."""
        self._interruption.set()
        if self._task is not None:
            self._task.cancel()


class Stepper:
    """One call of a user's function, stepped and closed from the event loop.

    A sync generator runs in ``worker``, in one context for all its steps; an async one on the
    loop, in one task. A plain function or a coroutine counts as a generator of one item.

    Args:
        fn: The user's function. What it needs besides ``args`` it has bound.
        args: Its positional arguments.
        worker: Where it runs when it blocks.

    Attributes:
        generator: What the function gave, once it was called.
    """

    def __init__(self, fn: Callable[..., Any], args: tuple[object, ...], worker: Worker) -> None:
        self.generator: Iterator[object] | AsyncIterator[object] | None = None
        self._fn = fn
        self._args = args
        self._worker = worker
        self._label = describe_callable(fn)
        self._context = contextvars.copy_context()
        self._running = Interruptible()
        self._driver: AsyncDriver | None = None

    async def step(self) -> Step:
        """The next item, or `FINISHED` when there is none or `interrupt` was called.

        Raises:
            Exception: Whatever the user's code raises; there is no further item then.
        """
        if self.generator is None and await self._running.run(self._start()) is FINISHED:
            return FINISHED
        if self._driver is not None:
            return await self._driver.step()
        return await self._running.run(self._step_in_worker())

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
            await self._close()
        finally:
            warning.cancel()

    async def _start(self) -> None:
        """Calls the function; async code on the loop, anything else in the worker."""
        if is_async_callable(self._fn):
            result = self._context.run(self._fn, *self._args)
        else:
            result = await self._worker.run_in_context(
                self._context, self._label, self._fn, *self._args
            )
        if inspect.isawaitable(result):
            result = SingleItem(result)
        if isinstance(result, AsyncIterator):
            self._driver = AsyncDriver(result, self._context)
        elif not isinstance(result, Iterator):
            result = iter((result,))
        self.generator = result

    async def _step_in_worker(self) -> Step:
        # `next` with a default never raises StopIteration, which no future can carry.
        return await self._worker.run_in_context(
            self._context, self._label, next, self.generator, FINISHED
        )

    async def _close(self) -> None:
        if self._driver is not None:
            await self._driver.close()
            return
        generator, self.generator = self.generator, iter(())
        close = getattr(generator, "close", _nothing)
        if close is not _nothing or self._worker.is_busy:
            # Behind a step in the middle: the worker takes one job after the other.
            await self._worker.run_in_context(self._context, self._label, close)


def _nothing() -> None:
    pass


def _warn_slow(label: str) -> None:
    _logger.warning("%s was interrupted and has not returned since", label)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

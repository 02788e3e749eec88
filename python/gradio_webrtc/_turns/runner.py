"""Stepping and closing the results of user functions, sync or async, from the event loop.

Sync code runs in a `Worker`, async code in a task of its own. An item is any object: nothing here
depends on media or handlers, and of turns only whether the running one was dropped.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import inspect
import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import (
    await_user_code,
    cancelled_from_within,
    describe_callable,
    foreign_cancellation,
    guard,
    is_async_callable,
    is_being_cancelled,
)
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker

from .current_turn import current_turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .current_turn import Reporter

T = TypeVar("T")


class Finished(enum.Enum):
    """The type of `FINISHED`, the one value that no generator can yield by accident."""

    TOKEN = 0


FINISHED: Final = Finished.TOKEN
"""The result of a step when there is no further item."""

Step: TypeAlias = object | Literal[Finished.TOKEN]

Playable: TypeAlias = Iterator[object] | AsyncIterator[object]
"""Anything that can be stepped."""

SLOW_CLOSE_S: Final = 5.0
"""Seconds that an interrupted step may hold up the next turn before the log names it. The longest
pause that people still take for thinking; the step is waited for all the same, since no thread
can be stopped from outside."""

RELEASE_S: Final = 1.0
"""Seconds that the end of a session waits for the user's code to clean up: the time in which a
process is expected to end. Code that takes longer goes on by itself."""

_REFUSALS: Final = ("generator already executing", "generator is already running")
"""The ends of the messages with which CPython refuses a generator that is being stepped or closed;
there is no exception class for it."""

_logger = logging.getLogger(__name__)


class GeneratorRun:
    """One run of a user function in a session: the session gets its errors, and it ends in time.

    Every method is called on the event loop.

    Args:
        fn: A generator function, sync or async; a plain function gives one item. Parameters besides
            ``args`` are bound to it.
        args: Its positional arguments.
        session: Receives the exceptions of the function, as reports.
        worker: Runs the function if it blocks. Without one the run makes a thread of its own, in
            which the function may wait, and `close` ends it.
        generator: The result of the function, where it was called already.

    Attributes:
        has_failed: True once the function has raised.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[object, ...],
        session: Reporter,
        worker: Worker | None = None,
        generator: Playable | None = None,
    ) -> None:
        self.has_failed = False
        self._session = session
        self._own_worker = None
        if worker is None:
            worker = Worker(f"play-{session.webrtc_id[:8]}", expect=Expect.IDLE)
            self._own_worker = worker
        self._runner = GeneratorRunner(fn, args, worker, generator)

    @property
    def generator(self) -> Playable | None:
        """The result of the function, once it was called."""
        return self._runner.generator

    async def step(self) -> Step:
        """Returns the next item; `FINISHED` after the last, and after an error."""
        with guard(self._session.report):
            return await self._runner.step()
        self.has_failed = True
        return FINISHED

    def interrupt(self) -> None:
        """Ends the step under way at once, and every later one."""
        self._runner.interrupt()

    async def close(self, timeout_s: float | None = RELEASE_S) -> None:
        """Ends the run once the user's code has cleaned up; an error in that is reported.

        Args:
            timeout_s: The longest wait for it, in seconds; ``None`` for as long as it takes.
        """
        limit = asyncio.timeout(timeout_s)
        with guard(self._session.report):
            try:
                async with limit:
                    await self._runner.close()
            except TimeoutError:
                # The user's code may raise one, too.
                if not limit.expired():
                    raise
                _logger.debug("%s is left to return by itself", self._runner.label)
        if self._own_worker is not None:
            self._own_worker.close()


class GeneratorRunner:
    """One call of a user function, stepped and closed from the event loop.

    A sync generator runs in ``worker``, in one context for all its steps; an async one on the
    loop, in one task. A plain function or a coroutine counts as a generator of one item.

    Args:
        fn: The user's function. Parameters besides ``args`` are bound to it.
        args: Its positional arguments.
        worker: Runs it if it blocks.
        generator: The result of the function, where it was called already.

    Attributes:
        generator: The result of the function, once it was called.
        label: The name of the function, for the log.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[object, ...],
        worker: Worker,
        generator: Playable | None = None,
    ) -> None:
        self.generator = generator
        self.label = describe_callable(fn if generator is None else generator)
        self._job_label = worker.label(self.label)
        self._fn = fn
        self._args = args
        self._worker = worker
        self._context = contextvars.copy_context()
        self._running = CancellableWait()
        self._task: AsyncGeneratorTask | None = None

    async def step(self) -> Step:
        """Returns the next item, or `FINISHED` when there is none or `interrupt` was called.

        Raises:
            Exception: Whatever the user's code raises; there is no further item then.
        """
        if self._running.is_interrupted:
            return FINISHED
        if self.generator is None and is_async_callable(self._fn):
            self.generator = as_generator(self._context.run(self._fn, *self._args))
        if self.generator is None:
            first = await self._running.run(self._in_worker(self._begin))
            # A sync function may still return something async.
            if first is FINISHED or not isinstance(self.generator, AsyncIterator):
                return first
        if isinstance(self.generator, AsyncIterator):
            if self._task is None:
                self._task = AsyncGeneratorTask(
                    self.generator, self._context, self._job_label, self._worker.expect
                )
            return await self._task.step()
        return await self._running.run(self._in_worker(_next, self.generator))

    def interrupt(self) -> None:
        """Ends the step under way: an async one is cancelled, a sync one goes on unheeded."""
        self._running.interrupt()
        if self._task is not None:
            self._task.interrupt()

    async def close(self) -> None:
        """Interrupts, waits for the step under way to end, and lets the user's code clean up.

        A wait of more than `SLOW_CLOSE_S` is logged as a warning. Closing twice is fine.

        Raises:
            Exception: Whatever the user's clean-up raises.
        """
        self.interrupt()
        warning = asyncio.get_running_loop().call_later(SLOW_CLOSE_S, _warn_slow, self.label)
        try:
            if self._task is not None:
                await self._task.close()
                return
            if hasattr(self.generator, "close") or self._worker.is_busy:
                # Behind the step under way: the worker takes one job after the other.
                await self._in_worker(self._clean_up)
            if isinstance(self.generator, AsyncIterator):
                await await_user_code(close_async(self.generator), self.label)
        finally:
            warning.cancel()

    def _in_worker(self, fn: Callable[..., T], *args: object) -> asyncio.Future[T]:
        return self._worker.submit(self._context, self._job_label, _unless_dropped, fn, *args)

    # In the worker

    def _begin(self) -> Step:
        """Calls the function, and returns its first item unless it is async.

        Both in one job: each costs two switches of threads between a user's pause and the answer.
        """
        self.generator = as_generator(self._fn(*self._args))
        return _next(self.generator) if isinstance(self.generator, Iterator) else None

    def _clean_up(self) -> None:
        if not isinstance(self.generator, Iterator):
            return
        generator, self.generator = self.generator, iter(())
        close_sync(generator)


class AsyncGeneratorTask:
    """Steps an async generator, all of it in one task of its own.

    Task groups, time-outs and cancel scopes that a generator holds across a ``yield`` belong to
    the task that entered them; a task for each step would break them.

    Args:
        generator: The user's generator.
        context: The context variables of the task.
        label: The name of the generator in the log.
        expect: The behaviour that is expected of a step.
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
        self._tasks = TaskScope()
        self._task = self._tasks.start(self._drive(), context=context)
        self._task.add_done_callback(self._note_over)

    async def step(self) -> Step:
        """Returns the next item, or `FINISHED`.

        Raises:
            Exception: Whatever the generator raises.
            RuntimeError: The generator has cancelled its own task.
        """
        if self._interruption.is_set():
            return FINISHED
        if self._task.done():
            if (error := foreign_cancellation(self._task)) is not None:
                raise error
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
        """Cancels the step under way, whose waiter gets `FINISHED` at once."""
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
        # A task that was cancelled before its first step has not cleaned up.
        await self._clean_up()
        if not self._task.cancelled():
            self._task.result()

    def _note_over(self, task: asyncio.Task[None]) -> None:
        if self._answer is not None and not self._answer.done():
            error = foreign_cancellation(task)
            if error is not None:
                self._answer.set_exception(error)

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


class CancellableWait:
    """Awaits one thing at a time, which `interrupt` cancels without cancelling the waiter.

    Every method is called on the event loop.
    """

    def __init__(self) -> None:
        self.is_interrupted = False
        self._future: asyncio.Future[Any] | None = None

    async def run(self, future: asyncio.Future[T]) -> T | Literal[Finished.TOKEN]:
        """Returns the result of ``future``, or `FINISHED` if it was interrupted, before or during.

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
        """Cancels the future that is awaited, for good: every later one is `FINISHED`."""
        self.is_interrupted = True
        if self._future is not None:
            self._future.cancel()


class OneShotIterator:
    """An awaitable, as an async generator of one item.

    Attributes:
        awaited: The same, for code that inspects what is waited for.
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
        """Drops the awaitable if it was not awaited."""
        # A coroutine that is dropped before its first step warns unless it is closed.
        close = getattr(self._awaitable, "close", None)
        if close is not None:
            close()
        self._awaitable = None


def close_sync(generator: object) -> None:
    """Lets a generator clean up; a plain iterator has nothing to clean up.

    One in the middle of a step cannot be closed: dropping it closes it behind that.
    """
    if not hasattr(generator, "close"):
        return
    try:
        generator.close()
    except ValueError as error:
        if not is_in_use(error):
            raise


async def close_async(generator: object) -> None:
    """As `close_sync`, for an async generator."""
    if not hasattr(generator, "aclose"):
        return
    try:
        await generator.aclose()
    except RuntimeError as error:
        if not is_in_use(error):
            raise


def is_in_use(error: Exception) -> bool:
    """True if Python refused a generator because other code is stepping or closing it.

    Subclasses close what they find in ``generator`` from a thread or task of their own.
    """
    traceback = error.__traceback__
    # An error of the generator's own brings a frame of it.
    is_refusal = traceback is not None and traceback.tb_next is None
    return is_refusal and any(str(error).endswith(end) for end in _REFUSALS)


def _unless_dropped(fn: Callable[..., Any], *args: object) -> Any:
    """Calls ``fn``. What it raises for a turn that was dropped meanwhile is nobody's concern."""
    try:
        return fn(*args)
    except Exception as error:
        turn = current_turn.get()
        if turn is None or not turn.is_dropped:
            raise
        _logger.debug("an answer that was dropped has failed", exc_info=error)
        return FINISHED


def _next(generator: Iterator[object]) -> Step:
    try:
        # With a default, `next` never raises StopIteration, which no future can carry.
        return next(generator, FINISHED)
    except ValueError as error:
        if is_in_use(error):
            return FINISHED
        raise


async def _anext(generator: AsyncIterator[object]) -> Step:
    try:
        return await anext(generator, FINISHED)
    except RuntimeError as error:
        if is_in_use(error):
            return FINISHED
        raise


def as_playable(given: object) -> Playable:
    """Returns an iterator for what a program sets in place of a function's answer.

    Args:
        given: Anything that can be iterated, sync or async, or awaited for one item.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(given, AsyncIterable):
        return aiter(given)
    # Audio is a tuple, which could be iterated, and an array too; neither is meant that way.
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
        "expected a generator to play, sync or async, any other iterator, or None to end the "
        f"answer under way; got {given!r:.100}: write self.{instead}"
    )


def as_generator(result: object) -> Playable:
    """Returns the result of a user function as an iterator: at worst as its one item."""
    if inspect.isawaitable(result):
        return OneShotIterator(result)
    return result if isinstance(result, (AsyncIterator, Iterator)) else iter((result,))


def _warn_slow(label: str) -> None:
    _logger.warning("%s was interrupted and has not returned since", label)

"""User code called from the event loop: sync or async, called whole or stepped. Not: media.

Blocking code runs in a `Worker`, one daemon thread of one owner, so that a blocked caller holds
up neither another caller nor the end of the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import queue
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from .errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
P = ParamSpec("P")

MAX_WAITING_JOBS: Final = 8
"""Jobs a worker holds, the running one included. A session needs two (a step, then its close);
more means that a job is blocked for good and its owner has not noticed."""

BLOCKED_AFTER_S: Final = 1.0
"""How long a job may outlive its worker before the log names it: the time in which a process is
expected to end."""

_logger = logging.getLogger(__name__)
_jobs_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int] = (
    weakref.WeakKeyDictionary()
)
_left_behind: set[_Job] = set()


def jobs_in_flight(loop: asyncio.AbstractEventLoop) -> int:
    """How many jobs handed over by this loop have not come back; call on that loop.

    A clock that jumps over idle time (`testing`) needs to know whether anybody is still working.
    """
    return _jobs_of_loop.get(loop, 0)


def jobs_left_behind() -> int:
    """How many jobs of this process still run although their worker was closed."""
    return len(_left_behind)


def is_async_callable(fn: object) -> bool:
    """Whether calling ``fn`` gives a coroutine or an async generator, as far as can be told.

    Looks through partials, bound methods and objects with ``__call__``.
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not (inspect.isroutine(fn) or inspect.isclass(fn)):
        fn = getattr(fn, "__call__", fn)  # noqa: B004 - the method is wanted, not whether it exists
    return inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)


def describe_callable(fn: object) -> str:
    """The name to blame in a log line: qualified where there is one."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    module = getattr(fn, "__module__", None)
    return f"{module}.{name}" if module else str(name)


@dataclass(eq=False)
class _Job:
    """One call in a worker's thread, and the future that the event loop waits on."""

    call: Callable[[], Any]
    label: str
    future: asyncio.Future[Any]
    unfinished: list[_Job]
    has_returned: bool = False

    def run(self) -> None:
        """Runs the call; in the worker's thread."""
        result: object = None
        error: Exception | None = None
        try:
            result = self.call()
        except StopIteration as stop:
            # PEP 479: a StopIteration that crosses a call would end whoever iterates above it.
            error = RuntimeError(f"{self.label} raised StopIteration")
            error.__cause__ = stop
        except Exception as raised:  # noqa: BLE001 - delivered to whoever awaits the job
            error = raised
        except BaseException as raised:  # noqa: BLE001 - sys.exit() in a handler ends a turn, not the server
            error = RuntimeError(f"{self.label} raised {type(raised).__name__}")
            error.__cause__ = raised
        # Here and not where the outcome is delivered: a loop may close before it comes to that.
        # `leave_behind` looks in the other order, so one of the two sees the other's mark.
        self.has_returned = True
        _left_behind.discard(self)
        try:
            self.future.get_loop().call_soon_threadsafe(self._deliver, result, error)
        except RuntimeError:
            _logger.debug("%s came back after its event loop had closed", self.label)

    def leave_behind(self) -> None:
        """Counts the job for as long as it still runs; on the event loop."""
        _left_behind.add(self)
        if self.has_returned:
            _left_behind.discard(self)

    def _deliver(self, result: object, error: Exception | None) -> None:
        """Hands the outcome over; on the event loop."""
        loop = self.future.get_loop()
        _jobs_of_loop[loop] = jobs_in_flight(loop) - 1
        self.unfinished.remove(self)
        if self.future.cancelled():
            if isinstance(error, ConnectionLost):
                _logger.debug("%s was let go at the end of its call", self.label)
            elif error is not None:
                _logger.warning("%s failed after nobody waited for it", self.label, exc_info=error)
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        # A variable would keep the last job's arguments alive for as long as the thread idles.
        del job


class Worker:
    """One owner's blocking calls, one after the other, in a daemon thread started on first use.

    Every method is called on the event loop. The caller's context variables are carried into the
    thread. When the awaiting task is cancelled the job itself goes on: a thread cannot be stopped
    from outside; the next job starts when it has returned.

    Args:
        name: The thread's name, for logs and debuggers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unfinished: list[_Job] = []
        self._thread: threading.Thread | None = None
        # The thread knows the queue and not the worker, so a worker that nobody closed ends its
        # thread when it is collected.
        self._stop = weakref.finalize(self, self._jobs.put, None)
        self._stop.atexit = False

    @property
    def is_busy(self) -> bool:
        """Whether a job is running or waiting."""
        return bool(self._unfinished)

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``fn(*args, **kwargs)`` in the thread and waits for its outcome without polling.

        Returns:
            What ``fn`` returns.

        Raises:
            RuntimeError: The worker is closed, or ``MAX_WAITING_JOBS`` are waiting; also in place
                of StopIteration, SystemExit and KeyboardInterrupt raised by ``fn``.
            Exception: Whatever else ``fn`` raises.
        """
        call = functools.partial(fn, *args, **kwargs)
        return await self.submit(contextvars.copy_context(), describe_callable(fn), call)

    def submit(
        self, context: contextvars.Context, label: str, fn: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Like `run`, in ``context`` itself, so that what ``fn`` sets in it stays set.

        Args:
            context: Entered in the thread; in use nowhere else meanwhile.
            label: What the log calls the job.
            fn: What to run.
            *args: Its arguments.

        Returns:
            The outcome to come.

        Raises:
            RuntimeError: The worker is closed, or ``MAX_WAITING_JOBS`` are waiting.
        """
        if not self._stop.alive:
            raise RuntimeError(f"the worker {self._name} is closed and cannot run {label}")
        if len(self._unfinished) >= MAX_WAITING_JOBS:
            raise RuntimeError(f"the worker {self._name} is blocked in {self._unfinished[0].label}")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call = functools.partial(context.run, fn, *args)
        job = _Job(call, label, future, self._unfinished)
        _jobs_of_loop[loop] = jobs_in_flight(loop) + 1
        self._unfinished.append(job)
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            self._thread.start()
        self._jobs.put(job)
        return future

    def close(self) -> None:
        """Ends the thread once the jobs handed over have returned; does not wait for them.

        Jobs that still run `BLOCKED_AFTER_S` later are named in a warning and counted by
        `jobs_left_behind`. Closing twice is fine.
        """
        if self._stop() is None and not self._unfinished:
            return
        for job in self._unfinished:
            job.leave_behind()
            loop = job.future.get_loop()
            if not loop.is_closed():
                loop.call_later(BLOCKED_AFTER_S, _warn_if_blocked, self._name, job)


def _warn_if_blocked(worker: str, job: _Job) -> None:
    if job in _left_behind:
        _logger.warning(
            "%s has not returned; it keeps the thread %s for itself (%d such in this process)",
            job.label,
            worker,
            len(_left_behind),
        )


async def call_maybe_async(fn: Callable[..., Any], *args: object, worker: Worker) -> Any:
    """Calls ``fn(*args)`` wherever it belongs: async code here, anything else in ``worker``.

    An awaitable that sync code returns is awaited here too.

    Raises:
        Exception: Whatever ``fn`` raises.
    """
    result = fn(*args) if is_async_callable(fn) else await worker.run(fn, *args)
    return await result if inspect.isawaitable(result) else result


async def wait_for_item(queue: asyncio.Queue[T], timeout: float = 0.1) -> T | None:  # noqa: ASYNC109 - its predecessor's name
    """The next item of a queue, or ``None`` when there is none in time; loses no item.

    Args:
        queue: Filled by somebody else on this event loop.
        timeout: How long to wait, in seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            return await queue.get()
    except TimeoutError:
        return None

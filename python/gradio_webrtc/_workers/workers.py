"""User code called from the event loop, in a thread or where it belongs. Not: media.

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
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Never, ParamSpec, TypeVar

from gradio_webrtc.errors import ConnectionLost

from .user_code import (
    await_user_code,
    call_user_code,
    contained,
    describe_callable,
    is_async_callable,
    is_never_blocking,
)
from .watchdog import WATCHDOG, Expect, Wait, place_of_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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
_blocked: set[_Job] = set()
_named: set[tuple[str, str]] = set()

MAX_NAMED: Final = 1000
"""How many blocked places are remembered so as to name each of them once."""


def jobs_in_flight(loop: asyncio.AbstractEventLoop) -> int:
    """How many jobs handed over by this loop have not come back; call on that loop.

    A clock that jumps over idle time (`testing`) needs to know whether anybody is still working.
    """
    return _jobs_of_loop.get(loop, 0)


def orphaned_jobs() -> int:
    """How many jobs of this process still run although their worker was closed."""
    return len(_left_behind)


def threads_blocked() -> int:
    """How many threads user code keeps for itself, `BLOCKED_AFTER_S` after its call ended."""
    return len(_blocked)


@dataclass(eq=False)
class _Job:
    """One call in a worker's thread, and the future that the event loop waits on."""

    call: Callable[[], Any]
    label: str
    expect: Expect
    future: asyncio.Future[Any]
    unfinished: list[_Job]
    has_returned: bool = False
    thread: int = 0

    def run(self) -> None:
        """Runs the call; in the worker's thread."""
        result: object = None
        error: Exception | None = None
        self.thread = threading.get_ident()
        wait = WATCHDOG.begin(Wait(self.label, self.expect, self.thread))
        try:
            result = self.call()
        except BaseException as raised:  # noqa: BLE001 - delivered to whoever awaits the job
            error = contained(raised, self.label)
        finally:
            WATCHDOG.end(wait)
        # Here and not where the outcome is delivered: a loop may close before it comes to that.
        # `orphan` looks in the other order, so one of the two sees the other's mark.
        self.has_returned = True
        _left_behind.discard(self)
        _blocked.discard(self)
        try:
            self.future.get_loop().call_soon_threadsafe(self._deliver, result, error)
        except RuntimeError:
            _logger.debug("%s came back after its event loop had closed", self.label)

    def orphan(self) -> None:
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
            if isinstance(error, ConnectionLost) or self.expect is Expect.NOTHING:
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
        owner: Whose code runs here, such as a handler's class, for the log.
        expect: Whether the watchdog names a job that takes long.

    Attributes:
        expect: As given.
    """

    def __init__(self, name: str, owner: str = "", expect: Expect = Expect.RETURN) -> None:
        self._name = name
        self._owner = owner
        self.expect = expect
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unfinished: list[_Job] = []
        self._thread: threading.Thread | None = None
        # The thread knows the queue and not the worker, so a worker that nobody closed ends its
        # thread when it is collected.
        self._stop = weakref.finalize(self, self._jobs.put, None)
        self._stop.atexit = False

    def label(self, name: str) -> str:
        """The name of user code with its owner, for the log."""
        return f"{name} of {self._owner}" if self._owner else name

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
        job = _Job(call, self.label(label), self.expect, future, self._unfinished)
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
        `orphaned_jobs`. Closing twice is fine.
        """
        if self._stop() is None and not self._unfinished:
            return
        for job in self._unfinished:
            job.orphan()
        # The others wait for this one.
        for job in self._unfinished[:1]:
            loop = job.future.get_loop()
            if not loop.is_closed():
                loop.call_later(BLOCKED_AFTER_S, _warn_if_blocked, self._name, job)


def _warn_if_blocked(worker: str, job: _Job) -> None:
    """Counts a thread as blocked, and names the place where it is, once."""
    if job not in _left_behind:
        return
    _blocked.add(job)
    if job.has_returned:
        _blocked.discard(job)
        return
    place = place_of_thread(job.thread)
    is_known = (job.label, place) in _named
    if len(_named) >= MAX_NAMED:
        _named.clear()
    _named.add((job.label, place))
    _logger.log(
        logging.DEBUG if is_known else logging.WARNING,
        "%s has not returned; it keeps the thread %s for itself (%d such in this process)%s",
        job.label,
        worker,
        len(_left_behind),
        place,
    )


class UserFunction:
    """A function of the user's, called from the event loop wherever it belongs.

    Async code runs on the loop, anything else in ``worker``. An awaitable that sync code returns is
    awaited too.

    Args:
        fn: The function. One that is marked with `never_blocks` runs on the loop, unwatched.
        worker: Where it runs when it blocks; tells what is expected of it.
        inner: The user's function, where ``fn`` is one of ours around it.

    Attributes:
        is_async: Whether it runs on the event loop.
    """

    def __init__(
        self, fn: Callable[..., Any], worker: Worker, inner: Callable[..., Any] | None = None
    ) -> None:
        self.is_async = is_async_callable(fn)
        self._fn = fn
        self._worker = worker
        self._name = describe_callable(inner or fn)
        self._is_ours = is_never_blocking(fn)

    async def __call__(self, *args: object) -> Any:
        """What the function gives for these arguments.

        Raises:
            Exception: Whatever it raises; see `await_user_code`.
        """
        if self._is_ours:
            result = self._fn(*args)
            return await result if inspect.isawaitable(result) else result
        if self.is_async:
            result = call_user_code(self._fn, *args)
        else:
            call = functools.partial(self._fn, *args)
            result = await self._worker.submit(contextvars.copy_context(), self._name, call)
        if not inspect.isawaitable(result):
            return result
        label = self._worker.label(self._name)
        return await await_user_code(result, label, self._worker.expect)


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


class Done(Coroutine[Any, Never, T]):
    """An answer that is known already, for code that awaits it and for code that does not.

    Whatever takes a coroutine takes it, and nothing is warned of when nobody awaits it.
    """

    def __init__(self, answer: T) -> None:
        self._answer = answer

    def __bool__(self) -> bool:
        return bool(self._answer)

    def __repr__(self) -> str:
        return f"{self._answer}, which may be awaited"

    def __await__(self) -> Generator[Any, Any, T]:
        yield from ()
        return self._answer

    def send(self, _value: Never) -> Any:
        """The first step of the coroutine is its last."""
        raise StopIteration(self._answer)

    def throw(self, *error: Any) -> Never:
        """There is nothing in it that could catch an exception."""
        raise error[0]

    def close(self) -> None:
        """There is nothing to end."""

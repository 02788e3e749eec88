"""User code called from the event loop: async code on it, blocking code in a thread.

Blocking code runs in a `Worker`, one daemon thread of one owner, so that code that blocks holds up
neither another session nor the end of the process. Everything is called on the event loop, except
where a docstring names a thread. Must not import media, sessions or Gradio.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import queue
import threading
import time
import weakref
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Never, ParamSpec, TypeVar

from gradio_webrtc.errors import ConnectionLost

from .user_code import (
    WatchedFunction,
    await_user_code,
    call_on_loop,
    contained,
    describe_callable,
    is_async_callable,
    is_never_blocking,
    runs_nothing_when_called,
)
from .watchdog import WATCHDOG, Expect, Wait, enters_user_code, place_of_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")
P = ParamSpec("P")

MAX_WAITING_JOBS: Final = 8
"""Jobs that a worker holds, the running one included. A session needs two (a step, then its close);
more means that a job is blocked for good while its owner goes on."""

BLOCKED_AFTER_S: Final = 1.0
"""Seconds that a job may outlive its worker before the log names it: the time in which a process is
expected to end."""

MAX_NAMED: Final = 1000
"""Blocked places that are remembered so as to name each of them once. A bound, since a label and a
place may come from code that is generated."""

_logger = logging.getLogger(__name__)

# Of the whole process, and touched by threads and loops alike. Adding to a set and discarding from
# it are atomic, so no lock is needed.
_orphaned: set[_Job] = set()
_blocked: set[_Job] = set()
_named: set[tuple[str, str]] = set()


def orphaned_jobs() -> int:
    """Returns the number of jobs of this process that still run although their worker was closed.

    Any thread.
    """
    return len(_orphaned)


def threads_blocked() -> int:
    """Returns the number of threads that user code keeps busy `BLOCKED_AFTER_S` after its session.

    Any thread.
    """
    return len(_blocked)


@dataclass(eq=False, slots=True, kw_only=True)
class _Job(Wait):
    """One call in a worker's thread, and the future that the event loop waits on.

    It is its own entry for the watchdog: a second object for each of 100 jobs a second would hold
    the same label, expectation and thread.
    """

    call: Callable[[], Any]
    future: asyncio.Future[Any]
    unfinished: list[_Job]
    has_returned: bool = False

    @enters_user_code
    def run(self) -> None:
        """Runs the call; in the worker's thread."""
        result: object = None
        error: Exception | None = None
        self.thread = threading.get_ident()
        # The time in the queue was that of the job before it.
        self.began_s = time.monotonic()
        WATCHDOG.begin(self)
        try:
            result = self.call()
        except BaseException as raised:  # noqa: BLE001 - delivered to the awaiting task
            error = contained(raised, self.label)
        finally:
            WATCHDOG.end(self)
        # Here and not where the outcome is delivered: a loop may close before it comes to that.
        # `orphan` looks in the other order, so one of the two sees the other's mark.
        self.has_returned = True
        _orphaned.discard(self)
        _blocked.discard(self)
        self._on_loop(self._deliver, result, error)

    def _on_loop(self, act: Callable[..., object], *args: object) -> None:
        """Runs a function of ours on the event loop, soon; in the worker's thread."""
        try:
            self.future.get_loop().call_soon_threadsafe(act, *args)
        except RuntimeError:
            _logger.debug("%s returned after its event loop had closed", self.label)

    def orphan(self) -> None:
        """Counts the job for as long as it still runs; on the event loop."""
        _orphaned.add(self)
        if self.has_returned:
            _orphaned.discard(self)

    def _deliver(self, result: object, error: Exception | None) -> None:
        """Passes the outcome to the awaiting task; on the event loop."""
        self.unfinished.remove(self)
        if self.future.cancelled():
            if isinstance(error, ConnectionLost) or self.expect is Expect.NOTHING:
                _logger.debug("%s was released at the end of its session", self.label)
            elif error is not None:
                _logger.warning(
                    "%s failed when no task awaited it any more", self.label, exc_info=error
                )
        elif error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


@dataclass(eq=False, slots=True, kw_only=True)
class Series(_Job):
    """Calls of one function, one after the other, without the event loop between them.

    To pass a result to the loop and the next call to the thread wakes either, which takes longer
    than most functions do. `Worker.begin` starts the series, and again each time that it has ended
    because nothing was left to do.

    Attributes:
        context: The variables of the calls. Each has a copy, so that what it sets ends with it.
        take: Called in the thread; returns the arguments of the next call, or ``None`` if there is
            none, which ends the series with no word to the event loop.
        use: Called in the thread with each result; returns False for one that is the event loop's
            to use, which ends the series with this result of ``future``.
    """

    context: contextvars.Context
    take: Callable[[], tuple[Any, ...] | None]
    use: Callable[[Any], bool]

    @enters_user_code
    def run(self) -> None:
        """Runs the calls; in the worker's thread."""
        result: object = None
        error: Exception | None = None
        is_refused = self.has_returned = False
        self.thread = threading.get_ident()
        self.began_s = time.monotonic()
        WATCHDOG.begin(self)
        try:
            while not is_refused and (args := self.take()) is not None:
                # As `begin` and `end` around each, without their calls.
                self.began_s = time.monotonic()
                if self.was_looked_at:
                    self.was_looked_at = False
                    WATCHDOG.begin(self)
                result = self.context.copy().run(self.call, *args)
                is_refused = not self.use(result)
        except BaseException as raised:  # noqa: BLE001 - delivered to the awaiting task
            error = contained(raised, self.label)
        finally:
            WATCHDOG.end(self)
        self.has_returned = True
        _orphaned.discard(self)
        _blocked.discard(self)
        if is_refused or error is not None:
            self._on_loop(self._deliver, result, error)
        elif hasattr(self.future.get_loop(), "watch_jobs"):
            # The virtual clock waits for a job until the loop has seen its end.
            self._on_loop(self.unfinished.remove, self)
        else:
            self.unfinished.remove(self)


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        # A variable would keep the last job's arguments alive for as long as the thread idles.
        del job


class Worker:
    """One owner's blocking calls, one after the other, in a daemon thread started on first use.

    Every method is called on the event loop, and on the same one: a worker belongs to one. The
    context variables of the awaiting task are carried into the thread. When that task is cancelled
    the job itself goes on: a thread cannot be stopped from outside. The next job starts when it has
    returned.

    Args:
        name: The thread's name, for logs and debuggers.
        owner: The owner of the code, such as a handler's class, for the log.
        expect: The behaviour of the jobs, by which the watchdog decides to name one.

    Attributes:
        expect: As passed.
    """

    def __init__(self, name: str, owner: str = "", expect: Expect = Expect.RETURN) -> None:
        self._name = name
        self._owner = owner
        self.expect = expect
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unfinished: list[_Job] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False
        # The thread refers to the queue and not to the worker, so a worker that nobody closed ends
        # its thread when it is collected.
        self._stop = weakref.finalize(self, self._jobs.put, None)
        self._stop.atexit = False

    def label(self, name: str) -> str:
        """Returns the name of user code with its owner, as the log has it."""
        return f"{name} of {self._owner}" if self._owner else name

    @property
    def is_busy(self) -> bool:
        """True while a job is running or waiting."""
        return bool(self._unfinished)

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``fn(*args, **kwargs)`` in the thread and waits for its outcome without polling.

        Returns:
            The result of ``fn``.

        Raises:
            RuntimeError: The worker is closed, or ``MAX_WAITING_JOBS`` are waiting; also in place
                of StopIteration, SystemExit and KeyboardInterrupt raised by ``fn``.
            Exception: Whatever else ``fn`` raises.
        """
        call = functools.partial(fn, *args, **kwargs)
        label = self.label(describe_callable(fn))
        return await self.submit(contextvars.copy_context(), label, call)

    def submit(
        self, context: contextvars.Context, label: str, fn: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Like `run`, in ``context`` itself, so that what ``fn`` sets in it stays set.

        Args:
            context: Entered in the thread; in use nowhere else meanwhile.
            label: The job's name in the log. Made once by whoever calls often; see `label`.
            fn: The function.
            *args: Its positional arguments.

        Returns:
            A future for the outcome. Cancelling it does not stop the job.

        Raises:
            RuntimeError: The worker is closed, or ``MAX_WAITING_JOBS`` are waiting.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = _Job(
            label=label,
            expect=self.expect,
            call=functools.partial(context.run, fn, *args),
            future=future,
            unfinished=self._unfinished,
        )
        self.begin(job)
        return future

    def series(
        self,
        label: str,
        fn: Callable[..., Any],
        take: Callable[[], tuple[Any, ...] | None],
        use: Callable[[Any], bool],
    ) -> Series:
        """Returns a series of calls, which has not begun, with the current context variables.

        Args:
            label: The name of the calls in the log; see `label`.
            fn: The function.
            take: See `Series`.
            use: See `Series`.
        """
        return Series(
            label=label,
            expect=self.expect,
            call=fn,
            future=asyncio.get_running_loop().create_future(),
            unfinished=self._unfinished,
            context=contextvars.copy_context(),
            take=take,
            use=use,
        )

    def begin(self, job: _Job) -> None:
        """Runs a job of this worker, or a series that is not under way, behind those before it.

        Raises:
            RuntimeError: The worker is closed, or ``MAX_WAITING_JOBS`` are waiting.
        """
        if self._is_closed:
            raise RuntimeError(f"the worker {self._name} is closed and cannot run {job.label}")
        if len(self._unfinished) >= MAX_WAITING_JOBS:
            raise RuntimeError(f"the worker {self._name} is blocked in {self._unfinished[0].label}")
        self._unfinished.append(job)
        if self._thread is None:
            self._start(job.future.get_loop())
        self._jobs.put(job)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the thread."""
        # The virtual clock of `testing` must not move while a job is under way. It sees the list of
        # jobs, so that nothing has to be counted; other loops have no such method.
        watch_jobs = getattr(loop, "watch_jobs", None)
        if watch_jobs is not None:
            watch_jobs(self._unfinished)
        self._thread = threading.Thread(
            target=_work, args=(self._jobs,), name=self._name, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Ends the thread once the jobs handed over have returned; does not wait for them.

        Jobs that still run `BLOCKED_AFTER_S` later are named in a warning and counted by
        `orphaned_jobs`. Closing twice is fine.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._stop()
        # A copy, since a series that comes to its end removes itself.
        unfinished = [*self._unfinished]
        for job in unfinished:
            job.orphan()
        # The first one alone can be blocked: the others wait for it.
        for job in unfinished[:1]:
            loop = job.future.get_loop()
            if not loop.is_closed():
                loop.call_later(BLOCKED_AFTER_S, _warn_if_blocked, self._name, job)


def _warn_if_blocked(worker: str, job: _Job) -> None:
    """Counts a thread as blocked, and names the place where it is, once."""
    if job not in _orphaned:
        return
    _blocked.add(job)
    # In this order, for the reason that `_Job.run` gives.
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
        "%s has not returned and keeps the thread %s busy (%d such in this process)%s",
        job.label,
        worker,
        len(_orphaned),
        place,
    )


class UserFunction:
    """A function of the user's, called from the event loop wherever it belongs.

    Async code runs on the loop, anything else in ``worker``. An awaitable that sync code returns is
    awaited too. Calls come 50 times a second for each direction of a session, so all that does not
    depend on the arguments is decided here, once.

    Args:
        fn: The function. One that is marked with `never_blocks` runs on the loop, unwatched.
        worker: Runs it where it blocks; its ``expect`` counts for async code, too.
        inner: The user's function, where ``fn`` is one of ours around it.

    Attributes:
        is_async: True if the function runs on the event loop.
        is_blocking: True if it runs in the worker's thread.
        on_loop: The function where it is async and not one of ours, for a pump that calls it with
            every packet: calls are the same, and cost less.
    """

    def __init__(
        self, fn: Callable[..., Any], worker: Worker, inner: Callable[..., Any] | None = None
    ) -> None:
        self.is_async = is_async_callable(fn)
        self._fn = fn
        self._worker = worker
        self._label = worker.label(describe_callable(inner or fn))
        self._is_ours = is_never_blocking(fn)
        self.is_blocking = not (self.is_async or self._is_ours)
        self.on_loop: WatchedFunction | None = None
        if self.is_async and not self._is_ours:
            runs_nothing = runs_nothing_when_called(fn)
            begin = fn if runs_nothing else functools.partial(call_on_loop, self._label, fn)
            self.on_loop = WatchedFunction(begin, self._label, worker.expect)

    async def __call__(self, *args: object) -> Any:
        """Returns the function's result for these arguments.

        Raises:
            Exception: Whatever the function raises; see `await_user_code`.
        """
        if self._is_ours:
            result = self._fn(*args)
            return await result if inspect.isawaitable(result) else result
        if self.on_loop is not None:
            return await self.on_loop(*args)
        # A copy, since a context cannot be entered in two threads at once, and since variables that
        # user code sets are to end with the call. It shares its content with the original: no more
        # than an allocation.
        context = contextvars.copy_context()
        result = await self._worker.submit(context, self._label, self._fn, *args)
        # The usual results first: to ask the abstract classes takes longer than all of this.
        if result is None or isinstance(result, tuple) or not inspect.isawaitable(result):
            return result
        return await await_user_code(result, self._label, self._worker.expect)

    def series(
        self, take: Callable[[], tuple[Any, ...] | None], use: Callable[[Any], bool]
    ) -> Series:
        """Returns a series of calls of a function that `is_blocking`; see `Series`."""
        return self._worker.series(self._label, self._fn, take, use)

    def begin(self, series: Series) -> None:
        """Starts a series that is not under way; see `Worker.begin`."""
        self._worker.begin(series)

    async def refused_by(self, series: Series) -> Any:
        """Returns the result with which a series has ended.

        Raises:
            Exception: Whatever the function raises; see `await_user_code`.
        """
        result = await series.future
        if result is None or isinstance(result, tuple) or not inspect.isawaitable(result):
            return result
        return await await_user_code(result, self._label, self._worker.expect)


async def wait_for_item(queue: asyncio.Queue[T], timeout: float = 0.1) -> T | None:  # noqa: ASYNC109 - fastrtc's name
    """Returns the next item of a queue, or ``None`` if there is none in time; loses no item.

    Call on the event loop.

    Args:
        queue: Filled by other code on this event loop.
        timeout: The longest wait, in seconds; 0 for not at all.

    Returns:
        The item, which has been taken off the queue.

    Example:
        >>> async def emit(self):
        ...     return await wait_for_item(self.queue)
    """
    try:
        async with asyncio.timeout(timeout):
            return await queue.get()
    except TimeoutError:
        return None


class Done(Coroutine[Any, Never, T]):
    """A result that exists already, for code that awaits it and for code that does not.

    It can be passed wherever a coroutine can. Python warns of a coroutine that was never awaited,
    and not of this.

    Args:
        answer: The result.
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
        """Ends the coroutine with the result: its first step is its last."""
        raise StopIteration(self._answer)

    def throw(self, *error: Any) -> Never:
        """Raises the exception: there is nothing in it that could catch one."""
        raise error[0]

    def close(self) -> None:
        """Does nothing: there is nothing to end."""

"""User code where it meets ours on the event loop: watched, and unable to steer what is above it.

What runs it in a thread, or wherever it belongs, is in `concurrency`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, Self, TypeVar

from .watchdog import WATCHDOG, Expect, Wait, is_own_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

CALLBACK_POSITIONS: Final = {"call_later": 1, "call_at": 1, "call_soon_threadsafe": 0}
"""Methods of event loops, and which of their arguments is the callback."""

ASYNCIO: Final = f"{os.sep}asyncio{os.sep}"

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound="Callable[..., Any]")


def never_blocks(fn: F) -> F:
    """Marks a function of ours that may run on the event loop, within microseconds or awaiting.

    An override of it in a subclass is not marked, since it is another function.
    """
    vars(fn)["never_blocks"] = True
    return fn


def is_never_blocking(fn: object) -> bool:
    """Whether this is a function of ours that `never_blocks`, bound or not."""
    return getattr(fn, "never_blocks", False) is True


def is_async_callable(fn: object) -> bool:
    """Whether calling ``fn`` gives a coroutine or an async generator, as far as can be told.

    Looks through partials, bound methods and objects with ``__call__``.
    """
    fn = _unwrap(fn)
    return inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)


def runs_nothing_when_called(fn: object) -> bool:
    """True if calling ``fn`` runs none of its code: it was written with ``async def``.

    A sync function can be marked as a coroutine function (``inspect.markcoroutinefunction``), and
    does run when it is called.
    """
    code = getattr(_unwrap(fn), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))


def _unwrap(fn: object) -> object:
    """Returns the function behind partials, or behind an object that can be called."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not (inspect.isroutine(fn) or inspect.isclass(fn)):
        fn = getattr(fn, "__call__", fn)  # noqa: B004 - the method is wanted, not whether it exists
    return fn


def describe_callable(fn: object) -> str:
    """The name to blame in a log line: qualified where there is one."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    module = getattr(fn, "__module__", None)
    return f"{module}.{name}" if module else str(name)


def contained(raised: BaseException, label: str) -> Exception:
    """The error of user code as one that steers nothing above it.

    ``sys.exit()`` in a handler ends a turn, not the server; and a StopIteration that crosses a call
    would end whoever iterates there (PEP 479).
    """
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = RuntimeError(f"{label} raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


def cancelled_from_within() -> RuntimeError:
    """What takes the place of a CancelledError that nobody outside asked for."""
    return RuntimeError("the function was cancelled from within, and has no more to say")


def is_being_cancelled() -> bool:
    """Whether the running task is to end, even if the code it awaited has swallowed that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class guard:  # noqa: N801 - read as a statement: `with guard(report):`
    """The edge between user code and ours: reports what the block raises, and goes on behind it.

    Cancellation and the end of the process pass. Any thread.

    Args:
        report: Called with the exception.

    Attributes:
        error: The exception that was raised; ``None`` without one.

    Example:
        >>> with guard(print) as guarded:
        ...     raise ValueError("of the user's")
        of the user's
        >>> guarded.error
        ValueError("of the user's")
    """

    __slots__ = ("_report", "error")

    def __init__(self, report: Callable[[Exception], object]) -> None:
        self._report = report
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        self._report(error)
        return True


class WatchedCoroutine(Coroutine[Any, Any, Any]):
    """User code that the watchdog sees each step of, and that cannot end the event loop.

    Args:
        awaitable: Of the user's.
        label: What the log calls it.
    """

    __slots__ = ("_advance", "_awaitable", "_label", "_steps")

    def __init__(self, awaitable: Awaitable[Any], label: str) -> None:
        self._awaitable = awaitable
        self._label = label
        self._steps = steps = awaitable.__await__()
        # Any iterator will do for an awaitable, and most of those have no `send`. The substitute
        # does not refer to this object, which is to be freed when it is over.
        self._advance = getattr(steps, "send", None) or (lambda _value: next(steps))

    def __await__(self) -> Generator[Any, Any, Any]:
        # An iterator is enough, and asks for no frame of its own as a generator would.
        return self

    def __next__(self) -> Any:
        return self._step(self._advance, None)

    def __getattr__(self, name: str) -> Any:
        # Debuggers, and libraries that look into tasks, find the coroutine that it stands for.
        return getattr(self._awaitable, name)

    def send(self, value: Any) -> Any:
        """Runs the code until it waits again."""
        return self._step(self._advance, value)

    def throw(self, *error: Any) -> Any:
        """Goes on with an exception raised where the code waits, such as its cancellation."""
        try:
            return self._step(getattr(self._steps, "throw", self._fail), *error)
        finally:
            # An error refers to where it was raised, and that to the error, if it keeps it.
            del error

    def close(self) -> None:
        """Ends the code where it waits."""
        getattr(self._steps, "close", lambda: None)()

    def _step(self, advance: Callable[..., Any], *args: Any) -> Any:
        step = WATCHDOG.enter(self._label)
        try:
            return advance(*args)
        except (Exception, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as raised:
            raise contained(raised, self._label) from raised
        finally:
            WATCHDOG.leave(step)
            del args

    def _fail(self, *error: Any) -> NoReturn:
        raise error[0] if isinstance(error[0], BaseException) else error[1] or error[0]()


def contain_user_code(
    loop: asyncio.AbstractEventLoop, is_in_call: Callable[[contextvars.Context], bool]
) -> None:
    """Contains the tasks, timers and calls from threads that user code starts in a call.

    asyncio lets SystemExit and KeyboardInterrupt of any of them end the loop, and with it a server
    with all its calls. Libraries that a handler uses are contained with it, for they run its
    callbacks; what carries the media is not, nor is anything outside of calls. Does its work once
    for each loop.

    Args:
        loop: Whose task factory and timers are wrapped. `call_soon` is not, which runs at every
            step of every task.
        is_in_call: Tells contexts of calls from all others.
    """
    inner: Any = loop.get_task_factory()
    if getattr(inner, "contains_user_code", False):
        return
    make: Any = inner or _make_task

    def make_contained(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        context = options.get("context") or contextvars.copy_context()
        code = getattr(coro, "cr_code", None)
        if code is not None and not _carries_media(code.co_filename) and is_in_call(context):
            coro = WatchedCoroutine(coro, describe_callable(coro))
        return make(loop, coro, **options)

    make_contained.contains_user_code = True  # type: ignore[attr-defined]  # read above
    loop.set_task_factory(make_contained)
    for name, position in CALLBACK_POSITIONS.items():
        setattr(loop, name, _containing(getattr(loop, name), position, is_in_call))


def _containing(
    schedule: Callable[..., Any], position: int, is_in_call: Callable[[contextvars.Context], bool]
) -> Callable[..., Any]:
    """Wraps a method of a loop that takes a callback at a position of its arguments."""

    @functools.wraps(schedule)
    def schedule_contained(*args: Any, context: contextvars.Context | None = None) -> Any:
        callback: Any = args[position] if len(args) > position else None
        if not _is_harmless(callback) and is_in_call(context or contextvars.copy_context()):
            callback = functools.partial(call_user_code, callback)
            args = (*args[:position], callback, *args[position + 1 :])
        return schedule(*args, context=context)

    return schedule_contained


def _is_harmless(callback: object) -> bool:
    """True for callbacks of asyncio's own, such as those that wake a task, and of the media's."""
    if callback is None:
        return True
    code = getattr(callback, "__code__", None)
    return code is not None and (ASYNCIO in code.co_filename or _carries_media(code.co_filename))


def _carries_media(file: str) -> bool:
    """True for source of ours and of the libraries under it, which run for every packet."""
    return is_own_file(file) or "aiortc" in file or "aioice" in file


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


async def await_user_code(
    awaitable: Awaitable[T],
    label: str,
    expect: Expect = Expect.RETURN,
    root: AsyncIterator[object] | None = None,
) -> T:
    """Awaits user code on the event loop, watched, so that whatever it raises is an Exception.

    Args:
        awaitable: Of the user's.
        label: What the log calls it.
        expect: Whether the watchdog names it when it takes long.
        root: The async generator whose next item is awaited, for the watchdog to look into.

    Raises:
        RuntimeError: In place of SystemExit, KeyboardInterrupt and their like, and of a
            CancelledError that came from within.
        CancelledError: The running task is being cancelled.
        Exception: Whatever else the code raises.
    """
    loop = asyncio.get_running_loop()
    wait = WATCHDOG.begin(Wait(label, expect, awaitable=root or awaitable, loop=loop))
    try:
        return await WatchedCoroutine(awaitable, label)  # type: ignore[no-any-return]  # `cast` is a call
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
        raise cancelled_from_within() from None
    finally:
        WATCHDOG.end(wait)


def call_user_code(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls user code where it is, so that what it raises is an Exception; watched on a loop.

    Raises:
        Exception: As with `await_user_code`.
    """
    label = describe_callable(fn)
    if _is_on_loop():
        return call_on_loop(label, fn, *args, **kwargs)
    try:
        return fn(*args, **kwargs)
    except Exception:
        raise
    except BaseException as raised:
        raise contained(raised, label) from raised


def call_on_loop(label: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `call_user_code`, on the event loop and under a name that the caller has made before.

    Raises:
        Exception: As with `await_user_code`.
    """
    step = WATCHDOG.enter(label)
    try:
        return fn(*args, **kwargs)
    except Exception:
        raise
    except BaseException as raised:
        raise contained(raised, label) from raised
    finally:
        WATCHDOG.leave(step)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

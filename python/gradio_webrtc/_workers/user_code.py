"""User code at its edge to ours: watched on the event loop, and unable to steer what is above it.

Exceptions that would end the server or an iteration become errors here, blocking steps get their
label for the watchdog, and `guard` reports what remains. `workers` decides where user code runs.
Runs on the event loop, except where a docstring names a thread. Must not import media, sessions or
Gradio.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import time
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from .watchdog import WATCHDOG, Expect, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

CALLBACK_POSITIONS: Final = {"call_later": 1, "call_at": 1, "call_soon_threadsafe": 0}
"""Methods of event loops, and the position of the callback among their arguments."""

MEDIA_PACKAGES: Final = frozenset({__name__.partition(".")[0], "aiortc", "aioice"})
"""The packages whose tasks and timers run for every packet: ours, and the libraries that carry
media. They are recognised by name, since their functions bear no mark of ours and no module but
the transport may import them. The name is the import system's, of the module in which a function
was written. A path would not do: a user's program may be in a folder called ``aiortc-demo``."""

HARMLESS_PACKAGES: Final = MEDIA_PACKAGES | {"asyncio"}
"""The packages whose callbacks are no user code: asyncio's own wake tasks."""

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
    """True for a function of ours that is marked with `never_blocks`, bound or not."""
    return getattr(fn, "never_blocks", False) is True


def is_async_callable(fn: object) -> bool:
    """True if calling ``fn`` returns a coroutine or an async generator, as far as can be seen.

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


def unwrap_partial(fn: object) -> object:
    """Returns what is behind partials: the callable that they bind arguments of. Any thread."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _unwrap(fn: object) -> object:
    """Returns the function behind partials, or behind an object that can be called."""
    fn = unwrap_partial(fn)
    if not (inspect.isroutine(fn) or inspect.isclass(fn)):
        fn = getattr(fn, "__call__", fn)  # noqa: B004 - the method is needed, not whether it exists
    return fn


def describe_callable(fn: object) -> str:
    """Returns the name that the log has for a callable: qualified, where it has such a name.

    Any thread.
    """
    fn = unwrap_partial(fn)
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    module = getattr(fn, "__module__", None)
    return f"{module}.{name}" if module else str(name)


def contained(raised: BaseException, label: str) -> Exception:
    """Returns the error of user code as one that steers nothing above it; any thread.

    ``sys.exit()`` in a handler ends a turn, not the server. A StopIteration that leaves a function
    would end the loop that happens to iterate above it (PEP 479).

    Args:
        raised: Anything that user code raised.
        label: The code's name in the log.

    Returns:
        ``raised`` itself if it is an ordinary Exception, else a RuntimeError whose ``__cause__`` it
        is.
    """
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = RuntimeError(f"{label} raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


def cancelled_from_within() -> RuntimeError:
    """Returns the substitute for a CancelledError that nothing outside the user's code caused."""
    return RuntimeError("the function was cancelled from within and gives nothing more")


def foreign_cancellation(task: asyncio.Task[Any]) -> Exception | None:
    """Returns the error of a task that was cancelled and is over, for an owner that did not ask.

    Args:
        task: Is over, by its cancellation, or as code that saw it and went no further.

    Returns:
        The error, whose ``__cause__`` has the place where the cancellation was raised, if it was;
        ``None`` for a task that was never cancelled, and one that has failed with another error.
    """
    if not task.cancelled() and (task.exception() is not None or not task.cancelling()):
        return None
    error = RuntimeError(
        "a task of the session was cancelled, and not by the session: the code that ran in it, or "
        "another part of the program, called cancel() of asyncio.current_task()"
    )
    try:
        task.result()
    except asyncio.CancelledError as cancelled:
        error.__cause__ = cancelled
    try:
        return error
    finally:
        # The cause refers to this frame.
        del error


def running_task() -> asyncio.Task[Any]:
    """Returns the running task, for code that asks it often whether it is being cancelled.

    Raises:
        RuntimeError: No task is running.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("expected a running task, found none")
    return task


def is_being_cancelled() -> bool:
    """True if the running task is to end, even if the code it awaited has swallowed that."""
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
    """User code whose every step the watchdog sees, and that cannot end the event loop.

    Args:
        awaitable: The user's.
        label: The code's name in the log.
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
        # Debuggers, and libraries that look into tasks, find the user's coroutine.
        return getattr(self._awaitable, name)

    def send(self, value: Any) -> Any:
        """Runs the code until it waits again."""
        return self._step(self._advance, value)

    def throw(self, *error: Any) -> Any:
        """Goes on with an exception raised where the code waits, such as its cancellation."""
        try:
            return self._step(getattr(self._steps, "throw", self._fail), *error)
        finally:
            # An error refers to the frames it passed, and this one to the error: a cycle, which
            # would keep everything in it until the next garbage collection.
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

    def _fail(
        self, kind: Any, error: BaseException | None = None, _traceback: object = None
    ) -> Any:
        # Of the three arguments that `throw` had before Python 3.12, the first alone may be there.
        raise kind if error is None else error


class WatchedFunction:
    """An async function of the user's: each step is watched, and what it raises is an Exception.

    It is called 50 times a second for each direction of a session. Therefore one generator is all
    that is resumed between the task and the user's coroutine, it writes the watchdog's marks
    itself, and code that never waits leaves no other object.

    Args:
        fn: The function. What it returns without being awaitable is the result.
        label: The code's name in the log.
        expect: The expected behaviour, by which the watchdog decides to name it when it takes long.
        root: The object for the watchdog to look into; by default the function's coroutine.

    Attributes:
        suspensions: Grows whenever the code waits, which lets the event loop turn.
    """

    __slots__ = ("_expect", "_fn", "_label", "_root", "suspensions")

    def __init__(
        self,
        fn: Callable[..., Any],
        label: str,
        expect: Expect = Expect.RETURN,
        root: object = None,
    ) -> None:
        self.suspensions = 0
        self._fn = fn
        self._label = label
        self._expect = expect
        self._root = root

    @types.coroutine
    def __call__(self, *args: object) -> Generator[Any, Any, Any]:
        """Returns the function's result for these arguments; to be awaited.

        Raises:
            RuntimeError: In place of SystemExit, KeyboardInterrupt, GeneratorExit and their like,
                and of a CancelledError that came from within.
            CancelledError: The running task is being cancelled.
            Exception: Whatever else the function raises.
        """
        coroutine = self._fn(*args)
        if type(coroutine) is not types.CoroutineType:
            return (yield from self._finish(coroutine))
        marks, wait, is_closed = WATCHDOG.here.marks, None, False
        advance, argument = coroutine.send, None
        try:
            while True:
                # As `enter` and `leave` around each step, without their calls.
                outer, marks.label = marks.label, self._label
                marks.began_s = time.monotonic()
                if not marks.is_watched:
                    WATCHDOG.watch(marks)
                try:
                    awaited = advance(argument)
                finally:
                    # An error refers to the frames that it passed, and may be the argument.
                    marks.label, argument = outer, None
                self.suspensions += 1
                wait = wait or self._begin_wait(coroutine, marks.began_s)
                advance = coroutine.send
                try:
                    argument = yield awaited
                except GeneratorExit:
                    is_closed = True
                    coroutine.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - raised where the code waits
                    advance, argument = coroutine.throw, error
        except StopIteration as end:
            return end.value
        except BaseException as raised:
            substitute = _substitute(raised, self._label)
            # Whoever closes a coroutine expects the GeneratorExit that it was closed with.
            if substitute is None or (is_closed and isinstance(raised, GeneratorExit)):
                raise
            raise substitute from substitute.__cause__
        finally:
            WATCHDOG.waits.discard(wait)

    @types.coroutine
    def _finish(self, result: Any) -> Generator[Any, Any, Any]:
        """Returns what the function has returned, after awaiting it if it is some awaitable."""
        # The usual results first: to ask the abstract classes takes longer than all of this.
        if result is None or isinstance(result, tuple) or not inspect.isawaitable(result):
            return result
        return (yield from await_user_code(result, self._label, self._expect, self._root))

    def _begin_wait(self, coroutine: object, began_s: float) -> Wait:
        """Notes that the session waits for a call, which may have to be named one day."""
        loop = asyncio.get_running_loop()
        awaited = coroutine if self._root is None else self._root
        wait = Wait(self._label, self._expect, awaitable=awaited, loop=loop, began_s=began_s)
        return WATCHDOG.begin(wait)


def _substitute(raised: BaseException, label: str) -> Exception | None:
    """Returns the error in place of what async code has raised, unless that can stay as it is."""
    if isinstance(raised, asyncio.CancelledError):
        return None if is_being_cancelled() else cancelled_from_within()
    if isinstance(raised, Exception):
        return None
    return contained(raised, label)


def contain_user_code(
    loop: asyncio.AbstractEventLoop, is_in_session: Callable[[contextvars.Context], bool]
) -> None:
    """Contains the tasks, timers and calls from threads that user code starts in a session.

    asyncio lets SystemExit and KeyboardInterrupt of any of them end the loop, and with it a server
    with all its sessions. Libraries that a handler uses are contained with it, for they run its
    callbacks. The packages that carry the media are not, nor is anything outside of sessions. Does
    its work once for each loop.

    Args:
        loop: The loop whose task factory and timers are wrapped. `call_soon` is not, which runs at
            every step of every task.
        is_in_session: True for the contexts of sessions.
    """
    inner: Any = loop.get_task_factory()
    if getattr(inner, "contains_user_code", False):
        return
    make: Any = inner or _make_task

    def make_contained(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        frame = getattr(coro, "cr_frame", None)
        if frame is not None and _package_of(frame.f_globals) not in MEDIA_PACKAGES:
            context = options.get("context")
            if is_in_session(contextvars.copy_context() if context is None else context):
                coro = WatchedCoroutine(coro, describe_callable(coro))
        return make(loop, coro, **options)

    # An attribute, since the loop holds nothing else by which a second session finds the first.
    make_contained.contains_user_code = True  # type: ignore[attr-defined]
    loop.set_task_factory(make_contained)
    for name, position in CALLBACK_POSITIONS.items():
        setattr(loop, name, _containing(getattr(loop, name), position, is_in_session))


def _containing(
    schedule: Callable[..., Any],
    position: int,
    is_in_session: Callable[[contextvars.Context], bool],
) -> Callable[..., Any]:
    """Wraps a method of a loop that takes a callback at a position of its arguments."""

    @functools.wraps(schedule)
    def schedule_contained(*args: Any, context: contextvars.Context | None = None) -> Any:
        callback: Any = args[position] if len(args) > position else None
        # Several times a packet: what was found harmless once is found by its code.
        if getattr(callback, "__code__", None) in _harmless_code:
            return schedule(*args, context=context)
        if not _is_harmless(callback) and is_in_session(
            contextvars.copy_context() if context is None else context
        ):
            callback = functools.partial(call_user_code, callback)
            args = (*args[:position], callback, *args[position + 1 :])
        return schedule(*args, context=context)

    return schedule_contained


_harmless_code: set[object] = set()
"""The code of functions that `_is_harmless` found: at most as many as those packages have."""


def _is_harmless(callback: object) -> bool:
    """True for callbacks that are no user code, such as those that wake a task."""
    if callback is None:
        return True
    namespace = getattr(callback, "__globals__", None)
    is_harmless = namespace is not None and _package_of(namespace) in HARMLESS_PACKAGES
    if is_harmless and (code := getattr(callback, "__code__", None)) is not None:
        _harmless_code.add(code)
    return is_harmless


def _package_of(namespace: Mapping[str, Any]) -> str:
    """Returns the top package of the module with these globals."""
    return str(namespace.get("__name__", "")).partition(".")[0]


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


async def await_user_code(
    awaitable: Awaitable[T],
    label: str,
    expect: Expect = Expect.RETURN,
    root: object = None,
) -> T:
    """Awaits user code on the event loop, watched, so that whatever it raises is an Exception.

    Args:
        awaitable: The user's.
        label: The code's name in the log.
        expect: The expected behaviour, by which the watchdog decides to name it when it takes long.
        root: The async generator whose next item is awaited, for the watchdog to look into.

    Raises:
        RuntimeError: In place of SystemExit, KeyboardInterrupt, GeneratorExit and their like, and
            of a CancelledError that came from within.
        CancelledError: The running task is being cancelled.
        Exception: Whatever else the code raises.
    """
    # Any iterator will do for an awaitable; a coroutine around it takes values and exceptions.
    is_coroutine = type(awaitable) is types.CoroutineType
    coroutine = awaitable if is_coroutine else _await(awaitable)
    watched = WatchedFunction(lambda: coroutine, label, expect, root or awaitable)
    return await watched()  # type: ignore[no-any-return]  # `cast` is a call


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def call_user_code(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls user code in this thread, so that what it raises is an Exception; watched on a loop.

    Any thread.

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
    """Like `call_user_code`, on the event loop and with a label that was made before.

    Args:
        label: The code's name in the log.
        fn: The function.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

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

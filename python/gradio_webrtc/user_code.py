"""User code where it meets ours on the event loop: watched, and unable to steer what is above it.

What runs it in a thread, or wherever it belongs, is in `concurrency`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from .watchdog import WATCHDOG, Expect, Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

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


class _Steps:
    """An awaitable of the user's, each step of which the watchdog knows of."""

    __slots__ = ("_awaitable", "_label")

    def __init__(self, awaitable: Awaitable[Any], label: str) -> None:
        self._awaitable = awaitable
        self._label = label

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        if not hasattr(steps, "send"):
            # Any iterator will do for an awaitable; there is nothing to hand into this one.
            return (yield from steps)
        advance, argument = steps.send, None
        while True:
            step = WATCHDOG.enter(self._label)
            try:
                waits_for = advance(argument)
            except StopIteration as stop:
                return stop.value
            finally:
                WATCHDOG.leave(step)
            try:
                advance, argument = steps.send, (yield waits_for)
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - for the user's code to see, or to let pass
                advance, argument = steps.throw, error


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
        return cast("T", await _Steps(awaitable, label))
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
        raise cancelled_from_within() from None
    except (Exception, GeneratorExit):
        raise
    except BaseException as raised:
        raise contained(raised, label) from raised
    finally:
        WATCHDOG.end(wait)


def call_user_code(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls user code on the event loop itself, watched, so that what it raises is an Exception.

    Raises:
        Exception: As with `await_user_code`.
    """
    label = describe_callable(fn)
    step = WATCHDOG.enter(label)
    try:
        return fn(*args, **kwargs)
    except Exception:
        raise
    except BaseException as raised:
        raise contained(raised, label) from raised
    finally:
        WATCHDOG.leave(step)

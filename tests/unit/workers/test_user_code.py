"""User code is named, contained and watched, and what it raises steers nothing above it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import types
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._workers import user_code
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import (
    WatchedCoroutine,
    WatchedFunction,
    await_user_code,
    call_on_loop,
    call_user_code,
    contain_user_code,
    contained,
    describe_callable,
    guard,
    is_being_cancelled,
    is_never_blocking,
    never_blocks,
    running_task,
)
from gradio_webrtc._workers.watchdog import WATCHDOG, Expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
in_session: contextvars.ContextVar[bool] = contextvars.ContextVar("in_session", default=False)


def is_in_session(context: contextvars.Context) -> bool:
    return context.get(in_session, False)


class Ending(BaseException):
    """No Exception, and of no kind that anybody expects."""


STEERING = [StopIteration(3), SystemExit(1), KeyboardInterrupt(), Ending()]


def fail(error: BaseException) -> None:
    raise error


def written_in(module: str, source: str) -> Any:
    """Returns ``fn`` of a module with this name and source."""
    namespace: dict[str, Any] = {"__name__": module}
    exec(source, namespace)  # noqa: S102 - the name of the module is what is tested
    return namespace["fn"]


# contained, and the functions that apply it


@pytest.mark.parametrize("error", [ValueError("no"), StopAsyncIteration(), TimeoutError()])
def test_an_ordinary_error_stays_itself(error: Exception) -> None:
    assert contained(error, "the code") is error


@pytest.mark.parametrize("error", STEERING)
def test_an_error_that_steers_becomes_the_cause_of_another(error: BaseException) -> None:
    substitute = contained(error, "the code of Handler")
    assert type(substitute) is RuntimeError
    assert str(substitute) == f"the code of Handler raised {type(error).__name__}"
    assert substitute.__cause__ is error


@pytest.mark.parametrize("error", STEERING[1:])
def test_a_call_outside_of_a_loop_is_contained_too(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match=type(error).__name__):
        call_user_code(fail, error)


@pytest.mark.parametrize("error", STEERING[1:])
async def test_a_call_on_the_loop_has_the_label_it_was_given(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match=r"^emit of Echo raised"):
        call_on_loop("emit of Echo", fail, error)


async def test_keyword_arguments_reach_the_function() -> None:
    assert call_on_loop("int", int, "ff", base=16) == 255
    assert call_user_code(int, "ff", base=16) == 255


# guard


def test_guard_keeps_the_error_and_goes_on_behind_the_block() -> None:
    reported: list[Exception] = []
    error = ValueError("no")
    with guard(reported.append) as guarded:
        fail(error)
    assert guarded.error is error
    assert reported == [error]


def test_guard_reports_nothing_without_an_error() -> None:
    reported: list[Exception] = []
    with guard(reported.append) as guarded:
        pass
    assert guarded.error is None
    assert reported == []


@pytest.mark.parametrize("error", [asyncio.CancelledError(), *STEERING[1:]])
def test_guard_lets_cancellation_and_the_end_of_the_process_pass(error: BaseException) -> None:
    reported: list[Exception] = []
    with pytest.raises(type(error)), guard(reported.append):
        fail(error)
    assert reported == []


def test_an_error_of_the_report_itself_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), guard(lambda _error: fail(ZeroDivisionError())):
        fail(ValueError("no"))


# WatchedCoroutine


class Stepwise:
    """An awaitable that is no coroutine: an iterator without `send`."""

    def __init__(self, steps: int) -> None:
        self._steps = iter([None] * steps)

    def __await__(self) -> Any:
        return self._steps


@types.coroutine
def old_style() -> Any:
    received = yield
    return received


async def test_any_awaitable_is_stepped_to_its_end() -> None:
    async def add() -> int:
        await asyncio.sleep(0)
        return 3

    assert await WatchedCoroutine(add(), "add") == 3
    assert await WatchedCoroutine(Stepwise(2), "steps") is None


def test_a_value_is_sent_into_the_code() -> None:
    watched = WatchedCoroutine(_await(old_style()), "old style")
    assert watched.send(None) is None
    with pytest.raises(StopIteration) as ended:
        watched.send("sent")
    assert ended.value.value == "sent"


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def test_an_exception_is_raised_where_the_code_waits() -> None:
    caught: list[BaseException] = []

    async def wait() -> None:
        try:
            await old_style()
        except ValueError as error:
            caught.append(error)

    error, watched = ValueError("thrown"), WatchedCoroutine(wait(), "wait")
    watched.send(None)
    with pytest.raises(StopIteration):
        watched.throw(error)
    assert caught == [error]


@pytest.mark.parametrize("error", [ValueError("thrown"), ValueError])
def test_an_iterator_that_cannot_take_an_exception_raises_it(error: Any) -> None:
    watched = WatchedCoroutine(Stepwise(2), "steps")
    watched.send(None)
    with pytest.raises(ValueError, match=r"^(thrown)?$"):
        watched.throw(error)
    watched.close()


def test_closing_ends_the_code_where_it_waits() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await old_style()
        finally:
            ended.append("here")

    watched = WatchedCoroutine(wait(), "wait")
    watched.send(None)
    watched.close()
    assert ended == ["here"]


def test_a_debugger_finds_the_users_coroutine() -> None:
    coroutine: Any = _await(old_style())
    watched = WatchedCoroutine(coroutine, "wait")
    assert watched.cr_code is coroutine.cr_code
    watched.close()


async def test_it_is_freed_without_a_garbage_collection() -> None:
    gc.disable()
    try:
        for awaitable in (_await(asyncio.sleep(0)), Stepwise(1)):
            kept = Keeper()
            reference = weakref.ref(kept)
            watched: Any = WatchedCoroutine(_and_keep(awaitable, kept), "kept")
            del kept
            await watched
            del watched
            assert reference() is None
    finally:
        gc.enable()


class Keeper:
    """Something that can be referred to weakly."""


async def _and_keep(awaitable: Awaitable[Any], kept: Keeper) -> None:
    await awaitable
    del kept


async def test_the_running_task_is_found_where_there_is_one() -> None:
    assert running_task() is asyncio.current_task()
    errors: list[BaseException] = []

    def look() -> None:
        with guard(errors.append):
            running_task()

    asyncio.get_running_loop().call_soon(look)
    await asyncio.sleep(0)
    assert [str(error) for error in errors] == ["expected a running task, found none"]


# WatchedFunction


async def test_the_result_and_the_arguments_are_those_of_the_function() -> None:
    async def add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    assert await WatchedFunction(add, "add")(1, 2) == 3
    assert await WatchedFunction(lambda: (48_000, b""), "sync")() == (48_000, b"")
    assert await WatchedFunction(lambda: asyncio.sleep(0, "slept"), "sleep")() == "slept"
    assert await WatchedFunction(lambda: Stepwise(2), "steps")() is None


async def test_a_call_that_never_waits_leaves_no_trace() -> None:
    seen: list[bool] = []

    async def look() -> None:
        seen.append(any(wait.label == "look" for wait in WATCHDOG.waits))
        assert WATCHDOG.here.marks.label == "look"
        assert WATCHDOG.here.marks.is_watched

    watched = WatchedFunction(look, "look")
    await watched()
    assert (seen, watched.suspensions) == ([False], 0)
    assert WATCHDOG.here.marks.label == ""


async def test_a_call_that_waits_is_watched_until_it_ends() -> None:
    may_end = asyncio.Event()

    async def wait() -> None:
        await may_end.wait()

    def labels() -> list[str]:
        return [wait.label for wait in WATCHDOG.waits]

    watched = WatchedFunction(wait, "wait")
    calls = [asyncio.get_running_loop().create_task(_await(watched())) for _ in range(2)]
    await asyncio.sleep(0)
    assert (labels().count("wait"), watched.suspensions) == (2, 2)
    assert WATCHDOG.here.marks.label == ""
    may_end.set()
    await asyncio.gather(*calls)
    assert "wait" not in labels()


async def test_variables_that_a_call_sets_are_there_for_the_next() -> None:
    async def replace(value: str) -> str:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before

    variable.set("outside")
    watched = WatchedFunction(replace, "replace")
    assert [await watched("first"), await watched("second")] == ["outside", "first"]
    assert variable.get() == "second"


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("error", STEERING[1:])
async def test_what_steers_becomes_an_error(error: BaseException, *, waits: bool) -> None:
    async def end() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__) as raised:
        await WatchedFunction(end, "end")()
    assert raised.value.__cause__ is error


async def test_an_error_keeps_its_context() -> None:
    async def end() -> None:
        try:
            fail(KeyError("first"))
        except KeyError:
            raise ValueError("second")  # noqa: B904 - its context is what is tested

    with pytest.raises(ValueError, match="second") as raised:
        await WatchedFunction(end, "end")()
    assert isinstance(raised.value.__context__, KeyError)
    assert not raised.value.__suppress_context__


async def test_code_may_catch_its_cancellation_and_wait_again() -> None:
    caught = asyncio.Event()

    async def hold() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            caught.set()
        await asyncio.sleep(0)
        return "held"

    holding = asyncio.get_running_loop().create_task(_await(WatchedFunction(hold, "hold")()))
    await asyncio.sleep(0)
    holding.cancel()
    assert await holding == "held"
    assert caught.is_set()


def test_closing_a_call_ends_the_code_where_it_waits() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await old_style()
        finally:
            ended.append(WATCHDOG.here.marks.label)

    call: Any = _await(WatchedFunction(wait, "wait", Expect.NOTHING)())
    with asyncio.Runner() as runner:
        runner.get_loop().call_soon(call.send, None)
        runner.run(asyncio.sleep(0))
    call.close()
    assert ended == [""]


@pytest.mark.parametrize("ends", ["returns", "raises", "is cancelled"])
async def test_a_call_is_freed_without_a_garbage_collection(ends: str) -> None:
    async def keep(kept: Keeper) -> None:
        await _and_keep(asyncio.sleep(10 if ends == "is cancelled" else 0), kept)
        if ends == "raises":
            raise ValueError

    gc.disable()
    try:
        kept = Keeper()
        reference = weakref.ref(kept)
        call = asyncio.get_running_loop().create_task(_await(WatchedFunction(keep, "keep")(kept)))
        await asyncio.sleep(0)
        if ends == "is cancelled":
            call.cancel()
        await asyncio.wait({call})
        del kept
        assert call.cancelled() or (call.exception() is None) == (ends == "returns")
        del call
        assert reference() is None
    finally:
        gc.enable()


# await_user_code


async def test_a_cancellation_from_within_becomes_an_error() -> None:
    async def cancel() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from within"):
        await await_user_code(cancel(), "cancel")


async def test_a_task_that_is_to_end_is_recognised_by_what_it_awaits() -> None:
    seen: list[bool] = []

    async def swallow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(is_being_cancelled())

    scope = TaskScope()
    task = scope.start(swallow())
    await asyncio.sleep(0)
    assert not is_being_cancelled()
    task.cancel()
    await scope.wait()
    assert seen == [True]


# never_blocks, describe_callable


def test_a_mark_holds_for_bound_methods_and_not_for_overrides() -> None:
    class Ours:
        @never_blocks
        def emit(self) -> None: ...

    class Users(Ours):
        def emit(self) -> None: ...

    assert is_never_blocking(Ours().emit)
    assert not is_never_blocking(Users().emit)
    assert not is_never_blocking(len)


def test_a_name_is_found_behind_partials_and_for_objects_without_one() -> None:
    nameless = functools.partial(functools.partial(fail))
    assert describe_callable(nameless) == f"{__name__}.fail"
    assert describe_callable(Keeper()) == f"{__name__}.Keeper"
    assert describe_callable(object()) == "object"


# contain_user_code


@pytest.fixture
async def contained_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.get_running_loop()
    contain_user_code(loop, is_in_session)
    in_session.set(True)
    return loop


USERS = ["__main__", "app", "aiortc_demo.app", "my.aiortc", "asyncio_tools"]
CARRYING = ["gradio_webrtc.anything", "aiortc.rtcpeerconnection", "aioice"]
COROUTINE = "async def fn(): pass"
FUNCTION = "def fn(): pass"


@pytest.mark.parametrize("module", [*USERS, "asyncio.threads"])
async def test_a_task_of_a_sessions_code_is_contained(module: str) -> None:
    assert isinstance(await _task_in_session(written_in(module, COROUTINE)), WatchedCoroutine)


@pytest.mark.parametrize("module", CARRYING)
async def test_a_task_of_what_carries_the_media_is_not(module: str) -> None:
    assert not isinstance(await _task_in_session(written_in(module, COROUTINE)), WatchedCoroutine)


async def _task_in_session(fn: Callable[[], Any]) -> object:
    loop = asyncio.get_running_loop()
    contain_user_code(loop, is_in_session)
    in_session.set(True)
    task = loop.create_task(fn())
    coroutine = task.get_coro()
    await task
    return coroutine


@pytest.mark.parametrize("module", USERS)
async def test_a_timer_of_a_sessions_code_is_contained(module: str) -> None:
    assert await _is_timer_wrapped(written_in(module, FUNCTION))


@pytest.mark.parametrize("module", [*CARRYING, "asyncio.futures"])
async def test_a_timer_of_what_carries_the_media_is_not(module: str) -> None:
    assert not await _is_timer_wrapped(written_in(module, FUNCTION))


async def _is_timer_wrapped(fn: Callable[[], Any]) -> bool:
    loop = asyncio.get_running_loop()
    contain_user_code(loop, is_in_session)
    in_session.set(True)
    timer: Any = loop.call_later(3600, fn)
    callback = timer._callback  # noqa: SLF001 - nothing else shows it
    timer.cancel()
    return isinstance(callback, functools.partial)


async def test_a_context_that_is_passed_decides_for_task_and_timer(
    contained_loop: asyncio.AbstractEventLoop,
) -> None:
    outside = contextvars.Context()

    async def work() -> None: ...

    task = contained_loop.create_task(work(), context=outside)
    assert not isinstance(task.get_coro(), WatchedCoroutine)
    await task
    handle: Any = contained_loop.call_later(3600, lambda: None, context=outside)
    assert not isinstance(handle._callback, functools.partial)  # noqa: SLF001 - as above
    handle.cancel()


async def test_a_factory_that_was_there_before_still_makes_the_tasks() -> None:
    loop, made = asyncio.get_running_loop(), []

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(type(coro))
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(make)
    contain_user_code(loop, lambda _context: True)
    await loop.create_task(_await(asyncio.sleep(0)))
    assert made == [WatchedCoroutine]


async def test_a_loop_is_wrapped_once(contained_loop: asyncio.AbstractEventLoop) -> None:
    factory, later = contained_loop.get_task_factory(), contained_loop.call_later
    contain_user_code(contained_loop, is_in_session)
    assert contained_loop.get_task_factory() is factory
    assert contained_loop.call_later is later


def test_the_packages_that_carry_media_are_named_as_they_are_imported() -> None:
    assert {"aioice", "aiortc", "gradio_webrtc"} == user_code.MEDIA_PACKAGES
    for name in user_code.HARMLESS_PACKAGES:
        assert __import__(name).__name__ == name

"""Tasks end by themselves or with their scope, and the scope reports those that do not."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard


async def stubborn(until: asyncio.Event) -> None:
    while not until.is_set():
        try:
            await until.wait()
        except asyncio.CancelledError:
            continue


async def test_a_task_is_kept_alive_and_forgotten_when_it_ends() -> None:
    scope = TaskScope()
    waiting = asyncio.Event()

    async def wait() -> str:
        await waiting.wait()
        return "done"

    task = scope.start(wait())
    kept = weakref.ref(task)
    await asyncio.sleep(0)
    gc.collect()
    assert kept() is task
    assert len(scope) == 1
    waiting.set()
    assert await task == "done"
    await asyncio.sleep(0)
    assert len(scope) == 0


async def test_close_cancels_and_waits_for_the_clean_up() -> None:
    scope, log = TaskScope(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    scope.start(work())
    await asyncio.sleep(0)
    assert await scope.close() == set()
    assert log == ["cleaned up"]


async def test_close_gives_back_what_swallows_its_cancellation() -> None:
    scope, until = TaskScope(), asyncio.Event()
    task = scope.start(stubborn(until))
    await asyncio.sleep(0)
    assert await scope.close(timeout_s=0.01) == {task}
    assert len(scope) == 0
    until.set()
    await task


async def test_close_from_a_task_of_the_scope_does_not_cancel_that_task() -> None:
    scope = TaskScope()

    async def end_all() -> str:
        scope.start(asyncio.sleep(60))
        await asyncio.sleep(0)
        await scope.close()
        return "still here"

    assert await scope.start(end_all()) == "still here"


async def test_an_error_at_the_end_is_retrieved() -> None:
    scope = TaskScope()

    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    scope.start(fail())
    await asyncio.sleep(0)
    await scope.close()
    # filterwarnings = error would show an exception that nobody retrieved.
    gc.collect()


async def test_wait_includes_tasks_that_start_meanwhile() -> None:
    scope, log = TaskScope(), []

    async def second() -> None:
        await asyncio.sleep(0)
        log.append("second")

    async def first() -> None:
        scope.start(second())

    scope.start(first())
    await scope.wait()
    assert log == ["second"]


@pytest.mark.parametrize("error", [ValueError(), StopAsyncIteration(), TimeoutError()])
def test_guard_reports_and_goes_on(error: Exception) -> None:
    reported: list[Exception] = []
    with guard(reported.append) as guarded:
        raise error
    assert reported == [error]
    assert guarded.error is error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_guard_lets_pass_what_is_no_error(error: BaseException) -> None:
    reported: list[Exception] = []
    with pytest.raises(type(error)), guard(reported.append):
        raise error
    assert reported == []

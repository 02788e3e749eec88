"""Workers: order, outcomes, cancellation, closing; calling sync and async code alike."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.forked import run

import gradio_webrtc
from gradio_webrtc._workers import workers as concurrency
from gradio_webrtc._workers.user_code import (
    describe_callable,
    is_async_callable,
    runs_nothing_when_called,
)
from gradio_webrtc._workers.workers import (
    UserFunction,
    Worker,
    orphaned_jobs,
    wait_for_item,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import FrameType

PACKAGE = Path(gradio_webrtc.__file__).parent

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def fail(error: BaseException) -> None:
    raise error


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


class LogWatch(logging.Handler):
    """Turns the next log record into something to await."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.record: asyncio.Future[logging.LogRecord] = loop.create_future()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self.record.set_result, record)


@pytest.fixture
async def log_watch() -> AsyncIterator[LogWatch]:
    watch = LogWatch(asyncio.get_running_loop())
    logger = logging.getLogger(concurrency.__name__)
    logger.addHandler(watch)
    yield watch
    logger.removeHandler(watch)


async def test_a_job_runs_in_a_daemon_thread_of_the_workers_name(worker: Worker) -> None:
    thread = await worker.run(threading.current_thread)

    assert thread.daemon
    assert thread.name == "test-worker"
    assert thread is not threading.current_thread()


def test_an_unused_worker_has_no_thread() -> None:
    worker = Worker("never-used")
    assert not threads_named("never-used")
    worker.close()


async def test_all_jobs_share_one_thread_and_keep_their_order(worker: Worker) -> None:
    seen: list[tuple[int, int]] = []

    def job(number: int) -> None:
        seen.append((number, threading.get_ident()))

    await asyncio.gather(*(worker.run(job, number) for number in range(5)))

    assert [number for number, _ in seen] == [0, 1, 2, 3, 4]
    assert len({ident for _, ident in seen}) == 1


async def test_arguments_and_results_pass_unchanged(worker: Worker) -> None:
    assert await worker.run(divmod, 17, 5) == (3, 2)
    assert await worker.run(int, "ff", base=16) == 255


async def test_an_exception_arrives_as_it_was_raised(worker: Worker) -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        await worker.run(fail, error)
    assert caught.value is error
    assert await worker.run(str, 1) == "1"


@pytest.mark.parametrize("error", [StopIteration(3), SystemExit(1), KeyboardInterrupt()])
async def test_exceptions_that_would_steer_the_loop_arrive_as_runtime_errors(
    worker: Worker, error: BaseException
) -> None:
    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        await worker.run(fail, error)
    assert caught.value.__cause__ is error


async def test_the_context_of_the_awaiting_task_is_carried_into_the_thread(worker: Worker) -> None:
    variable.set("here")
    assert await worker.run(variable.get) == "here"


async def test_what_a_job_sets_in_a_given_context_stays_in_it(worker: Worker) -> None:
    context = contextvars.copy_context()
    await worker.submit(context, "a job", variable.set, "kept")
    assert await worker.submit(context, "a job", variable.get) == "kept"
    assert variable.get() == "unset"


async def test_the_loop_goes_on_while_a_job_blocks(worker: Worker) -> None:
    gate = threading.Event()
    blocked = asyncio.gather(worker.run(gate.wait))
    await asyncio.sleep(0)
    assert worker.is_busy
    gate.set()  # Only a loop that is free gets here.
    assert (await blocked)[0]
    assert not worker.is_busy


async def test_a_cancelled_waiter_leaves_the_job_running_and_the_next_waits_for_it(
    worker: Worker,
) -> None:
    gate, order = threading.Event(), []
    loop = asyncio.get_running_loop()

    def first() -> None:
        gate.wait()
        order.append("first")

    waiting = loop.create_task(worker.run(first))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    second = loop.create_task(worker.run(order.append, "second"))
    await asyncio.sleep(0)
    assert worker.is_busy

    gate.set()
    await second

    assert order == ["first", "second"]
    assert not worker.is_busy


async def test_an_error_that_nobody_waits_for_is_logged(
    worker: Worker, log_watch: LogWatch
) -> None:
    gate = threading.Event()

    def job() -> None:
        gate.wait()
        raise ValueError("too late")

    waiting = asyncio.get_running_loop().create_task(worker.run(job))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    record = await log_watch.record
    assert record.exc_info
    assert "too late" in str(record.exc_info[1])


async def test_a_blocked_worker_refuses_more_than_its_bound(worker: Worker) -> None:
    gate = threading.Event()
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(worker.run(gate.wait)) for _ in range(concurrency.MAX_WAITING_JOBS)]
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match=r"blocked in .*wait"):
        await worker.run(str)
    gate.set()
    await asyncio.gather(*waiting)


async def test_a_closed_worker_ends_its_thread_and_refuses_jobs() -> None:
    worker = Worker("closed-worker")
    thread = await worker.run(threading.current_thread)
    worker.close()
    worker.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        await worker.run(str)


async def test_jobs_handed_over_before_closing_are_still_done() -> None:
    worker = Worker("closing-worker")
    done = asyncio.get_running_loop().create_task(worker.run(str, 7))
    await asyncio.sleep(0)
    worker.close()
    assert await done == "7"


async def test_a_worker_that_nobody_closes_ends_with_its_last_reference() -> None:
    worker = Worker("dropped-worker")
    thread = await worker.run(threading.current_thread)
    del worker
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


async def test_a_job_that_outlives_its_worker_is_named_and_counted(
    monkeypatch: pytest.MonkeyPatch, log_watch: LogWatch
) -> None:
    monkeypatch.setattr(concurrency, "BLOCKED_AFTER_S", 0.0)
    gate = threading.Event()

    def never_returns() -> None:
        gate.wait()

    worker = Worker("blocked-worker")
    job = asyncio.get_running_loop().create_task(worker.run(never_returns))
    await asyncio.sleep(0)
    worker.close()
    assert orphaned_jobs() == 1

    message = (await log_watch.record).getMessage()
    assert "never_returns" in message
    assert "blocked-worker" in message

    gate.set()
    await job
    assert orphaned_jobs() == 0


def test_a_job_that_returns_after_its_loop_has_ended_is_counted_no_more() -> None:
    gate = threading.Event()
    loop = asyncio.new_event_loop()

    async def leave_a_job_behind() -> None:
        worker = Worker("left-worker")
        job = loop.create_task(worker.run(gate.wait))
        await asyncio.sleep(0)
        worker.close()
        assert orphaned_jobs() == 1
        job.cancel()

    loop.run_until_complete(leave_a_job_behind())
    (thread,) = threads_named("left-worker")
    # The loop stands still and is not closed: it takes the outcome and never comes to it.
    gate.set()
    thread.join(timeout=60)
    loop.close()
    assert orphaned_jobs() == 0


def test_a_job_blocked_for_ever_does_not_keep_the_process() -> None:
    program = """
import asyncio, threading
from gradio_webrtc._workers.workers import Worker

async def main():
    worker = Worker("blocked")
    task = asyncio.get_running_loop().create_task(worker.run(threading.Event().wait))
    await asyncio.sleep(0)
    worker.close()
    task.cancel()

asyncio.run(main())
"""
    # The time-out is the assertion: without daemon threads the process would never end.
    assert run("-c", program, timeout=60) == (0, "")


async def coroutine_function() -> str:
    return "async"


async def async_generator_function() -> AsyncIterator[int]:
    yield 1


class Callables:
    async def method(self) -> None: ...

    async def __call__(self) -> None: ...


class SyncCallable:
    def __call__(self) -> None: ...


class Plain:
    pass


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (coroutine_function, True),
        (async_generator_function, True),
        (functools.partial(functools.partial(coroutine_function)), True),
        (Callables().method, True),
        (Callables(), True),
        (functools.partial(Callables()), True),
        (SyncCallable(), False),
        (Plain, False),
        (len, False),
        (lambda: None, False),
        (42, False),
    ],
)
def test_async_callables_are_distinguished(fn: object, expected: bool) -> None:  # noqa: FBT001
    assert is_async_callable(fn) is expected


async def test_async_code_is_called_on_the_loop_and_sync_code_in_the_worker(
    worker: Worker,
) -> None:
    async def here() -> int:
        return threading.get_ident()

    assert await UserFunction(here, worker)() == threading.get_ident()
    assert await UserFunction(threading.get_ident, worker)() != threading.get_ident()


async def test_what_sync_code_sets_in_its_context_ends_with_the_call(worker: Worker) -> None:
    def set_and_return_before(value: str) -> str:
        before = variable.get()
        variable.set(value)
        return before

    variable.set("outside")
    call = UserFunction(set_and_return_before, worker)
    assert [await call("first"), await call("second")] == ["outside", "outside"]
    assert variable.get() == "outside"


async def test_a_variable_that_changed_between_two_calls_is_seen_by_the_second(
    worker: Worker,
) -> None:
    call = UserFunction(variable.get, worker)
    variable.set("first")
    assert await call() == "first"
    variable.set("second")
    assert await call() == "second"


def count_calls(counts: Counter[str]) -> Callable[[FrameType, str, object], None]:
    """Returns a profile function that counts Python calls of the package and of `weakref`."""

    def count(frame: FrameType, event: str, _arg: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event != "call" or "watchdog" in threading.current_thread().name:
            return
        if file.is_relative_to(PACKAGE):
            counts["ours"] += 1
        elif "weakref" in file.name:
            counts["weakref"] += 1

    return count


async def test_a_call_of_sync_code_costs_few_calls_of_ours(worker: Worker) -> None:
    counts: Counter[str] = Counter()
    call = UserFunction(lambda _frame: None, worker)
    profile = count_calls(counts)
    threading.setprofile(profile)
    try:
        await call(None)  # starts the thread, which is profiled from its beginning
    finally:
        threading.setprofile(None)
    before, rounds = sys.getprofile(), 20
    counts.clear()
    sys.setprofile(profile)
    try:
        for _ in range(rounds):
            await call(None)
    finally:
        sys.setprofile(before)
    # Another session of this process may have wrapped the loop's methods, which costs two more.
    assert counts["ours"] <= 10 * rounds
    assert counts["weakref"] == 0


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (coroutine_function, True),
        (async_generator_function, True),
        (functools.partial(Callables()), True),
        (SyncCallable(), False),
        (len, False),
        (42, False),
    ],
)
def test_calling_what_was_written_async_runs_nothing(fn: object, expected: bool) -> None:  # noqa: FBT001
    assert runs_nothing_when_called(fn) is expected


async def test_a_sync_function_that_is_marked_as_async_is_contained(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As `inspect.markcoroutinefunction` does, which is new in Python 3.12.
    monkeypatch.setattr(concurrency, "is_async_callable", lambda _fn: True)
    with pytest.raises(RuntimeError, match="SystemExit"):
        await UserFunction(fail, worker)(SystemExit(1))


async def test_an_awaitable_from_sync_code_is_awaited(worker: Worker) -> None:
    def disguised() -> Any:
        return coroutine_function()

    assert await UserFunction(disguised, worker)() == "async"


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (Callables().method, f"{__name__}.Callables.method"),
        (functools.partial(coroutine_function), f"{__name__}.coroutine_function"),
        (SyncCallable(), f"{__name__}.SyncCallable"),
        (len, "builtins.len"),
    ],
)
def test_a_callable_is_named_so_that_its_author_finds_it(fn: object, expected: str) -> None:
    assert describe_callable(fn) == expected


async def test_an_item_is_waited_for_and_not_for_ever() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    assert await wait_for_item(queue, 0) is None
    item = wait_for_item(queue, 10)
    waiting = asyncio.get_running_loop().create_task(item)
    await asyncio.sleep(0)
    queue.put_nowait(1)
    assert await waiting == 1

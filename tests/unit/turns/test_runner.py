"""Stepping what users' functions give: sync, async, plain; interruption and clean-up."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._turns import runner as stepping
from gradio_webrtc._turns.runner import FINISHED, CancellableWait, GeneratorRunner
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


async def interrupt_in_the_middle(runner: GeneratorRunner, entered: asyncio.Event) -> None:
    """Interrupts a step once the user's code is in it."""
    step = asyncio.get_running_loop().create_task(runner.step())
    await entered.wait()
    runner.interrupt()
    assert await step is FINISHED


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("stepping")
    yield worker
    worker.close()


async def collect(runner: GeneratorRunner) -> list[object]:
    """Every item until there is none."""
    items = []
    while (item := await runner.step()) is not FINISHED:
        items.append(item)
    return items


def count(limit: int) -> Iterator[int]:
    yield from range(limit)


async def count_async(limit: int) -> AsyncIterator[int]:
    for number in range(limit):
        yield number


def one(value: object) -> object:
    return value


async def one_async(value: object) -> object:
    return value


def disguised_coroutine(value: object) -> Awaitable[object]:
    return one_async(value)


def disguised_generator(limit: int) -> AsyncIterator[int]:
    return count_async(limit)


class Methods:
    def sync(self, limit: int) -> Iterator[int]:
        yield from range(limit)

    def __call__(self, limit: int) -> Iterator[int]:
        yield from range(limit)


@pytest.mark.parametrize(
    ("fn", "items"),
    [
        (count, [0, 1, 2]),
        (count_async, [0, 1, 2]),
        (one, [3]),
        (one_async, [3]),
        (disguised_coroutine, [3]),
        (disguised_generator, [0, 1, 2]),
        (functools.partial(count), [0, 1, 2]),
        (functools.partial(count_async), [0, 1, 2]),
        (Methods().sync, [0, 1, 2]),
        (Methods(), [0, 1, 2]),
        (range, [range(3)]),
    ],
)
async def test_every_kind_of_function_gives_its_items(
    fn: Any, items: list[object], worker: Worker
) -> None:
    assert await collect(GeneratorRunner(fn, (3,), worker)) == items


async def test_a_generator_that_yields_none_goes_on(worker: Worker) -> None:
    def pausing() -> Iterator[object]:
        yield None
        yield 1

    assert await collect(GeneratorRunner(pausing, (), worker)) == [None, 1]


async def test_sync_code_runs_in_the_worker_and_async_code_on_the_loop(worker: Worker) -> None:
    def threads() -> Iterator[int]:
        yield threading.get_ident()

    async def threads_async() -> AsyncIterator[int]:
        yield threading.get_ident()

    assert await collect(GeneratorRunner(threads, (), worker)) != [threading.get_ident()]
    assert await collect(GeneratorRunner(threads_async, (), worker)) == [threading.get_ident()]


async def test_context_variables_are_kept_from_step_to_step(worker: Worker) -> None:
    def counting() -> Iterator[int]:
        for _ in range(3):
            variable.set(variable.get() + 1)
            yield variable.get()

    async def counting_async() -> AsyncIterator[int]:
        for number in counting():
            yield number

    assert await collect(GeneratorRunner(counting, (), worker)) == [1, 2, 3]
    assert await collect(GeneratorRunner(counting_async, (), worker)) == [1, 2, 3]
    assert variable.get() == 0


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_arrives_as_it_was_raised(is_async: bool, worker: Worker) -> None:  # noqa: FBT001
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("mine")

    async def failing_async() -> AsyncIterator[int]:
        for number in failing():
            yield number

    runner = GeneratorRunner(failing_async if is_async else failing, (), worker)
    assert await runner.step() == 1
    with pytest.raises(ValueError, match="mine"):
        await runner.step()
    assert await runner.step() is FINISHED
    await runner.close()


@pytest.mark.parametrize("is_async", [False, True])
async def test_closing_between_steps_runs_the_generators_clean_up(
    is_async: bool,  # noqa: FBT001
    worker: Worker,
) -> None:
    cleaned: list[int] = []

    def careful() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(threading.get_ident())

    async def careful_async() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append(threading.get_ident())

    runner = GeneratorRunner(careful_async if is_async else careful, (), worker)
    await runner.step()
    await runner.close()
    await runner.close()
    assert len(cleaned) == 1
    assert (cleaned[0] == threading.get_ident()) is is_async
    assert await runner.step() is FINISHED


async def test_an_interrupted_sync_step_is_left_to_return_and_then_closed(worker: Worker) -> None:
    gate, entered, order = threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def slow() -> Iterator[str]:
        try:
            loop.call_soon_threadsafe(entered.set)
            gate.wait()
            order.append("step returned")
            yield "too late"
        finally:
            order.append("closed")

    runner = GeneratorRunner(slow, (), worker)
    await interrupt_in_the_middle(runner, entered)
    closing = loop.create_task(runner.close())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await closing
    assert order == ["step returned", "closed"]


async def test_closing_waits_for_a_plain_function_in_the_middle(worker: Worker) -> None:
    gate, entered, order = threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def plain() -> None:
        loop.call_soon_threadsafe(entered.set)
        gate.wait()
        order.append("returned")

    runner = GeneratorRunner(plain, (), worker)
    await interrupt_in_the_middle(runner, entered)
    gate.set()
    await runner.close()
    assert order == ["returned"]


async def test_a_step_that_keeps_the_next_turn_waiting_is_named(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stepping, "SLOW_CLOSE_S", 0.0)
    gate, entered = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def never_ready() -> Iterator[int]:
        loop.call_soon_threadsafe(entered.set)
        gate.wait()
        yield 1

    runner = GeneratorRunner(never_ready, (), worker)
    step = loop.create_task(runner.step())
    await entered.wait()
    runner.interrupt()
    await step
    # The timer's callback is ahead of this one in the loop's order of deadlines.
    loop.call_later(0.0, loop.call_later, 0.0, gate.set)
    await runner.close()
    assert "never_ready was interrupted and has not returned" in caplog.text


@pytest.mark.parametrize("fn", [count, count_async, one, one_async])
async def test_nothing_is_called_after_an_interruption(fn: Any, worker: Worker) -> None:
    runner = GeneratorRunner(fn, (3,), worker)
    runner.interrupt()
    assert await runner.step() is FINISHED
    await runner.close()


async def test_an_error_in_the_clean_up_reaches_whoever_closes(worker: Worker) -> None:
    def messy() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("in the clean-up")

    runner = GeneratorRunner(messy, (), worker)
    await runner.step()
    with pytest.raises(ValueError, match="in the clean-up"):
        await runner.close()


@pytest.mark.parametrize("fn", [disguised_coroutine, disguised_generator])
async def test_something_async_that_came_after_an_interruption_is_closed_quietly(
    worker: Worker, fn: Callable[[int], object]
) -> None:
    called, may_return = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def give_late(value: int) -> object:
        loop.call_soon_threadsafe(called.set)
        may_return.wait()
        return fn(value)

    runner = GeneratorRunner(give_late, (3,), worker)
    await interrupt_in_the_middle(runner, called)
    may_return.set()
    await runner.close()
    assert isinstance(runner.generator, AsyncIterator)
    assert await anext(runner.generator, None) is None


async def test_a_generator_interrupted_before_its_first_item_cleans_up(worker: Worker) -> None:
    begun, may_yield = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    cleaned = threading.Event()

    def answer_late() -> Iterator[int]:
        try:
            loop.call_soon_threadsafe(begun.set)
            may_yield.wait()
            yield 1
        finally:
            cleaned.set()

    runner = GeneratorRunner(answer_late, (), worker)
    await interrupt_in_the_middle(runner, begun)
    may_yield.set()
    await runner.close()
    assert cleaned.is_set()


async def test_cancelling_the_waiter_is_not_an_interruption() -> None:
    running = CancellableWait()
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    loop = asyncio.get_running_loop()
    waiter = loop.create_task(running.run(loop.create_task(hang())))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert cancelled.is_set()


async def test_a_waiter_cancelled_during_an_interruption_stays_cancelled() -> None:
    running = CancellableWait()
    never = asyncio.get_running_loop().create_future()
    waiter = asyncio.get_running_loop().create_task(running.run(never))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.interrupt()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_the_log_names_a_function_with_its_owner() -> None:
    def leave() -> Iterator[int]:
        raise SystemExit
        yield 1

    worker = Worker("reply", "Parrot")
    runner = GeneratorRunner(leave, (), worker)
    with pytest.raises(RuntimeError, match="leave of Parrot raised SystemExit"):
        await runner.step()
    await runner.close()
    worker.close()

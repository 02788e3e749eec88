"""Async generators: one task, interruption, errors and cancellation from within."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import pytest

from gradio_webrtc._turns.runner import FINISHED, CancellableWait, GeneratorRunner
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("stepping")
    yield worker
    worker.close()


async def one_async(value: object) -> object:
    return value


async def test_an_interrupted_async_step_is_cancelled_at_once(worker: Worker) -> None:
    steps: list[str] = []
    waiting = asyncio.Event()

    async def hanging() -> AsyncIterator[int]:
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield 1
        finally:
            steps.append("cleaned")

    runner = GeneratorRunner(hanging, (), worker)
    step = asyncio.get_running_loop().create_task(runner.step())
    await waiting.wait()
    runner.interrupt()
    assert await step is FINISHED
    await runner.close()
    assert steps == ["cleaned"]


async def test_an_item_that_survives_its_interruption_is_discarded(worker: Worker) -> None:
    waiting = asyncio.Event()

    async def stubborn() -> AsyncIterator[str]:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "all the same"

    runner = GeneratorRunner(stubborn, (), worker)
    step = asyncio.get_running_loop().create_task(runner.step())
    await waiting.wait()
    runner.interrupt()
    assert await step is FINISHED
    await runner.close()


async def test_an_async_generator_lives_in_one_task(worker: Worker) -> None:
    tasks = set()

    async def scoped() -> AsyncIterator[int]:
        try:
            for number in range(3):
                tasks.add(asyncio.current_task())
                yield number
        finally:
            tasks.add(asyncio.current_task())

    runner = GeneratorRunner(scoped, (), worker)
    assert [await runner.step(), await runner.step()] == [0, 1]
    await runner.close()
    assert len(tasks) == 1
    assert tasks != {asyncio.current_task()}


async def test_an_error_in_an_interrupted_step_reaches_whoever_closes(worker: Worker) -> None:
    waiting = asyncio.Event()

    async def failing() -> AsyncIterator[int]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("in the clean-up")
        yield 1

    runner = GeneratorRunner(failing, (), worker)
    step = asyncio.get_running_loop().create_task(runner.step())
    await waiting.wait()
    runner.interrupt()
    assert await step is FINISHED
    with pytest.raises(ValueError, match="in the clean-up"):
        await runner.close()


async def test_cancelling_the_waiter_of_an_async_step_cancels_the_step(worker: Worker) -> None:
    steps: list[str] = []
    waiting = asyncio.Event()

    async def hanging() -> AsyncIterator[int]:
        waiting.set()
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            steps.append("cleaned")

    runner = GeneratorRunner(hanging, (), worker)
    waiter = asyncio.get_running_loop().create_task(runner.step())
    await waiting.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await runner.close()
    assert steps == ["cleaned"]


async def test_an_interruption_in_the_first_moment_leaves_nothing_behind(worker: Worker) -> None:
    runner = GeneratorRunner(one_async, (3,), worker)
    step = asyncio.get_running_loop().create_task(runner.step())
    for _ in range(3):
        await asyncio.sleep(0)
    runner.interrupt()
    await step
    await runner.close()


def a_cancelled_task() -> asyncio.Task[bool]:
    task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
    task.cancel()
    return task


async def await_a_cancelled_task() -> None:
    await a_cancelled_task()


async def yield_and_await_a_cancelled_task() -> AsyncIterator[int]:
    yield 1
    await a_cancelled_task()


async def test_code_that_is_cancelled_from_within_ends_with_an_error(worker: Worker) -> None:
    runner = GeneratorRunner(yield_and_await_a_cancelled_task, (), worker)
    assert await runner.step() == 1
    with pytest.raises(RuntimeError, match="cancelled from within"):
        await runner.step()
    assert await runner.step() is FINISHED
    await runner.close()

    task = asyncio.get_running_loop().create_task(await_a_cancelled_task())
    with pytest.raises(RuntimeError, match="cancelled from within"):
        await CancellableWait().run(task)

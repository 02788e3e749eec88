"""One run of a user function in a session: its errors, its end and its thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.fake_session import FakeSession

from gradio_webrtc._turns.runner import FINISHED, GeneratorRun
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def count(limit: int) -> Iterator[int]:
    yield from range(limit)


async def count_async(limit: int) -> AsyncIterator[int]:
    for number in range(limit):
        yield number


@pytest.mark.parametrize("fn", [count, count_async])
async def test_it_gives_every_item_and_then_the_end(fn: Any) -> None:
    session = FakeSession()
    run = GeneratorRun(fn, (2,), session)
    assert [await run.step() for _ in range(4)] == [0, 1, FINISHED, FINISHED]
    assert not run.has_failed
    await run.close()
    assert session.errors == []


async def test_an_error_is_reported_and_ends_the_run() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("of the user's")

    session = FakeSession()
    run = GeneratorRun(fail, (), session)
    assert [await run.step() for _ in range(3)] == [1, FINISHED, FINISHED]
    assert run.has_failed
    assert [str(error) for error in session.errors] == ["of the user's"]
    await run.close()


@pytest.mark.parametrize("error", [ValueError("of the clean-up"), TimeoutError("of a service")])
async def test_an_error_of_the_clean_up_is_reported(error: Exception) -> None:
    def messy() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise error

    session = FakeSession()
    run = GeneratorRun(messy, (), session)
    await run.step()
    await run.close()
    assert session.errors == [error]


async def test_the_end_waits_no_longer_than_it_is_asked_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, entered = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def block() -> Iterator[int]:
        loop.call_soon_threadsafe(entered.set)
        gate.wait()
        yield 1

    session = FakeSession()
    run = GeneratorRun(block, (), session)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run.step())
        await entered.wait()
        with caplog.at_level(logging.DEBUG, "gradio_webrtc"):
            await run.close(0.0)
    assert "block is left to return by itself" in caplog.text
    assert session.errors == []
    gate.set()


async def test_it_ends_a_thread_of_its_own_and_no_other() -> None:
    worker = Worker("shared")
    session = FakeSession()
    for own in (None, worker):
        run = GeneratorRun(count, (1,), session, own)
        await run.step()
        await run.close()
    assert await worker.run(lambda: 3) == 3
    worker.close()
    async with asyncio.timeout(10):
        while any(each.name.startswith("play-") for each in threading.enumerate()):  # noqa: ASYNC110 - the end of a thread has no event
            await asyncio.sleep(0.005)

"""The queue of AdditionalOutputs for the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from gradio_webrtc._session import output_queue
from gradio_webrtc._session.output_queue import (
    MAX_UNFETCHED_OUTPUTS,
    MAX_WAITING_OUTPUTS,
    OutputQueue,
)
from gradio_webrtc.types import AdditionalOutputs

if TYPE_CHECKING:
    import pytest


def test_outputs_arrive_in_order_and_one_at_a_time() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    for value in range(5):
        queue.put(AdditionalOutputs(value))
    counts, values = [], []
    while (outputs := queue.take()) is not None:
        counts.append(len(announced))
        values.append(outputs.args[0])
        queue.done()
    assert values == [0, 1, 2, 3, 4]
    assert counts == [1, 2, 3, 4, 5]


def test_an_empty_queue_gives_nothing_and_announces_nothing() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    assert queue.take() is None
    queue.done()
    assert announced == []


def test_a_page_that_is_too_slow_loses_the_oldest_and_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = OutputQueue(lambda: None)
    for value in range(MAX_WAITING_OUTPUTS + 3):
        queue.put(AdditionalOutputs(value))
    assert queue.dropped == 3
    assert [outputs.args for outputs in iter(queue.take, None)] == [
        (value,) for value in range(3, MAX_WAITING_OUTPUTS + 3)
    ]
    assert [str(MAX_WAITING_OUTPUTS) in record.getMessage() for record in caplog.records] == [True]


def test_of_outputs_beside_frames_the_newest_alone_waits() -> None:
    queue = OutputQueue(lambda: None)
    for value in range(4):
        queue.put_with_frame(AdditionalOutputs(value))
        queue.put(AdditionalOutputs("spoken", value))
    assert (queue.replaced, queue.dropped) == (3, 0)
    assert [outputs.args for outputs in iter(queue.take, None)] == [
        ("spoken", 0),
        ("spoken", 1),
        ("spoken", 2),
        (3,),
        ("spoken", 3),
    ]
    queue.put_with_frame(AdditionalOutputs("later"))
    assert queue.replaced == 3


async def test_what_nobody_fetches_makes_nobody_wait_and_only_the_latest_are_kept() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1), is_fetched=False)
    for value in range(1000):
        queue.put(AdditionalOutputs(value))
    queue.close()
    kept = []
    while (outputs := await queue.next()) is not None:
        kept.append(outputs.args[0])
    assert kept == list(range(1000 - MAX_UNFETCHED_OUTPUTS, 1000))
    assert announced == []


async def test_whoever_asks_once_is_waited_for() -> None:
    queue = OutputQueue(lambda: None, is_fetched=False)
    asking = asyncio.get_running_loop().create_task(queue.next())
    await asyncio.sleep(0)
    for value in range(MAX_WAITING_OUTPUTS):
        queue.put(AdditionalOutputs(value))
    first = await asking
    assert first is not None
    assert first.args == (0,)
    second = await queue.next()
    assert second is not None
    assert second.args == (1,)


async def test_an_end_is_reported_to_whoever_waits() -> None:
    queue = OutputQueue(lambda: None)
    asking = asyncio.get_running_loop().create_task(queue.next())
    await asyncio.sleep(0)
    queue.close()
    assert await asking is None


async def test_the_next_is_announced_once_the_client_has_confirmed_the_one_before() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1))
    queue.put(AdditionalOutputs(1))
    queue.put(AdditionalOutputs(2))
    # An event for which nothing was taken confirms nothing.
    queue.confirm()
    assert len(announced) == 1
    queue.take()
    queue.confirm()
    assert len(announced) == 1
    queue.sent()
    assert len(announced) == 1
    queue.confirm()
    assert len(announced) == 2


async def test_a_client_that_confirms_nothing_gets_the_next_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_queue, "CONFIRM_LIMIT_S", 0.01)
    is_announced = asyncio.Event()
    queue = OutputQueue(is_announced.set)
    queue.put(AdditionalOutputs(1))
    queue.put(AdditionalOutputs(2))
    queue.take()
    is_announced.clear()
    queue.sent()
    await is_announced.wait()


async def test_the_end_waits_for_what_the_client_has_not_got_yet() -> None:
    queue = OutputQueue(lambda: None)
    await queue.drain()
    queue.put(AdditionalOutputs(1))
    queue.put(AdditionalOutputs(2))
    draining = asyncio.get_running_loop().create_task(queue.drain())
    for _ in range(2):
        queue.take()
        queue.sent()
        await asyncio.sleep(0)
        assert not draining.done()
        queue.confirm()
    await draining


async def test_the_end_waits_neither_for_ever_nor_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = OutputQueue(lambda: None, is_fetched=False)
    nobody.put(AdditionalOutputs(1))
    await nobody.drain()
    monkeypatch.setattr(output_queue, "DRAIN_LIMIT_S", 0.01)
    slow = OutputQueue(lambda: None)
    slow.put(AdditionalOutputs(1))
    await slow.drain()


async def test_the_end_waits_for_a_program_that_reads() -> None:
    queue = OutputQueue(lambda: None, is_fetched=False)
    queue.put(AdditionalOutputs(1))
    reading = asyncio.get_running_loop().create_task(queue.next())
    await asyncio.sleep(0)
    await queue.drain()
    assert reading.done()


async def test_values_from_outside_push_the_oldest_out_of_a_full_queue() -> None:
    queue = OutputQueue(lambda: None)
    for value in range(MAX_WAITING_OUTPUTS + 2):
        queue.put(AdditionalOutputs(value))
    oldest = queue.take()
    assert oldest is not None
    assert oldest.args == (2,)


PIXELS = np.zeros((4, 4, 3), np.uint8)


def test_all_that_waits_is_taken_at_once_and_then_announced() -> None:
    announced: list[int] = []
    queue = OutputQueue(lambda: announced.append(1), is_fetched=False)
    for value in range(3):
        queue.put(AdditionalOutputs(value))
    assert announced == []
    assert [each.args for each in queue.take_all()] == [(0,), (1,), (2,)]
    assert queue.take_all() == []
    queue.put(AdditionalOutputs(3))
    queue.put(AdditionalOutputs(4))
    assert len(announced) == 1
    assert [each.args for each in queue.take_all()] == [(3,), (4,)]
    queue.put(AdditionalOutputs(5))
    assert len(announced) == 2


async def test_the_end_waits_for_a_client_that_reads_until_it_has_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_queue, "DRAIN_LIMIT_S", 60.0)
    queue = OutputQueue(lambda: None, is_fetched=False)
    queue.take_all()
    queue.put(AdditionalOutputs(1))
    draining = asyncio.get_running_loop().create_task(queue.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    queue.take_all()
    await draining

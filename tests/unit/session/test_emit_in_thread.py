"""An ``emit`` that stays in its thread, where a thread of the core plays: the order is the same."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.lending import SOON_S, Held, piece

from gradio_webrtc import AdditionalOutputs, CloseStream, StreamHandler

if TYPE_CHECKING:
    from collections.abc import Callable


class Talker(StreamHandler):
    """Emits what is put in its queue; calls functions in ``emit`` first."""

    def __init__(self) -> None:
        super().__init__()
        self.items: queue.Queue[Any] = queue.Queue()
        self.on_receive: Callable[[], None] = lambda: None
        self.threads: set[str] = set()
        self.is_shut_down = False
        self.late_calls = 0

    def copy(self) -> Talker:
        return Talker()

    def receive(self, _frame: Any) -> None:
        self.on_receive()
        self.threads.add(threading.current_thread().name)

    def emit(self) -> Any:
        self.late_calls += self.is_shut_down
        item = self.items.get()
        self.threads.add(threading.current_thread().name)
        if callable(item):
            return item()
        return item

    def shutdown(self) -> None:
        self.is_shut_down = True
        self.items.put(None)


def wait_blocking(is_so: Callable[[], bool]) -> None:
    """Waits, and holds the event loop meanwhile."""
    limit_s = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < limit_s
        time.sleep(0.001)


@pytest.fixture
async def held() -> Any:
    held = Held(Talker())
    await held.until(lambda: held.session.stats().emits > 0)
    await held.until_it_waits()
    yield held
    await held.end()


async def test_items_are_queued_while_the_event_loop_is_blocked(held: Held[Talker]) -> None:
    emits = held.session.stats().emits
    held.put(piece(2), piece(3), piece(4))
    wait_blocking(lambda: held.buffer.buffered_s >= 0.06)
    assert held.played() == [2, 3, 4]
    wait_blocking(lambda: held.session.stats().emits == emits + 3)
    assert held.session.context.played_s == pytest.approx(0.08)
    await held.until(lambda: len(held.handler.threads) > 1)
    names = {name.partition("-")[0] for name in held.handler.threads}
    assert names == {"emit", "receive"}


async def test_a_full_queue_holds_up_emit(held: Held[Talker]) -> None:
    levels = list(range(2, 9))
    held.put(*(piece(level, frames=15) for level in levels))
    await held.until(lambda: held.buffer.buffered_s > 0.99)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert held.buffer.buffered_s <= 1.0
    assert held.handler.items.qsize() >= 2
    played: list[int] = []

    def play() -> bool:
        level = held.transport.player.play()
        played.extend([] if level is None else [level])
        return len(played) == 105

    await held.until(play)
    assert played == [level for level in levels for _ in range(15)]


async def test_what_emit_clears_first_is_dropped_and_its_own_item_is_not(
    held: Held[Talker],
) -> None:
    def clear_and_emit() -> Any:
        held.handler.clear_queue()
        return piece(4)

    held.put(piece(2), piece(3), clear_and_emit, piece(5))
    await held.until(lambda: held.buffer.epoch > 0 and held.buffer.buffered_s >= 0.04)
    assert held.played() == [4, 5]


async def test_what_emit_returns_after_it_has_stopped_the_reply_is_dropped(
    held: Held[Talker],
) -> None:
    def stop_and_emit() -> Any:
        held.handler.stop_reply()
        return piece(4)

    held.put(piece(2), piece(3), stop_and_emit, piece(5))
    await held.until(lambda: held.buffer.epoch > 0 and held.buffer.buffered_s >= 0.02)
    assert held.played() == [5]


async def test_barge_in_drops_the_item_of_the_emit_that_runs(held: Held[Talker]) -> None:
    held.put(piece(2))
    await held.until(lambda: held.buffer.buffered_s >= 0.02)
    emits = held.session.stats().emits
    held.handler.stop_reply()
    held.put(piece(3))
    await held.until(lambda: held.session.stats().emits > emits)
    held.put(piece(4))
    await held.until(lambda: held.buffer.buffered_s >= 0.02)
    assert held.played() == [4]


async def test_a_mistake_is_reported_and_the_next_item_comes(
    held: Held[Talker], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Any:
        raise ValueError("no voice today")

    held.put(fail, (48_000, np.zeros((3, 960), np.int16)), "no audio", None, piece(2))
    await held.until(lambda: held.buffer.buffered_s >= 0.02)
    assert held.played() == [2]
    assert "no voice today" in caplog.text
    assert "cannot play what" in caplog.text
    assert "cannot use what" in caplog.text


async def test_outputs_come_between_the_items_they_were_emitted_between(held: Held[Talker]) -> None:
    held.put(piece(2), AdditionalOutputs("first"), (piece(3), AdditionalOutputs("second")))
    await held.until(lambda: held.buffer.buffered_s >= 0.04)
    outputs = [held.session.outputs.take() for _ in range(2)]
    assert [each and each.args[0] for each in outputs] == ["first", "second"]
    assert held.played() == [2, 3]


async def test_a_closed_stream_plays_what_came_before() -> None:
    held = Held(Talker())
    held.put(piece(2), piece(3), CloseStream("enough"))
    levels: list[int] = []

    def is_over() -> bool:
        levels.extend(held.played())
        return held.running.done()

    await held.until(is_over)
    assert levels == [2, 3]
    assert await held.end() == "enough"


async def test_nothing_is_queued_nor_asked_for_behind_the_end() -> None:
    held = Held(Talker())
    await held.until(lambda: held.session.stats().emits > 0)
    await held.until_it_waits()
    # A frame of silence is what wakes it at the end, long after the only frame.
    await held.until(lambda: len(held.handler.threads) > 1)
    held.handler.on_receive = lambda: held.put(piece(2))
    await held.until(lambda: held.buffer.buffered_s > 0)
    await held.end()
    assert held.played() == []
    wait_blocking(lambda: not any(each.name == "emit-client" for each in threading.enumerate()))
    assert held.handler.late_calls == 0

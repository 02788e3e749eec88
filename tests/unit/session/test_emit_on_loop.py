"""An async ``emit`` whose items are queued for a thread of the core: the order is the same."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest
from support.lending import Held, piece

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, CloseStream


class Talker(AsyncStreamHandler):
    """Emits what is put in its queue; calls functions in ``emit`` first."""

    swallows = False

    def __init__(self) -> None:
        super().__init__()
        self.items: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> Talker:
        return Talker()

    async def receive(self, _frame: Any) -> None: ...

    async def emit(self) -> Any:
        try:
            item = await self.items.get()
        except asyncio.CancelledError:
            if not self.swallows:
                raise
            item = piece(9)
        return item() if callable(item) else item


@pytest.fixture
async def held() -> Any:
    held = Held(Talker())
    await held.until(lambda: held.session.stats().emits > 0)
    await held.until_it_waits()
    yield held
    await held.end()


async def count_turns(turns: list[int]) -> None:
    """Counts the turns of the event loop, until it is cancelled."""
    while True:
        turns[0] += 1
        await asyncio.sleep(0)


async def test_items_are_played_in_their_order(held: Held[Talker]) -> None:
    held.put(piece(2), piece(3), piece(4))
    await held.until(lambda: held.buffer.buffered_s >= 0.06)
    assert held.played() == [2, 3, 4]
    assert held.session.context.played_s == pytest.approx(0.08)


async def test_an_emit_that_has_waited_is_called_again_in_the_same_turn(held: Held[Talker]) -> None:
    emits = held.session.stats().emits
    for level in (2, 3, 4):
        held.put(piece(level))
        await asyncio.sleep(0)
        emits += 1
        assert held.session.stats().emits == emits
        assert held.played() == [level]


async def test_an_emit_that_never_waits_lets_the_loop_turn_between_two_items() -> None:
    turns = [0]

    class Busy(Talker):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        async def emit(self) -> Any:
            self.seen.append(turns[0])
            return piece(2)

    counting = asyncio.get_running_loop().create_task(count_turns(turns))
    handler = Busy()
    held = Held(handler)
    await held.until(lambda: held.buffer.buffered_s > 0.99)
    counting.cancel()
    assert len(handler.seen) > 40
    assert len({*handler.seen}) == len(handler.seen)
    await held.end()


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


async def test_replies_of_a_service_are_played_whole(held: Held[Talker]) -> None:
    for _ in range(4):
        held.put((24_000, np.full((1, 4_800), 5_000, np.int16)))
    await held.until(lambda: held.buffer.buffered_s >= 0.79)
    held.handler.clear_queue()
    await asyncio.sleep(0)
    assert held.buffer.buffered_s == 0
    for _ in range(2):
        held.put((24_000, np.full((1, 4_800), 6_000, np.int16)))
    await held.until(lambda: held.buffer.buffered_s >= 0.39)
    assert max(held.played()) >= 5_900


async def test_what_emit_clears_first_is_dropped_and_its_own_item_is_not(
    held: Held[Talker],
) -> None:
    def clear_and_emit() -> Any:
        held.handler.clear_queue()
        return piece(4)

    held.put(piece(2), piece(3), clear_and_emit, piece(5))
    await held.until(lambda: held.buffer.epoch > 0 and held.buffer.buffered_s >= 0.04)
    assert held.played() == [4, 5]


async def test_clearing_while_emit_waits_loses_nothing(held: Held[Talker]) -> None:
    for level in (2, 3, 4):
        held.handler.clear_queue()
        held.put(piece(level))
        await held.until(lambda: held.buffer.buffered_s >= 0.02)
        assert held.played() == [level]


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
        raise SystemExit(3)

    held.put(fail, (48_000, np.zeros((3, 960), np.int16)), "no audio", None, piece(2))
    await held.until(lambda: held.buffer.buffered_s >= 0.02)
    assert held.played() == [2]
    assert "raised SystemExit" in caplog.text
    assert "cannot play what" in caplog.text
    assert "cannot use what" in caplog.text


async def test_floats_in_the_scale_of_int16_are_named(
    held: Held[Talker], caplog: pytest.LogCaptureFixture
) -> None:
    held.put((48_000, np.full((1, 960), 9_000.0)))
    await held.until(lambda: held.buffer.buffered_s >= 0.02)
    assert "gives float samples up to 9000" in caplog.text


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


async def test_an_emit_that_swallows_its_cancellation_is_not_called_again() -> None:
    class Swallowing(Talker):
        swallows = True

    held = Held(Swallowing())
    await held.until(lambda: held.session.stats().emits > 0)
    await held.until_it_waits()
    emits = held.session.stats().emits
    await held.end()
    assert held.session.stats().emits == emits


async def test_the_pumps_are_freed_with_the_session_without_a_garbage_collection() -> None:
    gc.disable()
    try:
        held = Held(Talker())
        await held.until(lambda: held.session.stats().emits > 0)
        await held.until_it_waits()
        media = held.session._media  # noqa: SLF001 - what is to be freed
        pumps = [weakref.ref(pump) for pump in (media.audio, media.emitted_audio) if pump]
        del media
        await held.end()
        await asyncio.sleep(0.01)
        assert [reference() for reference in pumps] == [None, None]
    finally:
        gc.enable()

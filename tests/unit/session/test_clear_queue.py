"""``clear_queue()`` drops queued audio and nothing else: from anywhere, in every handler."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, CloseStream, StreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import EmitType

PIECE = (48_000, np.full((1, 9_600), 9_000, np.int16))
LONG = (48_000, np.full((1, 48_000 * 60), 5_000, np.int16))


class AsyncTalker(AsyncStreamHandler):
    """Emits what is put in its queue."""

    def __init__(self) -> None:
        super().__init__()
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.waiting = asyncio.Event()
        self.on_receive: Callable[[], None] = lambda: None

    def copy(self) -> AsyncTalker:
        return AsyncTalker()

    async def receive(self, _frame: Any) -> None:
        self.on_receive()

    async def emit(self) -> EmitType:
        self.waiting.set()
        item: EmitType = await self.items.get()
        self.waiting.clear()
        return item

    def put(self, *items: Any) -> None:
        for item in items:
            self.loop.call_soon_threadsafe(self.items.put_nowait, item)

    async def until_it_waits(self) -> None:
        while not (self.items.empty() and self.waiting.is_set()):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


class SyncTalker(StreamHandler):
    """The same with threads."""

    def __init__(self) -> None:
        super().__init__()
        self.items: queue.Queue[Any] = queue.Queue()
        self.waiting = threading.Event()
        self.on_receive: Callable[[], None] = lambda: None

    def copy(self) -> SyncTalker:
        return SyncTalker()

    def receive(self, _frame: Any) -> None:
        self.on_receive()

    def emit(self) -> EmitType:
        self.waiting.set()
        item: EmitType = self.items.get()
        self.waiting.clear()
        return item

    def put(self, *items: Any) -> None:
        for item in items:
            self.items.put(item)

    async def until_it_waits(self) -> None:
        while not (self.items.empty() and self.waiting.is_set()):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)

    def shutdown(self) -> None:
        self.put(None)


class Held:
    """A session of a handler, under way."""

    def __init__(self, handler: AsyncTalker | SyncTalker) -> None:
        self.handler = handler
        self.transport = FakeTransport(48_000, np.zeros(960, np.int16))
        self.session = Session("client", self.transport, handler, SessionConfig(has_outputs=True))
        self._running = asyncio.get_running_loop().create_task(self.session.run())

    def outputs(self) -> list[Any]:
        taken = []
        while (outputs := self.session.outputs.take()) is not None:
            taken.append(outputs.args[0])
        return taken

    async def end(self) -> str:
        self.session.end("over")
        return await self._running

    @property
    def loud_frames(self) -> int:
        return sum(bool(np.abs(frame).max() > 7_000) for _, frame in self.transport.sent)

    async def until_half_a_second_waits(self) -> None:
        while self.session.audio_buffer.buffered_s < 0.5:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)

    async def until_quiet(self) -> None:
        await self.session.audio_buffer.drain()


def from_the_loop(handler: AsyncTalker | SyncTalker) -> None:
    handler.clear_queue()


def from_a_thread(handler: AsyncTalker | SyncTalker) -> None:
    thread = threading.Thread(target=handler.clear_queue)
    thread.start()
    thread.join()


def by_its_attribute(handler: AsyncTalker | SyncTalker) -> None:
    assert callable(handler._clear_queue)  # noqa: SLF001 - programs test and call it
    handler._clear_queue()  # noqa: SLF001 - as above


@pytest.mark.parametrize("clear", [from_the_loop, from_a_thread, by_its_attribute])
@pytest.mark.parametrize("kind", [AsyncTalker, SyncTalker])
async def test_what_is_emitted_afterwards_is_sent_whole(kind: Any, clear: Any) -> None:
    held = Held(kind())
    for turn in range(3):
        await held.handler.until_it_waits()
        clear(held.handler)
        held.handler.put(AdditionalOutputs(turn), (PIECE, AdditionalOutputs("beside")), PIECE)
        await asyncio.sleep(0.01)
        await held.handler.until_it_waits()
        await held.until_quiet()
    assert held.outputs() == [0, "beside", 1, "beside", 2, "beside"]
    assert held.loud_frames == 3 * 2 * 10
    await held.end()


@pytest.mark.parametrize("kind", [AsyncTalker, SyncTalker])
async def test_queued_audio_goes_and_so_does_the_rest_of_a_long_piece(kind: Any) -> None:
    held = Held(kind())
    held.handler.put((LONG, AdditionalOutputs("kept")))
    await held.until_half_a_second_waits()
    held.handler.clear_queue()
    await asyncio.sleep(0)
    assert held.session.audio_buffer.buffered_s == 0
    held.handler.put(PIECE)
    await held.handler.until_it_waits()
    await held.until_quiet()
    assert held.outputs() == ["kept"]
    assert held.loud_frames == 10
    await held.end()


@pytest.mark.parametrize("kind", [AsyncTalker, SyncTalker])
async def test_a_close_is_never_dropped(kind: Any) -> None:
    held = Held(kind())
    held.handler.put((LONG, CloseStream("bye")))
    await held.until_half_a_second_waits()
    held.handler.clear_queue()
    assert await held._running == "bye"  # noqa: SLF001 - a helper of this test


@pytest.mark.parametrize("kind", [AsyncTalker, SyncTalker])
async def test_it_may_be_called_in_receive(kind: Any) -> None:
    handler = kind()
    handler.on_receive = handler.clear_queue
    held = Held(handler)
    for _ in range(3):
        held.handler.put(AdditionalOutputs("kept"))
        await asyncio.sleep(0.03)
    assert held.outputs() == ["kept"] * 3
    await held.end()


@pytest.mark.parametrize("is_async", [True, False])
async def test_it_may_be_called_in_emit(is_async: bool) -> None:  # noqa: FBT001
    class Clearing(AsyncTalker):
        async def emit(self) -> EmitType:
            item = await super().emit()
            self.clear_queue()
            return item

    class ClearingInThread(SyncTalker):
        def emit(self) -> EmitType:
            item = super().emit()
            self.clear_queue()
            return item

    held = Held(Clearing() if is_async else ClearingInThread())
    await held.handler.until_it_waits()
    held.handler.put((PIECE, AdditionalOutputs("kept")))
    await asyncio.sleep(0.01)
    await held.handler.until_it_waits()
    await held.until_quiet()
    assert held.outputs() == ["kept"]
    assert held.loud_frames == 10
    await held.end()


def test_without_a_session_it_does_nothing_or_what_it_was_set_to() -> None:
    handler, calls = AsyncTalker(), []
    handler.clear_queue()
    handler._clear_queue = lambda: calls.append(1)  # noqa: SLF001 - programs set it
    handler.clear_queue()
    assert calls == [1]

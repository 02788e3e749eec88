"""A ``start_up`` that runs as long as the session: everything else goes on beside it."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    ReplyOnPause,
    StreamHandler,
)
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc.testing import FakeTransport, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc.types import EmitType

SAID = (48_000, np.zeros(48_000, np.int16))
PIECE = (24_000, np.full((1, 2_400), 9_000, np.int16))
PIECES = 10


class AsyncSession(AsyncStreamHandler):
    """Holds a service's session open in ``start_up``, as programs for realtime services do."""

    def __init__(self) -> None:
        super().__init__()
        self.items: asyncio.Queue[EmitType] = asyncio.Queue()
        self.frames = 0
        self.ended: list[str] = []

    def copy(self) -> AsyncSession:
        return AsyncSession()

    async def start_up(self) -> None:
        await super().start_up()
        try:
            await self.items.put(AdditionalOutputs("hello"))
            for _ in range(PIECES):
                await asyncio.sleep(0.05)
                await self.items.put(PIECE)
            await asyncio.Event().wait()
        finally:
            self.ended.append("start_up")

    async def receive(self, _frame: Any) -> None:
        self.frames += 1

    async def emit(self) -> EmitType:
        return await self.items.get()

    async def shutdown(self) -> None:
        await super().shutdown()
        self.ended.append("shutdown")


class SyncSession(StreamHandler):
    """The same with threads; ``shutdown`` lets ``start_up`` go."""

    def __init__(self) -> None:
        super().__init__()
        self.items: queue.Queue[EmitType] = queue.Queue()
        self.frames = 0
        self.ended: list[str] = []
        self.quit = threading.Event()
        self.threads: set[str] = set()

    def copy(self) -> SyncSession:
        return SyncSession()

    def start_up(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.items.put(AdditionalOutputs("hello"))
        for _ in range(PIECES):
            self.items.put(PIECE)
        self.quit.wait()
        self.ended.append("start_up")

    def receive(self, _frame: Any) -> None:
        self.frames += 1

    def emit(self) -> EmitType:
        self.threads.add(threading.current_thread().name)
        try:
            return self.items.get_nowait()
        except queue.Empty:
            return None

    def shutdown(self) -> None:
        self.ended.append("shutdown")
        self.quit.set()


@pytest.mark.parametrize("handler", [AsyncSession(), SyncSession()])
def test_a_handler_receives_and_emits_while_start_up_runs(
    handler: AsyncSession | SyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = simulate(handler, SAID)
    assert isinstance(simulation.handler, (AsyncSession, SyncSession))
    assert [outputs.args for outputs in simulation.outputs] == [("hello",)]
    assert np.count_nonzero(np.abs(simulation.audio[1]) > 200) / 48_000 == pytest.approx(
        1.0, abs=0.02
    )
    assert simulation.handler.frames >= 50
    assert "shutdown" in simulation.handler.ended
    if isinstance(simulation.handler, SyncSession):
        assert {name.split("-")[0] for name in simulation.handler.threads} == {"start", "emit"}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_async_start_up_is_cancelled_and_cleans_up() -> None:
    simulation = simulate(AsyncSession(), SAID)
    assert isinstance(simulation.handler, AsyncSession)
    assert sorted(simulation.handler.ended) == ["shutdown", "start_up"]


def test_a_sync_start_up_may_be_let_go_by_shutdown() -> None:
    simulation = simulate(SyncSession(), SAID)
    assert isinstance(simulation.handler, SyncSession)
    simulation.handler.quit.wait()
    assert simulation.handler.ended[0] == "shutdown"


class _Frames:
    """Shows a frame for each piece that ``start_up`` puts in a queue."""

    shown = 0


class AsyncFrames(AsyncAudioVideoStreamHandler, _Frames):
    def copy(self) -> AsyncFrames:
        return AsyncFrames()

    async def start_up(self) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        for number in range(3):
            await self.items.put(np.full((32, 32, 3), number, np.uint8))
        await asyncio.Event().wait()

    async def video_receive(self, frame: Any) -> None: ...

    async def video_emit(self) -> Any:
        frame = await self.items.get()
        self.shown += 1
        return frame


class SyncFrames(AudioVideoStreamHandler, _Frames):
    def __init__(self) -> None:
        super().__init__()
        self.items: queue.Queue[Any] = queue.Queue()
        self.quit = threading.Event()

    def copy(self) -> SyncFrames:
        return SyncFrames()

    def start_up(self) -> None:
        for number in range(3):
            self.items.put(np.full((32, 32, 3), number, np.uint8))
        self.quit.wait()

    def video_receive(self, frame: Any) -> None: ...

    def video_emit(self) -> Any:
        try:
            frame = self.items.get_nowait()
        except queue.Empty:
            return None
        self.shown += 1
        return frame

    def shutdown(self) -> None:
        self.quit.set()


class SilentTransport(FakeTransport):
    """Takes frames as fast as they come; the remote peer sends none."""

    def __init__(self) -> None:
        super().__init__(48_000, np.zeros(960, np.int16))
        self.seen = 0
        self.third = asyncio.Event()

    def play_video(self, source: Any) -> None:
        self._frames = source

    async def receive_video_frame(self) -> Any:
        await asyncio.Event().wait()

    async def watch(self) -> None:
        while True:
            await self._frames.next_frame()
            self.seen += 1
            if self.seen == 3:
                self.third.set()


@pytest.mark.parametrize("handler", [AsyncFrames(), SyncFrames()])
async def test_frames_are_shown_while_start_up_runs(
    handler: AsyncFrames | SyncFrames,
) -> None:
    transport, loop = SilentTransport(), asyncio.get_running_loop()
    own = handler.copy()
    session = Session("viewer", transport, own, SessionConfig(modality="audio-video"))
    running = loop.create_task(session.run())
    watching = loop.create_task(transport.watch())
    await transport.third.wait()
    session.end("seen")
    await running
    watching.cancel()
    assert own.shown == 3


def test_a_reply_on_pause_may_hold_something_open_too() -> None:
    class Holding(ReplyOnPause):
        async def start_up(self) -> None:
            await super().start_up()
            await asyncio.Event().wait()

    def greet() -> Iterator[EmitType]:
        yield PIECE

    simulation = simulate(Holding(lambda _audio: None, startup_fn=greet), SAID)
    assert np.count_nonzero(np.abs(simulation.audio[1]) > 200) / 48_000 == pytest.approx(
        0.1, abs=0.02
    )


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
@pytest.mark.parametrize("is_async", [True, False])
def test_an_error_of_start_up_is_reported_and_the_session_goes_on(
    error: BaseException,
    is_async: bool,  # noqa: FBT001
) -> None:
    class Failing(AsyncSession):
        def copy(self) -> Failing:
            return Failing()

        async def start_up(self) -> None:
            self.items.put_nowait(PIECE)
            raise error

    class FailingSync(SyncSession):
        def copy(self) -> FailingSync:
            return FailingSync()

        def start_up(self) -> None:
            self.items.put(PIECE)
            raise error

    simulation = simulate(Failing() if is_async else FailingSync(), SAID)
    (event,) = (event for event in simulation.events if event.name == "error")
    reported = event.data["error"]
    assert error in (reported, reported.__cause__)
    assert np.abs(simulation.audio[1]).max() > 200
    assert simulation.end_reason == "the recording is over"


async def test_the_function_of_mode_receive_waits_for_its_inputs() -> None:
    class Playing(AsyncStreamHandler):
        asked = False

        def copy(self) -> Playing:
            return Playing()

        async def receive(self, frame: Any) -> None: ...

        async def emit(self) -> EmitType:
            self.asked = True
            return PIECE

        async def start_up(self) -> None:
            started.set()
            await asyncio.Event().wait()

    started, transport = asyncio.Event(), FakeTransport(48_000, np.zeros(960, np.int16))
    handler = Playing()
    session = Session("listener", transport, handler, SessionConfig(mode="receive"))
    running = asyncio.get_running_loop().create_task(session.run())
    await started.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not handler.asked
    session.set_inputs([])
    while not transport.sent:  # noqa: ASYNC110 - the transport has no event for this
        await asyncio.sleep(0)
    assert handler.asked
    session.end("heard")
    await running


async def _run_to_its_end(handler: StreamHandlerBase, ready: asyncio.Event) -> None:
    transport = FakeTransport(48_000, np.zeros(960, np.int16))
    session = Session("client", transport, handler, SessionConfig())
    running = asyncio.get_running_loop().create_task(session.run())
    await ready.wait()
    session.end("over")
    await running


async def test_the_session_ends_although_user_code_swallows_its_cancellation(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradio_webrtc._session.session.SHUTDOWN_TIMEOUT_S", 0.05)
    monkeypatch.setattr("gradio_webrtc._session.session.CANCEL_TIMEOUT_S", 0.05)
    ready, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        ready.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    class Stubborn(AsyncSession):
        async def start_up(self) -> None:
            await stubborn()

    await _run_to_its_end(Stubborn(), ready)
    reported = " ".join(record.getMessage() for record in caplog.records)
    assert "start_up() of Stubborn took longer" in reported
    assert "CancelledError" in reported
    release.set()
    await asyncio.sleep(0)


async def test_an_emit_that_returns_when_it_is_cancelled_is_not_asked_again() -> None:
    ready, asked = asyncio.Event(), 0

    class Returning(AsyncSession):
        async def emit(self) -> EmitType:
            nonlocal asked
            asked += 1
            try:
                ready.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return None
            return None

    await _run_to_its_end(Returning(), ready)
    assert asked == 1

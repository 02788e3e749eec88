"""The exam of handlers: their life in a session. Another kind of handler is one line in `HANDLERS`.

A driver stands for the session: it binds a copy and calls its hooks as the pumps do.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pytest
from support.blocks import Model
from support.conversing import CHUNK, RATE_HZ, ScriptedVad, audio_at
from support.fake_session import FakeSession
from support.realtime_service import MemoryService, Script, tone, use_service
from support.understanding import FakeModel, computer

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    CloseStream,
    RealtimeHandler,
    ReplyOnPause,
    ReplyOnStopWords,
    StreamHandler,
    VideoStreamHandler,
)
from gradio_webrtc._handlers import AppState, AudioGenerator, VideoFunction, VideoGenerator
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc._workers.workers import UserFunction, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._handlers import StreamHandlerBase

FRAME: Final = np.zeros((48, 64, 3), np.uint8)
ANSWER: Final = (700.0, 0.1)
"""Pitch and length of what a realtime service answers."""

AUDIO_HOOKS: Final = ("start_up", "on_message", "receive", "emit", "shutdown")
HOOKS: Final = (*AUDIO_HOOKS, "video_receive", "video_emit")
MESSAGE: Final = {"type": "chat", "data": "hello"}


class Diary:
    """Notes the hooks that ran, and raises in one of them."""

    def __init__(self, fails_in: str = "") -> None:
        super().__init__()
        self.fails_in = fails_in
        self.hooks: list[str] = []
        self.items: deque[Any] = deque()

    def note(self, hook: str) -> None:
        self.hooks.append(hook)
        if hook == self.fails_in:
            raise ValueError(hook)

    def copy(self) -> Any:
        return type(self)(self.fails_in)


class Sync(Diary, StreamHandler):
    def start_up(self) -> None:
        self.note("start_up")

    def on_message(self, data: Any) -> None:
        assert data == MESSAGE
        self.note("on_message")

    def receive(self, _frame: Any) -> None:
        self.items.append(CHUNK)
        self.note("receive")

    def emit(self) -> Any:
        self.note("emit")
        return self.items.popleft() if self.items else None

    def shutdown(self) -> None:
        self.note("shutdown")


class Async(Diary, AsyncStreamHandler):
    async def start_up(self) -> None:
        self.note("start_up")

    async def on_message(self, data: Any) -> None:
        assert data == MESSAGE
        self.note("on_message")

    async def receive(self, _frame: Any) -> None:
        self.items.append(CHUNK)
        self.note("receive")

    async def emit(self) -> Any:
        self.note("emit")
        return self.items.popleft() if self.items else None

    async def shutdown(self) -> None:
        self.note("shutdown")


class SyncVideo(Sync, AudioVideoStreamHandler):
    def video_receive(self, _frame: Any) -> None:
        self.note("video_receive")

    def video_emit(self) -> Any:
        self.note("video_emit")
        return FRAME


class AsyncVideo(Async, AsyncAudioVideoStreamHandler):
    async def video_receive(self, _frame: Any) -> None:
        self.note("video_receive")

    async def video_emit(self) -> Any:
        self.note("video_emit")
        return FRAME


class Realtime(Diary, RealtimeHandler):
    """Connected to a service within this process, which answers turns of its own finding."""

    def __init__(self, fails_in: str = "") -> None:
        RealtimeHandler.__init__(self, "ws://service.example", input_sample_rate=RATE_HZ)
        self.fails_in = fails_in
        self.hooks = []
        use_service(self, MemoryService(Script(answers=(ANSWER,))))

    async def start_up(self) -> None:
        await super().start_up()
        self.note("start_up")

    async def receive(self, frame: Any) -> None:
        await super().receive(frame)
        self.note("receive")

    async def emit(self) -> Any:
        item = await super().emit()
        self.note("emit")
        # What was spoken comes beside the audio.
        return item[0] if isinstance(item, tuple) and isinstance(item[0], tuple) else item

    def on_message(self, _data: Any) -> None:
        self.note("on_message")

    async def shutdown(self) -> None:
        self.note("shutdown")


def reply(_audio: Any) -> Iterator[Any]:
    yield CHUNK


async def reply_async(_audio: Any) -> AsyncIterator[Any]:
    yield CHUNK


def fail(*_: Any) -> Iterator[Any]:
    raise ValueError("fn")
    yield


def fail_at_once(*_: Any) -> Any:
    raise ValueError("fn")


async def fail_async(*_: Any) -> AsyncIterator[Any]:
    raise ValueError("fn")
    yield


def play(_name: str) -> Iterator[Any]:
    yield CHUNK


async def show(_name: str) -> AsyncIterator[Any]:
    yield FRAME


def on_pause(fn: Any) -> ReplyOnPause:
    return ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ)


def on_blocks(fn: Any) -> ReplyOnPause:
    """With a PauseDetectionModel of the user's own."""
    return ReplyOnPause(fn, model=Model(), input_sample_rate=RATE_HZ)


class OwnPause(ReplyOnPause):
    def determine_pause(self, audio: NDArray[Any], sampling_rate: int, state: AppState) -> bool:
        return super().determine_pause(audio, sampling_rate, state)


def on_own_pause(fn: Any) -> ReplyOnPause:
    return OwnPause(fn, model=Model(), input_sample_rate=RATE_HZ)


def on_word(fn: Any) -> ReplyOnStopWords:
    model, rate_hz = FakeModel(), RATE_HZ
    return ReplyOnStopWords(
        fn, ["computer"], vad=ScriptedVad, input_sample_rate=rate_hz, stt_model=model
    )


def video(fn: Any, kind: Callable[..., Any], **options: Any) -> Any:
    return kind(VideoStreamHandler(fn), **options)


class Case(NamedTuple):
    """A kind of handler.

    Attributes:
        make: Makes a template.
        failing: Makes one that raises, in its function or in the hook that is passed.
        hooks: The hooks in which a class may raise; none where the function is all there is.
        item: The first item that it emits.
    """

    make: Callable[[], Any]
    failing: Callable[..., Any]
    hooks: tuple[str, ...] = ()
    item: Any = CHUNK


HANDLERS: Final = {
    "StreamHandler": Case(Sync, Sync, AUDIO_HOOKS),
    "AsyncStreamHandler": Case(Async, Async, AUDIO_HOOKS),
    "AudioVideoStreamHandler": Case(SyncVideo, SyncVideo, HOOKS),
    "AsyncAudioVideoStreamHandler": Case(AsyncVideo, AsyncVideo, HOOKS),
    "RealtimeHandler": Case(
        Realtime,
        Realtime,
        AUDIO_HOOKS,
        (24_000, tone(*ANSWER).reshape(1, -1)),
    ),
    "ReplyOnPause": Case(lambda: on_pause(reply), lambda: on_pause(fail)),
    "ReplyOnPause, async": Case(lambda: on_pause(reply_async), lambda: on_pause(fail_async)),
    "ReplyOnPause, own model": Case(lambda: on_blocks(reply), lambda: on_blocks(fail)),
    "ReplyOnPause, own pause": Case(lambda: on_own_pause(reply), lambda: on_own_pause(fail)),
    "ReplyOnStopWords": Case(lambda: on_word(reply), lambda: on_word(fail)),
    "AudioGenerator": Case(lambda: AudioGenerator(play), lambda: AudioGenerator(fail)),
    "VideoGenerator": Case(
        lambda: video(show, VideoGenerator), lambda: video(fail_async, VideoGenerator), item=FRAME
    ),
    "VideoFunction": Case(
        lambda: video(lambda frame, _name: frame, VideoFunction, takes_inputs=True),
        lambda: video(fail_at_once, VideoFunction, takes_inputs=True),
        item=FRAME,
    ),
}


@pytest.fixture(params=HANDLERS.values(), ids=[*HANDLERS])
def case(request: pytest.FixtureRequest) -> Any:
    return request.param


class Driver:
    """Calls the hooks of one copy as a session does, and reports what they raise."""

    def __init__(self, handler: StreamHandlerBase) -> None:
        self.handler: Any = handler
        self.session = FakeSession()
        self.emitted: list[Any] = []
        self._worker = Worker("handler")
        handler.bind(self.session)

    async def start_up(self) -> None:
        await self._call(self.handler.start_up)
        self.handler.set_args(["Ada"])

    async def hold(self) -> None:
        """A message, and media in both directions, up to the first item."""
        await self._call(self.handler.on_message, MESSAGE)
        if hasattr(self.handler, "video_receive"):
            await self._call(self.handler.video_receive, FRAME)
        if isinstance(self.handler, ReplyOnStopWords):
            await self._receive(np.concatenate([computer(), audio_at(0.0, 20)], axis=1))
            await self.session.until(lambda: "stopword" in self.session.names)
        if not isinstance(self.handler, (VideoFunction, VideoGenerator)):
            # Speech and silence of a block of 0.6 s and more, for models that judge blocks.
            await self._receive(np.concatenate([audio_at(0.8, 40), audio_at(0.0, 40)], axis=1))
        await self._emit()

    async def end(self) -> None:
        await self._call(self.handler.shutdown)
        await self.handler.release()
        self._worker.close()

    async def _receive(self, samples: NDArray[np.int16]) -> None:
        for start in range(0, samples.shape[1], 960):
            frame = (RATE_HZ, samples[:, start : start + 960])
            await self._call(self.handler.session_receive, frame)

    async def _emit(self) -> None:
        if isinstance(self.handler, VideoFunction):
            await self._call(self.handler.fn, FRAME, *self.handler.inputs, keeps=True)
            return
        if hasattr(self.handler, "video_emit"):
            await self._call(self.handler.video_emit, keeps=True)
        if hasattr(self.handler, "emit"):
            await self.handler.wait_until_ready()
            await self._call(self.handler.session_emit, keeps=True)

    async def _call(self, fn: Any, *args: Any, keeps: bool = False) -> None:
        with guard(self.session.report):
            item = await UserFunction(fn, self._worker)(*args)
            if keeps:
                self.emitted.append(item)


async def live(handler: StreamHandlerBase) -> Driver:
    """A whole session."""
    driver = Driver(handler)
    await driver.start_up()
    await driver.hold()
    await driver.end()
    return driver


def is_same(item: Any, other: Any) -> bool:
    if isinstance(other, tuple):
        return isinstance(item, tuple) and item[0] == other[0] and np.array_equal(item[1], other[1])
    return np.array_equal(item, other)


async def until_gone(is_there: Callable[[], bool]) -> None:
    """Returns once threads have ended; their end has no event."""
    async with asyncio.timeout(10):
        while is_there():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)


async def test_a_copy_is_another_handler_of_the_same_kind(case: Case) -> None:
    template = case.make()
    first, second = template.copy(), template.copy()
    assert type(first) is type(second) is type(template)
    assert len({id(template), id(first), id(second)}) == 3


async def test_copies_share_no_session(case: Case) -> None:
    template = case.make()
    first, second = template.copy(), template.copy()
    first.bind(FakeSession("first"))
    first.set_args(["Ada"])
    for other in (template, second, first.copy()):
        assert other.latest_args == []
        assert not other.args_set.is_set()
        assert other.channel is None
        with pytest.raises(RuntimeError, match="in no session"):
            _ = other.loop
    await first.release()


async def test_a_session_runs_from_bind_to_release_without_an_error(case: Case) -> None:
    driver = await live(case.make().copy())
    assert driver.session.errors == []
    assert any(is_same(item, case.item) for item in driver.emitted)


async def test_a_template_serves_one_session_after_the_other(case: Case) -> None:
    template = case.make()
    drivers = [await live(template.copy()) for _ in range(2)]
    assert [driver.session.errors for driver in drivers] == [[], []]
    assert all(any(is_same(item, case.item) for item in each.emitted) for each in drivers)


async def test_the_end_may_come_at_any_time(case: Case) -> None:
    for steps in range(3):
        driver = Driver(case.make().copy())
        for step in (driver.start_up, driver.hold)[:steps]:
            await step()
        await driver.end()
        await driver.handler.release()
        assert driver.session.errors == []


async def test_late_calls_are_harmless(case: Case) -> None:
    driver = await live(case.make().copy())
    handler, events = driver.handler, list(driver.session.names)
    handler.set_args(["late"])
    handler.clear_queue()
    handler.send_message_sync("late")
    handler.send(["late"])
    await UserFunction(handler.on_message, Worker("late"))(MESSAGE)
    handler.reset()
    if isinstance(handler, ReplyOnPause):
        handler.generator = None
        handler.generator = iter([CHUNK])
        handler.event.set()
    await asyncio.sleep(0.05)
    assert driver.session.errors == []
    assert "response_starting" not in driver.session.names[len(events) :]
    await handler.release()


@pytest.mark.parametrize(
    ("case", "hook"),
    [
        pytest.param(case, hook, id=f"{name}-{hook}")
        for name, case in HANDLERS.items()
        for hook in case.hooks
    ],
)
async def test_an_error_in_a_hook_is_reported_and_ends_nothing_else(case: Case, hook: str) -> None:
    driver = await live(case.failing(hook).copy())
    assert {str(error) for error in driver.session.errors} == {hook}
    assert set(driver.handler.hooks) == set(case.hooks)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name) for name, case in HANDLERS.items() if not case.hooks],
)
async def test_an_error_of_the_function_is_reported_and_ends_nothing_else(case: Case) -> None:
    driver = await live(case.failing().copy())
    assert [str(error) for error in driver.session.errors] == ["fn"]
    assert all(item is None or isinstance(item, CloseStream) for item in driver.emitted)


async def test_release_frees_threads_and_tasks(case: Case) -> None:
    threads = set(threading.enumerate())
    driver = await live(case.make().copy())
    await until_gone(lambda: bool(set(threading.enumerate()) - threads))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert others == set()
    assert driver.session.errors == []


async def test_a_handler_is_freed_with_its_session(case: Case) -> None:
    threads = set(threading.enumerate())
    driver = await live(case.make().copy())
    await until_gone(lambda: bool(set(threading.enumerate()) - threads))
    handler = weakref.ref(driver.handler)
    del driver
    # Callbacks of the loop's own may hold it for one more turn.
    await asyncio.sleep(0)
    gc.collect()
    assert handler() is None

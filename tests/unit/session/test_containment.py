"""Whatever user code raises on the event loop is reported, and ends neither server nor session."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from support.signals import speech

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    ReplyOnPause,
)
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session
from gradio_webrtc._transport import PixelConverter, TimedFrame
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc._workers.user_code import (
    WatchedCoroutine,
    await_user_code,
    call_user_code,
    contain_user_code,
)
from gradio_webrtc.testing import FakeTransport, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc.types import EmitType

SAID = (48_000, np.zeros(24_000, np.int16))
PIECE = (24_000, np.full((1, 2_400), 9_000, np.int16))


class Ending(BaseException):
    """No Exception, and nothing that any code expects."""


ERRORS = [
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    Ending(),
    ValueError("no"),
    asyncio.CancelledError(),
]
IDS = [type(error).__name__ for error in ERRORS]


class Fine(AsyncStreamHandler):
    """Emits three pieces; its subclasses fail somewhere."""

    pieces = 3

    def copy(self) -> Any:
        return type(self)()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> EmitType:
        self.pieces -= 1
        return PIECE if self.pieces >= 0 else None


def _errors(simulation: Any) -> list[BaseException]:
    return [event.data["error"] for event in simulation.events if event.name == "error"]


def _is_of(reported: BaseException, error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled from within" in str(reported)
    return reported is error or reported.__cause__ is error


def _failing_in(hook: str, error: BaseException) -> Fine:
    async def fail(*_args: Any) -> None:
        raise error

    return type("Failing", (Fine,), {hook: fail})()  # type: ignore[no-any-return]


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
@pytest.mark.parametrize("hook", ["start_up", "receive", "emit", "shutdown"])
def test_it_is_reported_once_and_the_session_goes_on(hook: str, error: BaseException) -> None:
    simulation = simulate(_failing_in(hook, error), SAID)
    assert [_is_of(each, error) for each in _errors(simulation)] == [True]
    assert simulation.end_reason == "the recording is over"
    assert hook == "emit" or np.abs(simulation.audio[1]).max() > 200


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
def test_a_reply_that_raises_it_ends_and_the_next_is_given(error: BaseException) -> None:
    calls = 0

    async def reply(_audio: Any) -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        yield PIECE
        if calls == 1:
            raise error

    rate_hz, hello = speech("asterisk_hello_world_16k")
    silence = np.zeros(2 * rate_hz, np.int16)
    simulation = simulate(ReplyOnPause(reply), (rate_hz, np.concatenate([hello, silence, hello])))
    assert [_is_of(each, error) for each in _errors(simulation)] == [True]
    assert calls == 2


@pytest.mark.parametrize("error", ERRORS[:-1], ids=IDS[:-1])
def test_a_clean_up_may_raise_it_too(error: BaseException) -> None:
    calls = 0

    async def reply(_audio: Any) -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        try:
            yield PIECE
            while calls == 1:
                yield PIECE
        finally:
            raise error

    rate_hz, hello = speech("asterisk_hello_world_16k")
    silence = np.zeros(2 * rate_hz, np.int16)
    simulation = simulate(ReplyOnPause(reply), (rate_hz, np.concatenate([hello, silence, hello])))
    assert len(simulation.turns) == 2
    assert any(_is_of(each, error) for each in _errors(simulation))


class SelfCancelling(Fine):
    """Cancels the task that runs its code, once, in the way of a test."""

    def __init__(self, hook: str, how: str) -> None:
        super().__init__()
        self.hook, self.how = hook, how
        self.calls: Counter[str] = Counter()

    def copy(self) -> Any:
        return SelfCancelling(self.hook, self.how)

    async def _cancel(self, hook: str) -> None:
        self.calls[hook] += 1
        task = asyncio.current_task()
        if hook != self.hook or self.calls[hook] != 2 or task is None:
            return
        if self.how == "by a timer":
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            task.cancel()
        if self.how == "and swallows it":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        elif self.how != "and returns":
            await asyncio.sleep(0.01)

    async def receive(self, _frame: Any) -> None:
        await self._cancel("receive")

    async def emit(self) -> EmitType:
        await self._cancel("emit")
        return await super().emit()


@pytest.mark.parametrize("how", ["and returns", "and waits", "and swallows it", "by a timer"])
@pytest.mark.parametrize("hook", ["receive", "emit"])
def test_code_that_cancels_its_own_task_is_reported_and_called_again(hook: str, how: str) -> None:
    simulation = simulate(SelfCancelling(hook, how), SAID)
    assert isinstance(simulation.handler, SelfCancelling)
    [error] = _errors(simulation)
    assert "was cancelled, and not by the session" in str(error)
    assert (error.__cause__ is None) == (how == "and swallows it")
    assert simulation.handler.calls["receive"] >= 24
    assert simulation.handler.calls["emit"] > 4
    assert np.abs(simulation.audio[1]).max() > 200
    assert simulation.end_reason == "the recording is over"


class AlwaysCancelling(AsyncStreamHandler):
    """Cancels its task in each ``emit``."""

    def __init__(self) -> None:
        super().__init__()
        self.times_s: list[float] = []

    def copy(self) -> Any:
        return AlwaysCancelling()

    async def receive(self, _frame: Any) -> None: ...

    async def emit(self) -> EmitType:
        self.times_s.append(asyncio.get_running_loop().time())
        asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
        await asyncio.sleep(0)
        return None


def test_code_that_cancels_its_task_each_time_is_called_at_most_50_times_a_second() -> None:
    handler = simulate(AlwaysCancelling(), SAID).handler
    assert isinstance(handler, AlwaysCancelling)
    times_s = handler.times_s
    assert len(times_s) > 10
    assert min(np.diff(times_s)) > 0.019


def test_a_start_up_that_cancels_its_own_task_is_reported() -> None:
    class StartUp(Fine):
        async def start_up(self) -> None:
            asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
            await asyncio.sleep(0)

    simulation = simulate(StartUp(), SAID)
    [error] = _errors(simulation)
    assert "was cancelled, and not by the session" in str(error)
    assert np.abs(simulation.audio[1]).max() > 200


@pytest.mark.parametrize("waits", [True, False])
def test_a_reply_that_cancels_its_own_task_ends_and_the_next_is_given(*, waits: bool) -> None:
    calls = 0

    async def reply(_audio: Any) -> AsyncIterator[Any]:
        nonlocal calls
        calls += 1
        yield PIECE
        if calls == 1:
            asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
            if waits:
                await asyncio.sleep(0)
            yield PIECE

    rate_hz, hello = speech("asterisk_hello_world_16k")
    silence = np.zeros(2 * rate_hz, np.int16)
    simulation = simulate(ReplyOnPause(reply), (rate_hz, np.concatenate([hello, silence, hello])))
    [error] = _errors(simulation)
    assert "was cancelled, and not by the session" in str(error)
    assert "interrupted" not in [event.name for event in simulation.events]
    assert calls == 2


class Camera(FakeTransport):
    """A remote peer whose camera sends the same frame for ever."""

    def __init__(self) -> None:
        super().__init__(48_000, np.zeros(960, np.int16))
        self.frame = PixelConverter().to_planar(np.zeros((32, 32, 3), np.uint8))
        self.pts = 0

    def play_video(self, source: Any) -> None: ...

    async def receive_video_frame(self) -> TimedFrame:
        await asyncio.sleep(0.01)
        self.pts += 3_000
        return TimedFrame(self.pts, self.frame)


async def _until_reported(
    handler: StreamHandlerBase, modality: Any, calls: Callable[[], int]
) -> Any:
    events: list[Any] = []
    reported = asyncio.Event()

    def on_event(_time_s: float, name: str, data: dict[str, Any]) -> None:
        if name == "error":
            events.append(data["error"])
            reported.set()

    session = Session(
        "viewer", Camera(), handler, SessionConfig(modality=modality), on_event=on_event
    )
    running = asyncio.get_running_loop().create_task(session.run())
    await reported.wait()
    before = calls()
    while calls() < before + 3:  # noqa: ASYNC110 - it goes on with the next frames
        await asyncio.sleep(0.001)
    session.end("seen")
    await running
    return events[0]


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
@pytest.mark.parametrize("hook", ["video_receive", "video_emit"])
async def test_video_goes_on_after_it(hook: str, error: BaseException) -> None:
    calls = 0

    async def fail(*_args: Any) -> None:
        nonlocal calls
        calls += 1
        raise error

    async def nothing(*_args: Any) -> None: ...

    hooks = {"video_receive": nothing, "video_emit": nothing, "copy": Fine.copy, hook: fail}
    handler = type("Failing", (AsyncAudioVideoStreamHandler,), hooks)()
    assert _is_of(await _until_reported(handler, "audio-video", lambda: calls), error)


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
async def test_a_video_function_is_called_again_after_it(error: BaseException) -> None:
    calls = 0

    async def fail(_frame: Any) -> None:
        nonlocal calls
        calls += 1
        raise error

    template = make_template(fail, "send-receive", "video")
    assert _is_of(await _until_reported(template.copy(), "video", lambda: calls), error)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Ending()])
async def test_hooks_that_are_called_on_the_loop_are_contained(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__) as raised:
        call_user_code(fail)
    assert raised.value.__cause__ is error


class Stepwise:
    """An awaitable that is no coroutine: an iterator that nothing can be sent to."""

    def __await__(self) -> Any:
        return iter(())


async def test_any_awaitable_can_be_awaited() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    loop.call_soon(future.set_result, 3)
    assert await await_user_code(future, "future") == 3
    assert await await_user_code(Stepwise(), "iterator") is None


async def test_a_cancellation_reaches_the_code_and_its_waiter() -> None:
    began, cleaned = asyncio.Event(), []

    async def forever() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    waiting = asyncio.get_running_loop().create_task(await_user_code(forever(), "forever"))
    await began.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cleaned == [1]


async def test_a_timeout_around_it_is_one() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await await_user_code(asyncio.Event().wait(), "forever")


class Tasked(Fine):
    """Starts a task of its own, as programs do for whatever goes on beside."""

    error: BaseException = SystemExit(3)

    async def start_up(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.work(), name="work")

    async def work(self) -> None:
        await asyncio.sleep(0)
        raise self.error


@pytest.mark.parametrize("error", ERRORS[:2], ids=IDS[:2])
def test_a_task_of_the_users_own_ends_nothing_but_itself(error: BaseException) -> None:
    handler = type("Failing", (Tasked,), {"error": error})()
    simulation = simulate(handler, SAID)
    assert isinstance(simulation.handler, Tasked)
    reported = simulation.handler.task.exception()
    assert isinstance(reported, RuntimeError)
    assert reported.__cause__ is error
    assert simulation.handler.task.get_name() == "work"
    assert np.abs(simulation.audio[1]).max() > 200


async def test_tasks_outside_of_sessions_are_as_ever() -> None:
    loop = asyncio.get_running_loop()
    contain_user_code(loop, lambda _context: False)
    contain_user_code(loop, lambda _context: True)
    task = loop.create_task(asyncio.sleep(0))
    assert not isinstance(task.get_coro(), WatchedCoroutine)
    await task


async def test_a_task_that_is_cancelled_before_its_first_step_leaves_nothing_behind() -> None:
    loop, began = asyncio.get_running_loop(), []
    contain_user_code(loop, lambda _context: True)

    async def work() -> None:
        began.append(1)

    task = loop.create_task(work())
    coroutine = task.get_coro()
    assert isinstance(coroutine, WatchedCoroutine)
    assert coroutine.cr_code is work.__code__
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert began == []


class Calling(Fine):
    """Has the event loop call it back, in one of the ways that there are."""

    error: BaseException = SystemExit(3)
    way = "call_later"

    async def start_up(self) -> None:
        loop = asyncio.get_running_loop()
        match self.way:
            case "call_later":
                loop.call_later(0.01, self.fail)
            case "call_at":
                loop.call_at(loop.time() + 0.01, self.fail)
            case "a partial":
                loop.call_later(0.01, functools.partial(self.fail))
            case "call_soon_threadsafe":
                loop.call_soon_threadsafe(self.fail)
            case "a task of a thread":
                self.task = loop.create_task(asyncio.to_thread(self.fail))
            case "a task of a library":
                self.task = loop.create_task(anyio.to_thread.run_sync(self.fail))

    def fail(self) -> None:
        raise self.error


WAYS = [
    "call_later",
    "call_at",
    "a partial",
    "call_soon_threadsafe",
    "a task of a thread",
    "a task of a library",
]


@pytest.mark.parametrize("error", ERRORS[:2], ids=IDS[:2])
@pytest.mark.parametrize("way", WAYS)
async def test_what_the_loop_calls_back_ends_nothing_but_itself(
    way: str, error: BaseException
) -> None:
    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    raised: list[BaseException] = []

    def see(_loop: object, context: dict[str, Any]) -> None:
        raised.append(context["exception"])
        seen.set()

    loop.set_exception_handler(see)
    handler = type("Failing", (Calling,), {"error": error, "way": way})()
    transport = FakeTransport(48_000, np.zeros(960, np.int16))
    session = Session("1", transport, handler, SessionConfig())
    running = loop.create_task(session.run())
    if "task" in way:
        while not hasattr(handler, "task"):  # noqa: ASYNC110 - start_up is about to make it
            await asyncio.sleep(0)
        await asyncio.wait({handler.task})
        raised.append(handler.task.exception())
    else:
        await seen.wait()
    assert isinstance(raised[0], RuntimeError)
    assert raised[0].__cause__ is error
    session.end("seen")
    await running


async def test_timers_of_a_session_can_be_cancelled_and_take_arguments() -> None:
    loop, called = asyncio.get_running_loop(), asyncio.Event()
    contain_user_code(loop, lambda _context: True)
    given: list[object] = []
    loop.call_later(0, given.append, 1).cancel()
    loop.call_later(0, given.append, 2)
    loop.call_later(0.001, called.set)
    await called.wait()
    assert given == [2]

"""The handler of a session is made where its code may block; a mistake costs nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler, WebRTCError
from gradio_webrtc._handlers import (
    AudioGenerator,
    VideoFunction,
    VideoGenerator,
    VideoStreamHandler,
)
from gradio_webrtc._session.copying import HandlerMaker
from gradio_webrtc._workers.workers import orphaned_jobs
from gradio_webrtc.errors import HandlerError, HandlerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

colour: ContextVar[str] = ContextVar("colour")


class Sync(StreamHandler):
    """Made by a function of the test's; stores its thread."""

    make: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.made_in = threading.get_ident()

    def receive(self, frame: Any) -> None:
        raise NotImplementedError

    def emit(self) -> None:
        raise NotImplementedError

    def copy(self) -> Any:
        return type(self).make()


class Async(AsyncStreamHandler):
    """Makes a task when it is made, as realtime handlers do."""

    def __init__(self) -> None:
        super().__init__()
        self.made_in = threading.get_ident()

    async def receive(self, frame: Any) -> None:
        raise NotImplementedError

    async def emit(self) -> None:
        raise NotImplementedError

    def copy(self) -> Async:
        made = Async()
        asyncio.get_running_loop().create_future()
        return made


def made_by(make: Callable[[], Any]) -> HandlerMaker:
    template = type("Made", (Sync,), {"make": staticmethod(make)})()
    return HandlerMaker(template.copy)


async def refused(maker: HandlerMaker) -> HandlerUnavailable:
    with pytest.raises(HandlerUnavailable) as caught:
        await maker.make_for("client")
    return caught.value


async def test_a_sync_handler_is_made_in_a_thread_that_has_loop_and_context() -> None:
    seen: dict[str, Any] = {}

    def make() -> Sync:
        seen["loop"] = asyncio.get_event_loop()  # noqa: TID251 - what programs do
        seen["colour"] = colour.get()
        return Sync()

    colour.set("blue")
    handler = await made_by(make).make_for("client")
    assert isinstance(handler, Sync)
    assert handler.made_in != threading.get_ident()
    assert seen == {"loop": asyncio.get_running_loop(), "colour": "blue"}


async def test_the_thread_ends_with_the_copy() -> None:
    await made_by(Sync).make_for("client")
    for thread in threading.enumerate():
        if thread.name.startswith("copy-"):
            await asyncio.to_thread(thread.join)


async def test_an_async_handler_is_made_on_the_loop() -> None:
    handler = await HandlerMaker(Async().copy).make_for("client")
    assert isinstance(handler, Async)
    assert handler.made_in == threading.get_ident()


@pytest.mark.parametrize(
    "template",
    [
        ReplyOnPause(print),
        AudioGenerator(print),
        VideoFunction(VideoStreamHandler(print), takes_inputs=False),
        VideoGenerator(VideoStreamHandler(print)),
    ],
    ids=lambda template: type(template).__name__,
)
async def test_copies_of_ours_need_no_thread(
    template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    assert await HandlerMaker(template.copy).make_for("client") is not template


async def test_a_copy_that_needs_a_running_loop_is_called_again_on_it_and_from_then_on() -> None:
    where: list[int] = []

    def make() -> Sync:
        where.append(threading.get_ident())
        asyncio.get_running_loop()
        return Sync()

    maker, here = made_by(make), threading.get_ident()
    await maker.make_for("one")
    await maker.make_for("two")
    assert where[0] != here
    assert where[1:] == [here, here]


def failing(error: BaseException) -> Callable[[], Any]:
    def make() -> Any:
        raise error

    return make


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("the password is hunter2"),
        RuntimeError("hunter2"),
        TimeoutError("hunter2"),
        SystemExit("hunter2"),
        HandlerError("hunter2"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_was_raised_stays_in_the_log_under_an_id(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = await refused(made_by(failing(error)))
    assert "hunter2" not in str(refusal)
    assert "see the server's log" in str(refusal)
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    mark = record.getMessage().split(":")[0]
    assert f"(error {mark})" in str(refusal)
    assert "copy" in record.getMessage()
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_nothing_that_is_raised_on_the_loop_ends_the_server(error: BaseException) -> None:
    class Leaving(Async):
        def copy(self) -> Async:
            raise error

    refusal = await refused(HandlerMaker(Leaving().copy))
    assert "see the server's log" in str(refusal)


async def test_words_for_the_page_reach_it() -> None:
    refusal = await refused(made_by(failing(WebRTCError("The model is asleep."))))
    assert (str(refusal), refusal.title) == ("The model is asleep.", None)
    refusal = await refused(made_by(failing(gr.Error("No model.", title="Asleep"))))
    assert (str(refusal), refusal.title) == ("No model.", "Asleep")


async def test_an_error_that_is_not_to_be_shown_is_not() -> None:
    refusal = await refused(made_by(failing(gr.Error("No model.", visible=False))))
    assert "model" not in str(refusal)
    assert str(refusal)


async def test_a_copy_that_does_not_return_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    may_return = threading.Event()

    def make() -> Sync:
        may_return.wait()
        return Sync()

    template = type("Slow", (Sync,), {"make": staticmethod(make)})()
    refusal = await refused(HandlerMaker(template.copy, limit_s=0.01))
    assert "see the server's log" in str(refusal)
    assert "has not returned within 0.01 s" in caplog.text
    assert "start_up()" in caplog.text
    assert orphaned_jobs() == 1
    may_return.set()


async def none() -> None:
    """The result of an ``async def copy`` is no handler."""


@pytest.mark.parametrize(
    ("make", "came"),
    [
        (lambda: None, "returned None"),
        (lambda: Sync, "the class Sync, which has to be called"),
        (lambda: "handler", "a str"),
        (none, "a coroutine"),
    ],
)
async def test_what_is_no_handler_is_reported_with_what_to_write(
    make: Callable[[], Any], came: str, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(made_by(make))
    assert came in caplog.text
    assert "def copy(self): return Made(...)" in caplog.text


async def test_the_template_itself_serves_and_the_log_has_what_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Itself(Sync):
        def copy(self) -> Any:
            return self

    template = Itself()
    maker = HandlerMaker(template.copy)
    assert await maker.make_for("one") is template
    assert await maker.make_for("two") is template
    (record,) = caplog.records
    assert "returned the handler itself" in record.getMessage()
    assert "def copy(self): return Itself(...)" in record.getMessage()

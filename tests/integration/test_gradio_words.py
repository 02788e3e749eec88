"""gr.Error, gr.Warning, gr.Info and gr.Success in handlers reach the user of the session."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from support.client import Client
from support.serving import SessionServer
from support.signals import tone

from gradio_webrtc import (
    AsyncStreamHandler,
    ReplyOnPause,
    StreamHandler,
    VideoStreamHandler,
    get_current_context,
)
from gradio_webrtc._ui.streaming import make_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc.types import Modality, Mode

pytestmark = pytest.mark.network

LOUD = tone(30.0, 440)


def fail() -> None:
    raise gr.Error("No voice.", title="Upload one", duration=3)


def give_notices() -> None:
    gr.Warning("Too loud.", title="Mind", duration=None)
    gr.Info("Working.")
    gr.Success("Done.", duration=2)
    gr.Info("Nobody sees this.", visible=False)


FAILED = {"type": "error", "data": "No voice.", "title": "Upload one", "duration": 3}
NOTICES = [
    {"type": "warning", "data": "Too loud.", "title": "Mind", "duration": None},
    {"type": "info", "data": "Working.", "title": "Info", "duration": 10},
    {"type": "success", "data": "Done.", "title": "Success", "duration": 2},
]


def words(client: Client) -> list[dict[str, Any]]:
    kinds = ("error", "warning", "info", "success")
    return [
        {name: value for name, value in message.items() if name != "message"}
        for message in client.messages
        if message["type"] in kinds
    ]


async def call(
    template: StreamHandlerBase, expected: int, mode: Mode, modality: Modality = "audio"
) -> list[dict[str, Any]]:
    """The first words that a page gets in a session of this handler."""
    manager = SessionServer()
    manager.serve(template.copy, mode=mode, modality=modality)
    client = Client(manager, LOUD, mode=mode, modality=modality)
    await client.call()
    await client.until(lambda: len(words(client)) >= expected)
    await client.hang_up()
    await manager.wait_idle()
    return words(client)


def generator(act: Callable[[], None]) -> Any:
    def play() -> Any:
        act()
        yield (24_000, tone(0.1, 440, 24_000).reshape(1, -1))

    return play


def async_generator(act: Callable[[], None]) -> Any:
    async def play() -> Any:
        await asyncio.sleep(0)
        act()
        yield (24_000, tone(0.1, 440, 24_000).reshape(1, -1))

    return play


@pytest.mark.parametrize("shape", [generator, async_generator])
async def test_from_a_generator(shape: Any) -> None:
    played = make_template(shape(fail), "receive", "audio")
    assert await call(played, 1, "receive") == [FAILED]
    played = make_template(shape(give_notices), "receive", "audio")
    assert await call(played, 3, "receive") == NOTICES


@pytest.mark.parametrize(("act", "expected"), [(fail, [FAILED]), (give_notices, NOTICES)])
async def test_from_a_video_generator(act: Any, expected: Any) -> None:
    def show() -> Any:
        act()
        yield None

    shown = make_template(VideoStreamHandler(show), "receive", "video")
    assert await call(shown, len(expected), "receive", "video") == expected


async def test_from_a_video_function() -> None:
    def see(frame: Any) -> Any:
        give_notices()
        fail()
        return frame

    seen = make_template(see, "send-receive", "video")
    assert (await call(seen, 4, "send-receive", "video"))[:4] == [*NOTICES, FAILED]


async def test_from_the_turns_of_a_user() -> None:
    greeted = threading.Event()

    async def greet() -> Any:
        await asyncio.to_thread(give_notices)
        # From here on: a notice of a turn that is interrupted before it begins reaches nobody.
        greeted.set()
        yield None

    def reply(_audio: Any) -> Any:
        fail()
        yield None

    class Prompt(ReplyOnPause):
        """Answers a turn as soon as it was greeted and receives anything."""

        has_answered = False

        def receive(self, frame: Any) -> None:
            del frame
            if greeted.is_set() and not self.has_answered:
                self.has_answered = True
                self.trigger_response()

    assert await call(Prompt(reply, startup_fn=greet), 4, "send-receive") == [*NOTICES, FAILED]


class Sync(StreamHandler):
    """Gives notices in one of its methods."""

    def __init__(self, where: str, act: Callable[[], None]) -> None:
        super().__init__()
        self.where, self.act = where, act
        self._at("__init__")

    def _at(self, name: str) -> None:
        if self.where == name:
            self.where = ""
            self.act()

    def copy(self) -> Any:
        where, self.where = self.where, ""
        return type(self)(where, self.act)

    def start_up(self) -> None:
        self._at("start_up")

    def receive(self, frame: Any) -> None:
        del frame
        self._at("receive")

    def emit(self) -> None:
        self._at("emit")

    def set_args(self, args: list[Any]) -> None:
        super().set_args(args)
        self._at("set_args")


class Async(AsyncStreamHandler):
    """Gives notices in one of its methods, or in a task that it starts."""

    def __init__(self, where: str, act: Callable[[], None]) -> None:
        super().__init__()
        self.where, self.act = where, act
        if where == "task":
            self.task = asyncio.get_running_loop().create_task(self._at("task"))

    async def _at(self, name: str) -> None:
        if self.where == name:
            self.where = ""
            self.act()

    def copy(self) -> Any:
        return type(self)(self.where, self.act)

    async def start_up(self) -> None:
        await self._at("start_up")

    async def receive(self, frame: Any) -> None:
        del frame
        await self._at("receive")

    async def emit(self) -> None:
        await self._at("emit")


@pytest.mark.parametrize("where", ["start_up", "receive", "emit"])
@pytest.mark.parametrize("kind", [Sync, Async])
async def test_from_the_methods_of_a_handler(kind: Any, where: str) -> None:
    assert await call(kind(where, give_notices), 3, "send-receive") == NOTICES
    assert await call(kind(where, fail), 1, "send-receive") == [FAILED]


async def test_from_a_handler_in_the_making() -> None:
    template = Sync("", give_notices)
    template.where = "__init__"
    assert await call(template, 3, "send-receive") == NOTICES


async def test_from_a_task_that_a_handler_starts_when_it_is_made() -> None:
    template = Async("", give_notices)
    template.where = "task"
    assert await call(template, 3, "send-receive") == NOTICES


async def test_from_what_the_page_sends() -> None:
    manager = SessionServer()
    manager.serve(Sync("set_args", give_notices).copy)
    client = Client(manager)
    await client.call()
    client.send_inputs("value")
    await client.until(lambda: len(words(client)) >= 3)
    await client.hang_up()
    await manager.wait_idle()
    assert words(client) == NOTICES


async def test_a_progress_bar_does_no_harm() -> None:
    played = asyncio.Event()
    loop = asyncio.get_running_loop()

    def play(progress: Any = gr.Progress()) -> Any:  # noqa: B008 - Gradio's own habit
        progress(0.1, desc="Reading")
        for _ in progress.tqdm(range(2)):
            yield (24_000, tone(0.1, 440, 24_000).reshape(1, -1))
        loop.call_soon_threadsafe(played.set)

    manager = SessionServer()
    manager.serve(make_template(play, "receive", "audio").copy, mode="receive")
    client = Client(manager, mode="receive")
    await client.call()
    await played.wait()
    await client.ended.wait()
    await client.hang_up()
    await manager.wait_idle()
    assert words(client) == []


async def test_outside_of_a_session_they_do_what_gradio_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await call(Sync("emit", give_notices), 3, "send-receive")
    assert LocalContext.event_id.get(None) is None
    with pytest.raises(RuntimeError, match="No context"):
        get_current_context()
    with pytest.warns(UserWarning, match="Too loud"):
        gr.Warning("Too loud.")
    gr.Info("Working.")
    assert "Working." in capsys.readouterr().out

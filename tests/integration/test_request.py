"""A handler can find out who is calling: the request of the offer, as in Gradio's own events."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
import uvicorn
from aioice import ice
from fastapi import FastAPI, Request
from support.client import Client
from support.page import PageClient, open_page
from support.serving import SessionServer, server_of

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler, WebRTC
from gradio_webrtc._handlers import current_channel, current_context, get_current_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.network

Seen = dict[str, Any]


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


class Notebook:
    """The requests that each part of a handler's code saw, and an event for all of them."""

    def __init__(self, *places: str) -> None:
        self.seen: Seen = {}
        self.is_full = threading.Event()
        self._places = set(places)

    def note(self, place: str) -> None:
        self.seen.setdefault(place, get_current_context().request)
        if set(self.seen) >= self._places:
            self.is_full.set()


class Sync(StreamHandler):
    def __init__(self, notes: Notebook) -> None:
        super().__init__()
        self.notes = notes

    def copy(self) -> Sync:
        self.notes.note("copy")
        return type(self)(self.notes)

    def start_up(self) -> None:
        self.notes.note("start_up")

    def set_args(self, args: list[Any]) -> None:
        super().set_args(args)
        self.notes.note("set_args")

    def receive(self, frame: Any) -> None:
        del frame
        self.fetch()
        self.notes.note("receive")

    def fetch(self) -> None:
        self.channel.send('{"type": "send_input", "data": []}')  # type: ignore[union-attr]

    def emit(self) -> None:
        self.notes.note("emit")

    def shutdown(self) -> None:
        self.notes.note("shutdown")


class Async(AsyncStreamHandler):
    def __init__(self, notes: Notebook) -> None:
        super().__init__()
        self.notes = notes
        self.task = asyncio.get_running_loop().create_task(self.work())

    async def work(self) -> None:
        self.notes.note("task")

    def copy(self) -> Async:
        return Async(self.notes)

    async def start_up(self) -> None:
        self.notes.note("start_up")

    async def receive(self, frame: Any) -> None:
        del frame
        self.notes.note("receive")

    async def emit(self) -> None:
        await asyncio.to_thread(self.notes.note, "emit")

    async def shutdown(self) -> None:
        self.notes.note("shutdown")


class Site:
    """A page with one component, served on this event loop.

    Attributes:
        url: The address of the page.
    """

    def __init__(self, handler: Any) -> None:
        self.url = ""
        with gr.Blocks() as self.page:
            self._call = WebRTC(modality="audio", mode="send-receive")
            self._call.stream(handler, inputs=[self._call], outputs=[self._call])

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[None]:
        app = gr.mount_gradio_app(FastAPI(), self.page, "/voice", **options)
        server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        serving = asyncio.get_running_loop().create_task(server.serve())
        await server.is_up.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/voice"
        yield
        await self._call._sessions.wait_idle()  # noqa: SLF001 - what it leaves is freed
        server.should_exit = True
        await serving


class Server(uvicorn.Server):
    """Sets an event when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


async def hold(
    site: Site, notes: Notebook, kind: type[PageClient] = PageClient, **options: Any
) -> str:
    """Calls until everything was seen; gives the page's session."""
    login = ("ann", "x") if "auth" in options else None
    async with site.serving(**options), open_page(site.url, login=login) as page:
        client = kind(page)
        await client.call()
        await asyncio.to_thread(notes.is_full.wait)
        await client.hang_up()
        return page._session_hash  # noqa: SLF001 - what the page calls itself


PLACES = ("copy", "start_up", "set_args", "receive", "emit")


async def test_every_part_of_a_sync_handler_sees_the_user() -> None:
    notes = Notebook(*PLACES)
    session = await hold(Site(Sync(notes)), notes, auth=("ann", "x"))
    for place in PLACES:
        request = notes.seen[place]
        assert isinstance(request, gr.Request), place
        assert request.username == "ann", place
        assert request.session_hash == session
        assert request.client.host == "127.0.0.1"
        assert "httpx" in request.headers["user-agent"]
        assert dict(request.query_params) == {}
        assert "'ann'" in str(request)


async def test_every_part_of_an_async_handler_sees_the_user() -> None:
    places = ("task", "start_up", "receive", "emit", "shutdown")
    notes = Notebook(*places)

    class Made(AsyncStreamHandler):
        """The template, which is made outside of any loop and of any session."""

        def copy(self) -> Any:
            return Async(notes)

        async def receive(self, frame: Any) -> None:
            raise NotImplementedError

        async def emit(self) -> None:
            raise NotImplementedError

    manager = SessionServer()
    manager.serve(Made().copy)
    client = Client(manager)
    request = gr.Request(username="bob")
    answer = await manager.handle_request(await client.offer(), request)
    assert "secret" in answer
    assert await manager.handle_request({**answer, "type": "close"}) == {"status": "success"}
    await manager.wait_idle()
    await client.hang_up()
    assert notes.seen["task"] is request
    assert notes.seen["shutdown"] is request


async def test_the_function_behind_a_turn_sees_the_user() -> None:
    notes = Notebook("greet", "reply")

    class Prompt(ReplyOnPause):
        """Answers a turn as soon as it receives anything."""

        def receive(self, frame: Any) -> None:
            del frame
            if not notes.is_full.is_set():
                self.trigger_response()

    def greet() -> Any:
        notes.note("greet")
        yield None

    async def reply(_audio: Any) -> Any:
        notes.note("reply")
        yield None

    await hold(Site(Prompt(reply, startup_fn=greet)), notes, auth=("ann", "x"))
    assert {place: request.username for place, request in notes.seen.items()} == {
        "greet": "ann",
        "reply": "ann",
    }


async def test_without_a_login_there_is_a_request_without_a_user() -> None:
    notes = Notebook("start_up")
    session = await hold(Site(Sync(notes)), notes)
    assert notes.seen["start_up"].username is None
    assert notes.seen["start_up"].session_hash == session


async def test_the_query_of_the_page_comes_with_its_offer() -> None:
    notes = Notebook("start_up")

    class Addressed(PageClient):
        async def offer(self) -> dict[str, Any]:
            return {**await super().offer(), "query": "?room=7&name=J%C3%BCrgen"}

    await hold(Site(Sync(notes)), notes, Addressed)
    assert dict(notes.seen["start_up"].query_params) == {"room": "7", "name": "Jürgen"}


@pytest.mark.parametrize("query", [7, {"room": 7}, "?" + "x" * 100_000, "?\u20ac"])
async def test_a_query_of_somebody_elses_making_does_no_harm(
    query: Any,
) -> None:
    notes = Notebook("start_up")

    class Hostile(PageClient):
        async def offer(self) -> dict[str, Any]:
            return {**await super().offer(), "query": query}

    await hold(Site(Sync(notes)), notes, Hostile)
    assert "room" not in notes.seen["start_up"].query_params


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_user_of_an_app_that_it_is_mounted_in(*, is_async: bool) -> None:
    notes = Notebook("start_up")

    def user_of(request: Request) -> str | None:
        return request.headers.get("x-user", "carol")

    async def user_of_async(request: Request) -> str | None:
        return user_of(request)

    depends = user_of_async if is_async else user_of
    await hold(Site(Sync(notes)), notes, auth_dependency=depends)
    assert notes.seen["start_up"].username == "carol"


async def test_an_offer_that_a_program_hands_over_has_no_request() -> None:
    notes = Notebook("start_up")
    with gr.Blocks():
        call = WebRTC(modality="audio", mode="send-receive")
        call.stream(Sync(notes), inputs=[call], outputs=[call])
    sessions = server_of(call)
    client = Client(sessions)
    answer = await call.offer(await client.offer())
    assert answer["type"] == "answer"
    await sessions.close()
    await client.hang_up()
    assert notes.seen["copy"] is None


async def test_the_names_of_old_are_set_in_a_session_and_nowhere_else() -> None:
    seen: list[Any] = []

    class Old(Sync):
        def start_up(self) -> None:
            seen.extend([current_context.get(), current_channel.get()])
            self.notes.is_full.set()

        def copy(self) -> Sync:
            return Old(self.notes)

    manager, notes = SessionServer(), Notebook()
    manager.serve(Old(notes).copy)
    client = Client(manager)
    await client.call()
    await asyncio.to_thread(notes.is_full.wait)
    await client.hang_up()
    await manager.wait_idle()
    context, channel = seen
    assert context.webrtc_id == client.webrtc_id
    assert callable(channel.send)
    assert current_context.get() is None
    assert current_channel.get() is None

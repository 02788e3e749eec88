"""The objects of a session are freed when it is over, without a garbage collection."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from fastapi import FastAPI
from support.client import Client
from support.serving import SessionServer
from support.signals import tone
from support.socket_clients import PageSocket, SocketClient, Twilio
from support.uvicorn_server import serving as served

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, Stream
from gradio_webrtc._session.session import Session
from gradio_webrtc._transport.opus import OpusDecoder, OpusEncoder
from gradio_webrtc._transport.ordered import OrderedTransport
from gradio_webrtc._transport.webrtc.aiortc_internals.datagram_guard import DatagramGuard
from gradio_webrtc._transport.webrtc.audio import AudioSender
from gradio_webrtc._transport.webrtc.peer import PeerTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradio_webrtc._handlers import StreamHandlerBase

KINDS = (Session, OrderedTransport, PeerTransport, RTCPeerConnection, AudioSender, DatagramGuard)
CODECS = (OpusEncoder, OpusDecoder)


class Greeting(AsyncStreamHandler):
    """Emits a tone, again and again."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        await asyncio.sleep(0.02)
        return (48_000, np.full((1, 960), 9_000, np.int16))

    def copy(self) -> Greeting:
        return Greeting()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Everything of these kinds that is made, with nothing to keep it alive."""
    found: list[weakref.ref[Any]] = []
    for kind in (*KINDS, *CODECS):
        init = kind.__init__

        def remember(self: Any, *args: Any, _init: Any = init, **options: Any) -> None:
            found.append(weakref.ref(self))
            _init(self, *args, **options)

        monkeypatch.setattr(kind, "__init__", remember)
    return found


@contextmanager
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serving() -> SessionServer:
    manager = SessionServer()
    manager.serve(Greeting().copy, concurrency_limit=9)
    return manager


def alive(made: list[weakref.ref[Any]], client: Client | None = None) -> list[str]:
    own = None if client is None else client.pc
    left = [each() for each in made]
    return [type(each).__name__ for each in left if each is not None and each is not own]


@pytest.mark.parametrize("end", ["a request", "a hang-up", "our own decision"])
async def test_a_session_that_is_over(end: str, made: list[weakref.ref[Any]]) -> None:
    manager = serving()
    client = Client(manager, tone(1.0, 440))
    with without_collections():
        await client.call()
        await client.until(lambda: client.loud_seconds() > 0.1)
        match end:
            case "a request":
                body = {"type": "close", "webrtc_id": client.webrtc_id, "secret": client.secret}
                await manager.handle_request(body)
            case "a hang-up":
                await client.hang_up()
            case "our own decision":
                manager.end(client.webrtc_id, "enough")
        await manager.wait_idle()
        await client.hang_up()
        # The callbacks of the end run in the next turn of the event loop.
        await asyncio.sleep(0.05)
        assert alive(made, client) == []


async def test_an_offer_of_which_nothing_came(made: list[weakref.ref[Any]]) -> None:
    manager = serving()
    client = Client(manager)
    with without_collections():
        answer = await manager.handle_request(await client.offer())
        body = {"type": "close", "webrtc_id": answer["webrtc_id"], "secret": answer["secret"]}
        await manager.handle_request(body)
        await manager.wait_idle()
        await client.hang_up()
        await asyncio.sleep(0.05)
        assert alive(made, client) == []


def reply(_audio: Any) -> Iterator[Any]:
    yield (48_000, np.full((1, 48_000), 9_000, np.int16))


async def answer(_audio: Any) -> Any:
    yield (48_000, np.full((1, 48_000), 9_000, np.int16))


def greet() -> Iterator[Any]:
    yield (48_000, np.full((1, 48_000), 9_000, np.int16))


@pytest.mark.parametrize(
    "template",
    [
        Greeting(),
        ReplyOnPause(reply, startup_fn=greet),
        ReplyOnPause(answer, startup_fn=greet),
    ],
    ids=["async handler", "generator", "async generator"],
)
async def test_the_handler_of_a_session(template: StreamHandlerBase) -> None:
    copies: list[weakref.ref[Any]] = []

    def make() -> StreamHandlerBase:
        made = template.copy()
        copies.append(weakref.ref(made))
        return made

    manager = SessionServer()
    manager.serve(make)
    client = Client(manager, tone(1.0, 440))
    with without_collections():
        await client.call()
        await client.until(lambda: client.loud_seconds() > 0.1)
        await client.hang_up()
        await manager.wait_idle()
        await asyncio.sleep(0.05)
        assert [each() for each in copies] == [None]


@pytest.mark.parametrize("kind", [PageSocket, Twilio])
@pytest.mark.parametrize("end", ["the client", "the server"])
async def test_a_session_over_a_websocket(
    end: str, kind: Any, made: list[weakref.ref[Any]]
) -> None:
    stream = Stream(Greeting(), modality="audio")
    app = FastAPI()
    stream.mount(app)
    async with served(app) as host:
        client: SocketClient = kind(host)
        with without_collections():
            await kind.call(client)
            await client.until(lambda: client.samples > 4_000)
            copies = [weakref.ref(each) for each in stream.handlers.values()]
            if end == "the client":
                await client.leave()
            else:
                (webrtc_id,) = stream.handlers
                stream.close(webrtc_id, "enough")
                await client.closed.wait()
            await stream.webrtc_component.signaling.sessions.wait_idle()
            await client.leave()
            await asyncio.sleep(0.05)
            assert len(made) == 2
            assert alive([*made, *copies]) == []

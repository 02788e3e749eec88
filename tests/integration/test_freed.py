"""The objects of a session are freed when it is over, without a garbage collection."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from fastapi import FastAPI
from support.client import Client
from support.link_client import LinkClient
from support.link_server import AppServer
from support.serving import SessionServer
from support.signals import tone
from support.socket_clients import PageSocket, SocketClient, Twilio
from support.uvicorn_server import serving as served

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, Stream
from gradio_webrtc._addresses import ServerAddresses
from gradio_webrtc._server import ended_links
from gradio_webrtc._server.link import LinkRoutes
from gradio_webrtc._session.origins import Site
from gradio_webrtc._session.session import Session
from gradio_webrtc._transport.link import transport as link
from gradio_webrtc._transport.ordered import OrderedTransport
from gradio_webrtc._transport.webrtc.aiortc_internals.datagram_guard import DatagramGuard
from gradio_webrtc._transport.webrtc.aiortc_internals.own_sockets import OwnSockets
from gradio_webrtc._transport.webrtc.aiortc_internals.udp_mux import UdpMux
from gradio_webrtc._transport.webrtc.audio import AudioSender
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver
from gradio_webrtc._transport.webrtc.peer import PeerTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gradio_webrtc._handlers import StreamHandlerBase

KINDS = (
    Session,
    OrderedTransport,
    PeerTransport,
    RTCPeerConnection,
    AudioSender,
    DatagramGuard,
    OwnSockets,
    UdpMux,
    # What has a codec, which is not Python's.
    AudioSender,
    OpusReceiver,
)


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
    for kind in KINDS:
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


def serving(**terms: Any) -> SessionServer:
    manager = SessionServer()
    manager.serve(Greeting().copy, concurrency_limit=9, **terms)
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


@pytest.mark.parametrize("count", [1, 3])
async def test_a_session_on_chosen_ports(count: int, made: list[weakref.ref[Any]]) -> None:
    begin = random.randrange(20_000, 30_000)  # noqa: S311  # no secret
    addresses = ServerAddresses(range(begin, begin + count))
    manager = serving(addresses=addresses)
    client = Client(manager, tone(1.0, 440))
    with without_collections():
        await client.call()
        await client.until(lambda: client.loud_seconds() > 0.1)
        assert "OwnSockets" in alive(made, client)
        await client.hang_up()
        await manager.wait_idle()
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


@pytest.mark.parametrize("carrier", ["websocket", "http"])
@pytest.mark.parametrize("end", ["a goodbye", "an outage", "our own decision"])
async def test_a_session_over_a_link_that_is_over(
    end: str, carrier: Any, made: list[weakref.ref[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "RESUME_S", 0.1)
    # The link alone stays for a while, for a client that did not get the end.
    monkeypatch.setattr(ended_links, "KEPT_S", 0.0)
    manager = serving()
    with without_collections():
        async with linked(manager, carrier) as client:
            await client.until(lambda: client.received_audio().size > 4_800)
            match end:
                case "a goodbye":
                    await client.leave()
                case "an outage":
                    await client.vanish()
                case "our own decision":
                    manager.end(client.answer["webrtc_id"], "enough")
                    await client.until(lambda: client.reason is not None)
            await manager.wait_idle()
        await asyncio.sleep(0.05)
        assert [type(each()).__name__ for each in made if each() is not None] == []


@asynccontextmanager
async def linked(manager: SessionServer, carrier: Any) -> AsyncIterator[LinkClient]:
    """A client over a link, behind a server of its own."""
    routes, app = LinkRoutes(), FastAPI()
    routes.serve(manager.signaling, Site())
    app.router.add_websocket_route("/link", routes.websocket)
    app.add_api_route("/link", routes.get, methods=["GET"])
    app.add_api_route("/link", routes.post, methods=["POST"])
    server = AppServer(app)
    root = await server.start()
    asked = {"type": "link", "audio": {"codecs": ["pcm16"]}}
    client = LinkClient(f"{root}/link", await manager.handle_request(asked), carrier=carrier)
    await client.join()
    yield client
    await client.leave()
    await server.stop()


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

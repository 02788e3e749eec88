"""Sessions over links, through a real server: beside the other routes of a `Stream`."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import websockets
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from support.link_client import BYE, TEXT, LinkClient, write
from support.link_server import AppServer
from support.posting import Posting, client_of
from support.signals import chirp, pieces_found, tone
from websockets.asyncio.client import connect

from gradio_webrtc import CloseStream, Limits, StreamHandler
from gradio_webrtc._server import link as routes
from gradio_webrtc._server.sockets import MAX_MESSAGE_BYTES
from gradio_webrtc._session import session
from gradio_webrtc._transport.link import transport as module
from gradio_webrtc.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from support.link_client import CarrierKind

CARRIERS: list[CarrierKind] = ["websocket", "http"]
ASKED = {"codecs": ["opus", "pcm16"]}


class Echo(StreamHandler):
    """Sends the user's audio back."""

    def __init__(self) -> None:
        super().__init__(output_sample_rate=48_000, input_sample_rate=48_000)
        self.frames: SimpleQueue[tuple[int, NDArray[np.int16]]] = SimpleQueue()

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.frames.put(frame)

    def emit(self) -> Any:
        return self.frames.get()

    def copy(self) -> Echo:
        return Echo()


class Farewell(StreamHandler):
    """Plays a second of audio, and ends the session."""

    def __init__(self) -> None:
        super().__init__(output_sample_rate=48_000)
        self._items = [(48_000, chirp(1.0).reshape(1, -1)), CloseStream("That was all.")]

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return self._items.pop(0) if self._items else None

    def copy(self) -> Farewell:
        return Farewell()


class Talker(StreamHandler):
    """Plays a tone without an end, until the user makes a noise."""

    def __init__(self) -> None:
        super().__init__()
        self._is_quiet = False

    def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        if not self._is_quiet and np.abs(frame[1]).max() > 5_000:
            self._is_quiet = True
            self.clear_queue()

    def emit(self) -> Any:
        return None if self._is_quiet else (24_000, tone(0.1, 440).reshape(1, -1))

    def copy(self) -> Talker:
        return Talker()


class Place:
    """A stream behind a server, and a program that asks it for sessions.

    Attributes:
        stream: The stream.
        http: Sends requests to the server.
        folder: The address of the folder of its routes.
    """

    def __init__(self, stream: Stream, http: httpx.AsyncClient, folder: str) -> None:
        self.stream = stream
        self.http = http
        self.folder = folder
        self._clients: list[LinkClient] = []
        self._asked = 0

    @property
    def link(self) -> str:
        return f"{self.folder}link"

    async def ask(self, **body: Any) -> Any:
        """The answer to a request for a link."""
        self._asked += 1
        named = {"type": "link", "webrtc_id": f"number-{self._asked}", "audio": ASKED}
        reply = await self.http.post(f"{self.folder}offer", json=named | body)
        return reply.raise_for_status().json()

    async def client(
        self, microphone: Any = None, carrier: CarrierKind = "websocket", **body: Any
    ) -> LinkClient:
        """A client whose carrier is open."""
        answer = await self.ask(**body)
        assert "secret" in answer, answer
        url = self.folder + answer["path"]
        self._clients.append(LinkClient(url, answer, microphone, carrier=carrier))
        await self._clients[-1].join()
        return self._clients[-1]

    async def gone(self) -> None:
        """Returns once no session is left."""
        await self.stream.webrtc_component.signaling.sessions.wait_idle()

    async def close(self) -> None:
        for each in self._clients:
            await each.leave()
        await self.gone()


@asynccontextmanager
async def serving(
    handler: Any = None, *, app: Any = None, path: str = "", **options: Any
) -> AsyncIterator[Place]:
    stream = Stream(handler or Echo(), modality="audio", mode="send-receive", **options)
    app = app or FastAPI()
    stream.mount(app, path)
    server = AppServer(app)
    root = await server.start()
    async with httpx.AsyncClient() as http:
        place = Place(stream, http, f"{root}{path}/webrtc/")
        try:
            yield place
        finally:
            await place.close()
            await server.stop()


async def refusal_of(url: str, *protocols: str, **headers: str) -> int:
    """The status with which a WebSocket is refused."""
    options: Any = {"subprotocols": protocols or None, **headers}
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(url.replace("http", "ws"), **options):
            pass
    return refused.value.response.status_code


# ------------------------------------------------------------------------------ audio


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("codec", ["opus", "pcm16"])
async def test_a_client_talks_and_is_answered(carrier: CarrierKind, codec: str) -> None:
    said = chirp(1.0)
    async with serving() as place:
        audio = {"codecs": [codec], "rate": 48_000}
        client = await place.client(np.concatenate([tone(0.5, 200), said]), carrier, audio=audio)
        assert client.answer["audio"] == {"codec": codec, "rate": 48_000}
        await client.until(lambda: client.received_audio().size > 2 * 48_000)
        found = pieces_found(client.received_audio(), said)
        assert min(found) >= 0
        assert found == sorted(found)
        await client.until(lambda: client.acknowledged > 0)
        stats = place.stream.stats(client.answer["webrtc_id"])
        assert stats is not None
        assert stats.transport.round_trip_time_s is not None


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_stream_below_a_path_has_its_link_there(carrier: CarrierKind) -> None:
    async with serving(path="/talk") as place:
        client = await place.client(tone(0.5, 200), carrier)
        await client.until(lambda: client.received_audio().size > 24_000)


@pytest.mark.parametrize("carriers", [("websocket", "http"), ("http", "websocket")])
async def test_nothing_is_lost_in_an_outage(carriers: tuple[CarrierKind, CarrierKind]) -> None:
    """All of the audio, in order, both ways, with the same handler; over the other carrier then.

    What waited in the outage is played faster for a moment: a few pieces are shortened, none is
    left out.
    """
    said = chirp(5.0)
    async with serving() as place:
        client = await place.client(said, carriers[0])
        (handler,) = place.stream.handlers.values()
        await client.until(lambda: client.received_audio().size > 2 * 48_000)
        await client.drop()
        await asyncio.sleep(2.0)
        await client.open(carriers[1])
        await client.until(lambda: client.received_audio().size >= 5.2 * 48_000)
        assert [*place.stream.handlers.values()] == [handler]
        found = pieces_found(client.received_audio(), said)
        places = [each for each in found if each >= 0]
        assert len(places) >= len(found) - 3
        assert places == sorted(places)
        stats = place.stream.stats(client.answer["webrtc_id"])
        assert stats is not None
        assert stats.transport.packets_lost == stats.transport.packets_discarded == 0
        assert stats.audio_frames_dropped == 0


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_reply_ends_the_session_after_its_last_audio(carrier: CarrierKind) -> None:
    async with serving(Farewell()) as place:
        client = await place.client(carrier=carrier)
        await client.until(lambda: client.reason is not None)
        assert min(pieces_found(client.received_audio(), chirp(1.0))[:-1]) >= 0
        assert client.texts[-1]["type"] == "end_stream"
        assert client.texts[-1]["data"] == "That was all."
        await place.gone()
        if carrier == "websocket":
            await client.until(lambda: bool(client.codes))
            assert client.codes == [1000]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_barge_in_empties_the_clients_buffer(carrier: CarrierKind) -> None:
    async with serving(Talker()) as place:
        client = await place.client(
            np.concatenate([np.zeros(48_000, np.int16), tone(1.0, 300)]), carrier
        )
        await client.until(lambda: client.cleared > 0)
        at = client.kinds.index(5)
        await asyncio.sleep(0.3)
        # What a running step still returned, and the silence that follows each reply.
        assert len(client.kinds) - at < 40


# ------------------------------------------------------------------------------ the end


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_goodbye_frees_the_place_at_once(carrier: CarrierKind) -> None:
    async with serving(concurrency_limit=1) as place:
        client = await place.client(carrier=carrier)
        refused = await place.ask()
        assert refused["meta"] == {
            "error": "concurrency_limit_reached",
            "message": "at most 1 calls at once, and all are taken: try again later",
            "limit": 1,
        }
        webrtc = client_of(Posting(place.http, f"{place.folder}offer", sends_secret=True))
        assert (await webrtc.call())["status"] == "failed", "the limit counts all transports"
        await client.leave()
        await place.gone()
        await place.client(carrier=carrier)


async def test_a_goodbye_may_come_by_a_post_beside_a_websocket() -> None:
    async with serving() as place:
        client = await place.client()
        headers = {"x-link-session": client.session}
        reply = await place.http.post(place.link, content=write(BYE), headers=headers)
        assert reply.status_code == 204
        await place.gone()
        await client.until(lambda: client.codes == [1000])


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_client_that_vanishes_is_gone(
    carrier: CarrierKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESUME_S", 0.2)
    monkeypatch.setattr(module, "VANISHED_S", 0.5)
    async with serving() as place:
        client = await place.client(carrier=carrier)
        await client.vanish()
        await place.gone()
        assert place.stream.handlers == {}


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_server_that_stops_sends_the_reason(carrier: CarrierKind) -> None:
    async with serving() as place:
        client = await place.client(carrier=carrier)
        await place.stream.drain()
        await client.until(lambda: client.reason is not None)
        assert client.texts[-1]["code"] == "server_stopping"
        assert (await place.ask())["meta"]["error"] == "server_stopping"


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_client_that_sends_too_much_is_sent_the_reason(carrier: CarrierKind) -> None:
    async with serving(limits=Limits(message_bytes=1024)) as place:
        client = await place.client(carrier=carrier)
        client.write_text("x" * 1025)
        await client.until(lambda: client.reason is not None)
        assert client.texts[-1] == {
            "type": "end_stream",
            "data": "The connection was closed: a message was larger than 1024 bytes.",
        }
        await place.gone()


async def test_a_time_limit_counts_for_links() -> None:
    async with serving(time_limit=0.3) as place:
        client = await place.client()
        await client.until(lambda: client.reason is not None)
        assert "time limit" in client.texts[-1]["data"]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_client_that_is_away_at_the_end_comes_back_for_the_reason(
    carrier: CarrierKind,
) -> None:
    async with serving(time_limit=0.3) as place:
        client = await place.client(carrier=carrier)
        await client.drop()
        await asyncio.sleep(1.2)
        await client.open()
        await client.until(lambda: client.reason is not None)
        assert "time limit" in client.texts[-1]["data"]
        await place.gone()


async def test_the_end_waits_for_a_client_that_is_away_for_some_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "AWAY_S", 0.2)
    async with serving(time_limit=0.3) as place:
        client = await place.client()
        await client.drop()
        await place.gone()
        # The reason is still there.
        await client.open()
        await client.until(lambda: client.reason is not None)
        assert "time limit" in client.texts[-1]["data"]


# ------------------------------------------------------------------------------ strangers


async def test_strangers_get_one_answer_for_everything() -> None:
    async with serving() as place:
        client = await place.client()
        webrtc_id, secret = client.session.split(".")
        sessions = ["", "nonsense", f"{webrtc_id}.wrong", f"other.{secret}", f".{secret}", "." * 99]
        for session in sessions:
            headers = {"x-link-session": session, "x-link-received": "0"}
            replies = [
                await place.http.get(place.link, headers=headers),
                await place.http.post(place.link, headers=headers, content=bytes(4 * 1024 * 1024)),
            ]
            assert [(each.status_code, each.content) for each in replies] == [(404, b"")] * 2
            if session:
                assert await refusal_of(place.link, "link", f"{session}.0") == 403
        assert await refusal_of(place.link) == 403
        assert await refusal_of(place.link, "link") == 403
        assert await refusal_of(place.link, "other", f"{client.session}.0") == 403
        assert (await place.http.get(place.link)).status_code == 404
        assert (await place.http.post(place.link)).status_code == 404
        assert client.codes == []


async def test_a_websocket_of_another_sites_page_is_refused_with_the_secret_too() -> None:
    async with serving() as place:
        answer = await place.ask()
        protocol = f"{answer['webrtc_id']}.{answer['secret']}.0"
        for origin in ("http://evil.example", "null"):
            assert await refusal_of(place.link, "link", protocol, origin=origin) == 403
        own = place.link.split("/webrtc")[0]
        url = place.link.replace("http", "ws")
        async with connect(url, subprotocols=["link", protocol], origin=own) as websocket:  # type: ignore[list-item,arg-type]
            assert websocket.subprotocol == "link"
            await websocket.send(write(BYE))


async def test_pages_of_listed_origins_may_use_the_routes() -> None:
    page = "https://page.example"
    async with serving(allowed_origins=[page]) as place:
        reply = await place.http.options(place.link, headers={"origin": page})
        assert reply.headers["access-control-allow-origin"] == page
        assert "x-link-session" in reply.headers["access-control-allow-headers"]
        stranger = await place.http.options(place.link, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
        answer = await place.ask()
        session = f"{answer['webrtc_id']}.{answer['secret']}"
        headers = {"origin": page, "x-link-session": session}
        reply = await place.http.post(place.link, headers=headers, content=write(BYE))
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (204, page)


async def test_a_component_without_fallback_refuses_links() -> None:
    async with serving(fallback="never") as place:
        refused = await place.ask()
        assert refused["meta"]["error"] == "invalid_offer"
        assert "WebRTC alone" in refused["meta"]["message"]


# ------------------------------------------------------------------------------ hostile clients


async def test_posts_are_bounded_in_size_whether_they_name_it_or_not() -> None:
    async with serving() as place:
        client = await place.client(carrier="http")
        headers = {"x-link-session": client.session}
        large = bytes(MAX_MESSAGE_BYTES + 1)

        async def chunks() -> AsyncIterator[bytes]:
            for begin in range(0, len(large), 65_536):
                yield large[begin : begin + 65_536]

        for content in (large, chunks()):
            with suppress(httpx.WriteError):
                reply = await place.http.post(place.link, content=content, headers=headers)
                assert reply.status_code == 413
        assert len(place.stream.handlers) == 1


async def test_posts_that_never_end_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_POSTS", 2)
    monkeypatch.setattr(routes, "POST_TIMEOUT_S", 0.3)
    async with serving() as place:
        client = await place.client()
        headers = {"x-link-session": client.session}

        async def slow() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.sleep(1)

        async def post(content: Any) -> int:
            reply = await place.http.post(place.link, content=content, headers=headers)
            return reply.status_code

        codes = await asyncio.gather(*(post(slow()) for _ in range(4)))
        assert sorted(codes) == [408, 408, 429, 429]
        assert await post(write(BYE)) == 204


async def test_a_post_that_breaks_off_brings_nothing_and_fails_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as place:
        client = await place.client()
        host, port = place.folder.split("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /webrtc/link HTTP/1.1\r\nHost: x\r\nX-Link-Session: {client.session}\r\n"
        writer.write(f"{head}Content-Length: 9\r\n\r\n".encode() + write(BYE)[:-1])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.1)
        assert client.reason is None
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_many_carriers_of_one_client_are_refused() -> None:
    async with serving() as place:
        client = await place.client()
        headers = {"x-link-session": client.session, "x-link-received": "0"}
        codes = []
        for _ in range(module.CARRIERS_AT_ONCE):
            async with place.http.stream("GET", place.link, headers=headers) as reply:
                codes.append(reply.status_code)
        assert codes[0] == 200
        assert codes[-1] == 429
        await place.http.post(place.link, headers=headers, content=write(BYE))
        await client.until(lambda: bool(client.codes))
        assert client.codes == [4409]


async def test_a_carrier_must_name_what_its_client_has() -> None:
    async with serving() as place:
        answer = await place.ask()
        session = f"{answer['webrtc_id']}.{answer['secret']}"
        for received in ("", "1", "-1", "x", "9" * 30):
            headers = {"x-link-session": session, "x-link-received": received}
            assert (await place.http.get(place.link, headers=headers)).status_code == 400
            assert await refusal_of(place.link, "link", f"{session}.{received}") == 403
        headers = {"x-link-session": session}
        await place.http.post(place.link, headers=headers, content=write(BYE))


async def test_broken_frames_end_the_session() -> None:
    async with serving() as place:
        client = await place.client()
        await client.send_bytes(b"nonsense")
        await client.until(lambda: bool(client.codes))
        assert client.codes == [4400]
        await place.gone()
        client = await place.client(carrier="http")
        await client.send_bytes(b"nonsense")
        assert 400 in client.codes
        await place.gone()


async def test_a_message_that_is_too_large_closes_its_websocket_alone() -> None:
    async with serving() as place:
        client = await place.client()
        await client.send_bytes(write(TEXT, 1, bytes(MAX_MESSAGE_BYTES)))
        await client.until(lambda: bool(client.codes))
        assert client.codes == [1009]
        await client.open()
        assert len(place.stream.handlers) == 1


async def test_a_client_that_reads_nothing_keeps_no_other_from_talking() -> None:
    said = chirp(1.0)
    async with serving(concurrency_limit=2) as place:
        answer = await place.ask()
        session = f"{answer['webrtc_id']}.{answer['secret']}"
        host, port = place.folder.split("/")[2].split(":")
        loop = asyncio.get_running_loop()
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.setblocking(False)  # noqa: FBT003 - its only argument
            await loop.sock_connect(stuck, (host, int(port)))
            request = (
                f"GET /webrtc/link HTTP/1.1\r\nHost: {host}:{port}\r\nX-Link-Session: {session}\r\n"
                "X-Link-Received: 0\r\n\r\n"
            )
            await loop.sock_sendall(stuck, request.encode())
            # It is there by now, and reads no more.
            assert await loop.sock_recv(stuck, 8) == b"HTTP/1.1"
            client = await place.client(np.concatenate([tone(0.5, 200), said]))
            await client.until(lambda: client.received_audio().size > 2 * 48_000)
            assert min(pieces_found(client.received_audio(), said)) >= 0
            headers = {"x-link-session": session}
            await place.http.post(place.link, headers=headers, content=write(BYE))


# ------------------------------------------------------------------------------ other apps


async def test_middleware_of_the_app_neither_keeps_nor_compresses_what_comes() -> None:
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=1)

    @app.middleware("http")
    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    said = chirp(1.0)
    async with serving(app=app) as place:
        client = await place.client(np.concatenate([tone(0.5, 200), said]), "http")
        await client.until(lambda: client.received_audio().size > 2 * 48_000)
        assert min(pieces_found(client.received_audio(), said)) >= 0
        await client.drop()
        await client.open()
        await client.leave()
        await place.gone()


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_nothing_is_left_of_a_session(
    carrier: CarrierKind, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.all_tasks()
    async with serving(Talker()) as place:
        for _ in range(3):
            client = await place.client(carrier=carrier)
            await client.until(lambda: client.received_audio().size > 0)  # noqa: B023 - now
            await client.leave()
            await place.gone()
        components = place.stream.webrtc_component.signaling
        assert components.sessions.all_stats() == []
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=5)
    assert asyncio.all_tasks() - before == set()
    # A task whose exception nobody looked at is logged when it is collected.
    gc.collect()
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []

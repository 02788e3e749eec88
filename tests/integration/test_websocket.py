"""Clients that speak fastrtc's own protocol over a real WebSocket, beside those over WebRTC."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import soxr
from fastapi import FastAPI
from support.posting import browser
from support.prompted import Prompted
from support.signals import chirp, correlation, pieces_found, speech, tone
from support.socket_clients import PageSocket
from support.uvicorn_server import serving
from websockets.exceptions import InvalidStatus

from gradio_webrtc import (
    AdditionalOutputs,
    CloseStream,
    ReplyOnPause,
    Stream,
    StreamHandler,
)
from gradio_webrtc._server import newcomers, sockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

    from numpy.typing import NDArray

pytestmark = pytest.mark.network

RATE_HZ = 24_000


def spoken(rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """A sentence behind half a second of silence."""
    recorded_hz, samples = speech("asterisk_hello_world_16k")
    said = soxr.resample(samples, recorded_hz, rate_hz)
    return np.append(np.zeros(rate_hz // 2, np.int16), said)


class Silent(Prompted):
    """Receives at a rate that no client sends."""

    rates: ClassVar = {"output_sample_rate": RATE_HZ, "input_sample_rate": 16_000}


@asynccontextmanager
async def served(stream: Stream, path: str = "") -> AsyncIterator[str]:
    """Serves a stream; no session is left at the end."""
    app = FastAPI()
    stream.mount(app, path)
    async with serving(app) as host:
        yield host
        await idle(stream)
    assert stream.handlers == {}


async def idle(stream: Stream) -> None:
    """Returns once no session is left."""
    await stream.webrtc_component.signaling.sessions.wait_idle()


@asynccontextmanager
async def called(host: str, rate_hz: int = 16_000, **start: Any) -> AsyncIterator[PageSocket]:
    """A page that has called."""
    page = PageSocket(host, rate_hz)
    await page.call(**start)
    try:
        yield page
    finally:
        await page.leave()


async def opened(stream: Stream, page: PageSocket) -> Any:
    """The handler of a page's session, once it is there."""
    await page.send({"event": "ping"})
    await page.until(lambda: bool(page.events("pong")))
    return stream.handlers[page.websocket_id]


# ------------------------------------------------------------------------------ conversation


async def test_a_page_that_was_written_for_fastrtc_talks() -> None:
    stream = Stream(
        ReplyOnPause(lambda audio: iter([audio]), input_sample_rate=RATE_HZ), modality="audio"
    )
    said = spoken()
    async with served(stream) as host, called(host, RATE_HZ) as page:
        page.microphone.say(said)
        page.speak()
        # The utterance has what was said, with a moment of silence around it.
        await page.until(lambda: page.samples > said.size)
        assert correlation(page.audio(), said[RATE_HZ // 2 :])[0] > 0.95
        assert page.typed("log")[:3] == ["started_talking", "pause_detected", "response_starting"]
        stats = stream.stats(page.websocket_id)
        assert stats is not None
        assert stats.transport.packets_received > 0
        assert stats.transport.heard_s is None


async def test_a_page_that_sends_no_more_is_answered() -> None:
    stream = Stream(
        ReplyOnPause(lambda audio: iter([audio]), input_sample_rate=RATE_HZ), modality="audio"
    )
    said = spoken()
    packets = np.array_split(said, said.size // (RATE_HZ // 50))
    async with served(stream) as host, called(host, RATE_HZ) as page:
        for packet in packets:
            await page.send_audio(packet)
        await page.until(lambda: page.samples > said.size)
        assert correlation(page.audio(), said[RATE_HZ // 2 :])[0] > 0.95


async def test_handlers_get_blocks_as_over_webrtc() -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host) as page:
        page.speak()
        handler = await opened(stream, page)
        await handler.came.wait()
        rate_hz, samples = handler.frames[0]
        assert rate_hz == 16_000
        assert (samples.shape, samples.dtype) == ((1, 960), np.int16)
        assert handler.context.webrtc_id == page.websocket_id
        assert handler.context.websocket.url.path == "/websocket/offer"
        assert not handler.phone_mode


@pytest.mark.parametrize("encoding", ["pcm16", "alaw"])
async def test_other_encodings(encoding: str) -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host, encoding=encoding) as page:
        handler = await opened(stream, page)
        block = tone(0.06, 440, 16_000)
        payload = base64.b64encode(block.tobytes()).decode()
        await page.send({"event": "media", "media": {"payload": payload}})
        await handler.came.wait()
        if encoding == "pcm16":
            assert np.array_equal(handler.frames[0][1][0], block)
        else:
            assert handler.frames[0][1].shape == (1, 960)
        handler.items.put_nowait((RATE_HZ, np.full((1, 480), 1_000, np.int16)))
        await page.until(lambda: bool(page.events("media")))
        data = base64.b64decode(page.events("media")[0]["media"]["payload"])
        assert len(data) == (960 if encoding == "pcm16" else 480)


async def test_inputs_outputs_and_triggers_of_a_program() -> None:
    turns: list[Any] = []

    def reply(audio: Any, *inputs: Any) -> Iterator[Any]:
        turns.append((audio[1].shape, *inputs))
        yield AdditionalOutputs(*inputs)

    stream = Stream(ReplyOnPause(reply, needs_args=True), modality="audio")
    stream.webrtc_component.signaling.sessions.has_outputs = True
    async with served(stream) as host, called(host, 48_000) as page:
        handler = await opened(stream, page)
        outputs = stream.output_stream(page.websocket_id)
        handler.trigger_response()
        await page.until(lambda: "send_input" in {each.get("type") for each in page.received})
        stream.set_input("nobody", "three", 4)
        stream.set_input(page.websocket_id, "one", 2)
        assert (await anext(outputs)).args == ("one", 2)
        assert turns == [((1, 0), "one", 2)]
        await page.until(lambda: "fetch_output" in {each.get("type") for each in page.received})
        handler.trigger_response()
        await page.until(lambda: len(page.typed("send_input")) == 2)
        stream.set_input(page.websocket_id, "three", 4)
        assert (await stream.fetch_latest_output(page.websocket_id)).args == ("three", 4)


async def test_a_page_that_only_plays() -> None:
    def play(seconds: float) -> Iterator[Any]:
        yield RATE_HZ, tone(seconds, 440, RATE_HZ).reshape(1, -1)

    stream = Stream(play, modality="audio", mode="receive")
    async with served(stream) as host, called(host) as page:
        await page.send({"event": "ping"})
        await page.until(lambda: bool(page.events("pong")))
        stream.set_input(page.websocket_id, 0.2)
        await page.closed.wait()
        assert np.abs(page.audio()).max() > 10_000


# -------------------------------------------------------------------------------------- limits


async def test_websockets_and_webrtc_share_their_places() -> None:
    stream = Stream(Silent(), modality="audio", concurrency_limit=1)
    async with served(stream) as host:
        async with called(host) as first:
            await opened(stream, first)
            async with called(host, websocket_id="page-2") as second:
                await second.closed.wait()
                (refused,) = second.received
                assert refused["status"] == "failed"
                assert refused["meta"]["error"] == "concurrency_limit_reached"
                assert refused["meta"]["limit"] == 1
            app = FastAPI()
            stream.mount(app)
            async with browser(app) as page:
                sdp = "v=0\r\n"
                body = {"type": "offer", "webrtc_id": "x", "sdp": sdp}
                reply = await page.post("/webrtc/offer", json=body)
                assert reply.json()["status"] == "failed"
        await idle(stream)
        async with called(host) as third:
            await opened(stream, third)


async def test_a_time_limit_ends_the_session_with_a_reason() -> None:
    stream = Stream(handler := Silent(), modality="audio", time_limit=0.2)
    async with served(stream) as host, called(host) as page:
        await page.closed.wait()
        assert page.typed("end_stream") == ["The time limit of 0.2 seconds is reached."]
    assert [each.is_shut_down.is_set() for each in handler.made] == [True]


async def test_close_stream_takes_effect_without_another_message() -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host) as page:
        handler = await opened(stream, page)
        handler.items.put_nowait(CloseStream("Goodbye."))
        await page.closed.wait()
        assert page.typed("end_stream") == ["Goodbye."]
        assert handler.is_shut_down.is_set()


async def test_a_server_that_drains_sends_the_reason() -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host) as page:
        await opened(stream, page)
        await stream.drain(0.1)
        await page.closed.wait()
        (ending,) = [each for each in page.received if each.get("type") == "end_stream"]
        assert ending["code"] == "server_stopping"
        async with called(host) as late:
            await late.closed.wait()
            assert late.received[0]["meta"]["error"] == "server_stopping"


# ---------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("how", ["stop", "leave", "vanish"])
async def test_shutdown_runs_however_the_client_goes(how: str) -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host) as page:
        handler = await opened(stream, page)
        if how == "stop":
            await page.send({"event": "stop"})
            await page.closed.wait()
        else:
            await getattr(page, how)()
        await handler.is_shut_down.wait()


async def test_a_client_may_leave_at_any_step(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Silent):
        async def start_up(self) -> None:
            await asyncio.Event().wait()

    stream = Stream(handler := Slow(), modality="audio")
    async with served(stream) as host:
        page = PageSocket(host)
        await page.connect(page.url)
        await page.leave()
        for _ in range(3):
            page = PageSocket(host)
            await page.call()
            await page.leave()
            await idle(stream)
    assert len(handler.made) == 3
    assert all(each.is_shut_down.is_set() for each in handler.made)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_a_silent_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "START_TIMEOUT_S", 0.1)
    stream = Stream(handler := Silent(), modality="audio")
    async with served(stream) as host:
        page = PageSocket(host)
        await page.connect(page.url)
        await page.closed.wait()
        assert page.received[0]["meta"]["message"] == 'expected "start" within 0.1 s'
        await page.leave()
    assert handler.made == []


# ------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"event": "media", "media": {"payload": "not Base64"}}, "Base64"),
        ({"event": "media", "media": None}, "Base64"),
        ({"event": "start", "websocket_id": "again"}, "second one"),
        (b"\x00\x01", "expected text"),
    ],
)
async def test_a_broken_message_ends_the_session_with_a_reason(message: object, words: str) -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host, called(host) as page:
        handler = await opened(stream, page)
        await page.send(message)
        await page.closed.wait()
        (reason,) = page.typed("end_stream")
        assert words in reason
        await handler.is_shut_down.wait()


async def test_floods_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MESSAGES_PER_S", 10)
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host:
        async with called(host) as page:
            for _ in range(200):
                await page.send({"event": "ping"})
            await page.closed.wait()
        async with called(host, websocket_id="page-2") as page:
            await page.send("x" * (sockets.MAX_MESSAGE_BYTES + 1))
            await page.closed.wait()


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ({"encoding": "opus"}, "invalid_offer"),
        ({"websocket_id": "no id!"}, "invalid_offer"),
        ({"websocket_id": ["x"]}, "invalid_offer"),
        ({"websocket_id": "__webrtc_value__"}, "invalid_offer"),
    ],
)
async def test_a_start_that_cannot_be_answered_is_refused(start: dict[str, Any], code: str) -> None:
    stream = Stream(handler := Silent(), modality="audio")
    async with served(stream) as host, called(host, **start) as page:
        await page.closed.wait()
        assert page.received[0]["meta"]["error"] == code
    assert handler.made == []


async def test_two_sessions_cannot_have_one_id() -> None:
    stream = Stream(Silent(), modality="audio", concurrency_limit=2)
    async with served(stream) as host, called(host) as page:
        await opened(stream, page)
        async with called(host) as second:
            await second.closed.wait()
            assert second.received[0]["meta"]["error"] == "connection_already_exists"


async def test_a_video_stream_names_the_way_in() -> None:
    stream = Stream(lambda frame: frame, modality="video", mode="send-receive")
    async with served(stream) as host, called(host) as page:
        await page.closed.wait()
        assert "over WebRTC" in page.received[0]["meta"]["message"]


async def test_a_handler_that_cannot_be_made_is_a_refusal() -> None:
    class Broken(Silent):
        def copy(self) -> Self:
            raise KeyError("a secret")

    stream = Stream(Broken(), modality="audio")
    async with served(stream) as host, called(host) as page:
        await page.closed.wait()
        assert page.received[0]["meta"]["error"] == "handler_failed"
        assert "secret" not in str(page.received)


async def test_a_handler_with_a_rate_that_is_none_is_a_refusal() -> None:
    class Odd(Silent):
        def copy(self) -> Self:
            clone = super().copy()
            clone.output_sample_rate = 1
            return clone

    stream = Stream(handler := Odd(), modality="audio")
    async with served(stream) as host, called(host) as page:
        await page.closed.wait()
        assert page.received[0]["meta"]["error"] == "server_error"
        async with asyncio.timeout(5):
            await handler.made[0].is_shut_down.wait()


async def test_a_page_of_another_origin_is_not_let_in() -> None:
    stream = Stream(Silent(), modality="audio")
    async with served(stream) as host:
        page = PageSocket(host)
        with pytest.raises(InvalidStatus) as refused:
            await page.connect(page.url, {"Origin": "https://evil.example"})
        assert refused.value.response.status_code == 403
        await page.connect(page.url, {"Origin": f"http://{host}"})
        await page.leave()


# -------------------------------------------------------------------------------------- routes


async def test_routes_below_a_path_and_of_the_programs_own() -> None:
    stream = Stream(Silent(), modality="audio")
    app = FastAPI()
    stream.mount(app, "/talk")
    app.add_api_websocket_route("/mine", stream.websocket_offer)
    async with serving(app) as host:
        for url in (f"ws://{host}/talk/websocket/offer", f"ws://{host}/mine"):
            page = PageSocket(host)
            page.url = url
            await page.call()
            await opened(stream, page)
            await page.leave()
            await idle(stream)


async def test_the_routes_are_documented() -> None:
    app = FastAPI()
    Stream(Silent(), modality="audio").mount(app, tags=["voice"])
    paths = app.openapi()["paths"]
    assert {"/webrtc/offer", "/telephone/incoming"} <= {*paths}
    answers = paths["/telephone/incoming"]["post"]["responses"]
    assert [*answers["200"]["content"]] == ["application/xml"]
    assert "403" in answers


async def test_a_sync_handler_echoes() -> None:
    class Echo(StreamHandler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
            self.frames: SimpleQueue[Any] = SimpleQueue()

        def receive(self, frame: Any) -> None:
            self.frames.put(frame)

        def emit(self) -> Any:
            return self.frames.get()

        def copy(self) -> Echo:
            return Echo()

    stream = Stream(Echo(), modality="audio")
    said = chirp(1.0, RATE_HZ)
    async with served(stream) as host, called(host, RATE_HZ) as page:
        page.microphone.say(said)
        page.speak()
        await page.until(lambda: page.samples > said.size + RATE_HZ // 2)
        # An echo is never ahead: where this machine is late, silence cuts a piece in two.
        places = pieces_found(page.audio(), said, 1_200)
        found = [at for at in places if at >= 0]
        assert len(found) >= 0.7 * len(places)
        assert found == sorted(found)

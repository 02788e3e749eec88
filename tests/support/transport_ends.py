"""The implementations that the suite of `Transport` examines, each with a remote end of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from fastapi import FastAPI, WebSocket

from gradio_webrtc._realtime.protocol import AudioFormat, append_audio, decode_audio
from gradio_webrtc._server.realtime_client import RealtimeReader
from gradio_webrtc._server.realtime_dialect import RealtimeDialect
from gradio_webrtc._server.realtime_terms import SessionTerms
from gradio_webrtc._server.sockets import carry
from gradio_webrtc._transport import (
    LEAD_S,
    AudioBlock,
    MediaDialect,
    MediaReader,
    OrderedTransport,
    PeerTransport,
    TelephoneReader,
    TelephoneStart,
    TelephoneTransport,
    read_offer,
)
from gradio_webrtc._transport.link import LinkTerms, LinkTransport
from gradio_webrtc.testing.transport import FakeTransport

from .link_client import LinkClient
from .link_server import LinkServer
from .loopback import client_of
from .socket_clients import PageSocket, Twilio
from .uvicorn_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._transport import PacedFrame, Transport, Wire
    from gradio_webrtc._transport.link.audio import AudioCodec

    from .client import Client
    from .link_client import CarrierKind
    from .socket_clients import SocketClient

RATE_HZ = 48_000
SILENCE = np.zeros(RATE_HZ, np.int16)


def message(text: str) -> str:
    """A message as sessions send them."""
    return json.dumps({"type": "log", "data": text})


class Ends(Protocol):
    """A transport and its remote end.

    Attributes:
        transport: Under examination.
        lead_s: The time by which it may send ahead of real time.
    """

    transport: Transport
    lead_s: float

    async def join(self) -> None:
        """Connects the remote end; returns once it is connected."""

    async def leave(self) -> None:
        """Ends the session from the remote end; frees the remote end if it was left before."""

    def write(self, text: str) -> None:
        """Sends a text."""

    def audio(self) -> NDArray[np.int16]:
        """Returns all audio that the remote end received, int16 ``(n,)`` at 48 kHz."""

    def texts(self) -> Sequence[str]:
        """Returns the texts of all messages that the remote end received; see `message`."""

    def messages(self) -> Sequence[Any]:
        """Returns all messages that the remote end received, decoded."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds, which only what the remote end receives can change."""


class FakeEnds:
    """`FakeTransport`, which is its own remote end."""

    lead_s = 0.0

    def __init__(self, _config: SessionConfig, audio: NDArray[np.int16]) -> None:
        self.transport = FakeTransport(RATE_HZ, audio)

    async def join(self) -> None:
        """Nothing to do: its `connect` does both."""

    async def leave(self) -> None:
        self.transport.hang_up()

    def write(self, text: str) -> None:
        self.transport.on_message(text)

    def audio(self) -> NDArray[np.int16]:
        frames = [samples.reshape(-1) for _, samples in self.transport.sent]
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def texts(self) -> Sequence[str]:
        return [each["data"] for each in self.messages()]

    def messages(self) -> Sequence[Any]:
        return [each for _, each in self.transport.messages]

    async def until(self, condition: Callable[[], bool]) -> None:
        # Frames of audio come without a callback, one every 20 ms.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class PlainDialect:
    """Audio as the bytes of its samples, messages as they are."""

    def write_audio(self, frame: PacedFrame) -> Wire | None:
        return frame.samples.tobytes() if frame.is_audio else None

    def write_text(self, text: str) -> Wire | None:
        return text

    def write_clear(self) -> Wire | None:
        return json.dumps({"type": "clear", "data": "clear"})


class OrderedEnds:
    """`OrderedTransport`, and a client in the same process that keeps what was written."""

    lead_s = 0.0

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        self.transport = OrderedTransport(PlainDialect(), config)
        self.written: list[Wire] = []
        self._said = audio
        self._news = asyncio.Event()
        self._speaking: asyncio.Task[None] | None = None

    async def join(self) -> None:
        self.transport.attach(self._take)
        self._speaking = asyncio.get_running_loop().create_task(self._speak())

    async def leave(self) -> None:
        self.transport.hang_up()
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    def write(self, text: str) -> None:
        self.transport.deliver_text(text)

    def audio(self) -> NDArray[np.int16]:
        packets = [each for each in self.written if isinstance(each, bytes)]
        return np.frombuffer(b"".join(packets), np.int16)

    def texts(self) -> Sequence[str]:
        return [each["data"] for each in self.messages()]

    def messages(self) -> Sequence[Any]:
        return [json.loads(each) for each in self.written if isinstance(each, str)]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def _take(self, wire: Wire) -> None:
        self.written.append(wire)
        self._news.set()

    async def _speak(self) -> None:
        for begin in itertools.count(0, 960):
            block = self._said[begin : begin + 960].reshape(1, -1)
            if not block.size:
                block = SILENCE[:960].reshape(1, -1)
            self.transport.deliver_audio(AudioBlock(RATE_HZ, 1, block), block.nbytes)
            await asyncio.sleep(0.02)


class SocketEnds:
    """A transport over a real WebSocket, between a server and a client on the loopback address."""

    lead_s = LEAD_S
    transport: OrderedTransport
    client: SocketClient

    def __init__(self, audio: NDArray[np.int16], read: Callable[[Wire], None]) -> None:
        self.client.microphone.say(audio)
        self._read = read
        self._stack = AsyncExitStack()
        self._is_connected = asyncio.Event()

    async def join(self) -> None:
        app = FastAPI()
        app.add_api_websocket_route("/", self._carry)
        host = await self._stack.enter_async_context(serving(app))
        await self.client.connect(f"ws://{host}/")
        self._stack.push_async_callback(self.client.leave)
        self.client.speak()
        await self._is_connected.wait()

    async def leave(self) -> None:
        await self._stack.aclose()

    def write(self, text: str) -> None:
        self.client.send_soon(text)

    def audio(self) -> NDArray[np.int16]:
        return self.client.audio()

    def texts(self) -> Sequence[str]:
        return [each["data"] for each in self.messages() if "type" in each]

    def messages(self) -> Sequence[Any]:
        return [*self.client.received, *self.client.values]

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.client.until(condition)

    async def _carry(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self._is_connected.set()
        await carry(websocket, self.transport, self._read)


class WebSocketEnds(SocketEnds):
    """fastrtc's protocol, at 48 kHz."""

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        dialect = MediaDialect("mulaw")
        dialect.set_rate(RATE_HZ)
        self.transport = OrderedTransport(dialect, config, lead_s=LEAD_S)
        self.client = PageSocket("", RATE_HZ)
        super().__init__(audio, MediaReader(self.transport, "mulaw", lambda: RATE_HZ).read)


class TelephoneEnds(SocketEnds):
    """Twilio's protocol, at 48 kHz: what there is to compare has more than a telephone's band."""

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        self.client: Twilio = Twilio("", rate_hz=RATE_HZ)
        start = TelephoneStart(self.client.stream_sid, "", "mulaw", {})
        self.transport: TelephoneTransport = TelephoneTransport(start, config, RATE_HZ)
        super().__init__(audio, TelephoneReader(self.transport, start, RATE_HZ).read)

    async def join(self) -> None:
        await super().join()
        self.client.play()


class RealtimeEnds(OrderedEnds):
    """A client of the OpenAI Realtime protocol, at 48 kHz."""

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        super().__init__(config, audio)
        pcm = AudioFormat("audio/pcm", RATE_HZ)
        dialect = RealtimeDialect(SessionTerms("", "", inbound=pcm, outbound=pcm))
        self.transport = OrderedTransport(dialect, config)
        nobody: Any = None
        self._reader = RealtimeReader(nobody, self.transport, dialect, takes_text=False)
        dialect.attach(self.transport, lambda: 0.0)

    def audio(self) -> NDArray[np.int16]:
        deltas = [each["delta"] for each in self._events("response.output_audio.delta")]
        samples = [decode_audio(each).reshape(-1) for each in deltas]
        return np.concatenate(samples) if samples else np.zeros(0, np.int16)

    def texts(self) -> Sequence[str]:
        return [each["error"]["message"] for each in self._events("error")]

    def _events(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.messages() if each["type"] == kind]

    async def _speak(self) -> None:
        for begin in itertools.count(0, 960):
            block = self._said[begin : begin + 960].reshape(1, -1)
            self._reader.read(append_audio(block if block.size else SILENCE[:960].reshape(1, -1)))
            await asyncio.sleep(0.02)


class LoopbackEnds:
    """`PeerTransport`, and a client made of aiortc at the other end of the loopback address."""

    lead_s = 0.0

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        self.transport = PeerTransport([], config)
        self.client: Client = client_of(self.transport, read_offer, config, audio)

    async def join(self) -> None:
        await self.client.call()

    async def leave(self) -> None:
        await self.client.hang_up()

    def write(self, text: str) -> None:
        self.client.channel.send(text)

    def audio(self) -> NDArray[np.int16]:
        return self.client.received_audio()

    def texts(self) -> Sequence[str]:
        return [each["data"] for each in self.messages()]

    def messages(self) -> Sequence[Any]:
        return self.client.messages

    def shown(self) -> list[NDArray[np.uint8]]:
        return [pixels for _, pixels in self.client.video_frames]

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.client.until(condition)


class LinkEnds:
    """`LinkTransport` behind its routes, and a client over one of the two carriers."""

    lead_s = 0.0
    carrier: CarrierKind = "websocket"
    codec: AudioCodec = "opus"

    def __init__(self, config: SessionConfig, audio: NDArray[np.int16]) -> None:
        terms = LinkTerms(self.codec if config.has_audio else None, RATE_HZ, config.has_video)
        self.transport = LinkTransport(terms, config)
        self.server = LinkServer(self.transport)
        self._answer = {**terms.answer(), **self.server.names}
        self._audio = audio
        self._client: LinkClient | None = None

    @property
    def client(self) -> LinkClient:
        assert self._client is not None
        return self._client

    async def join(self) -> None:
        url = await self.server.start()
        self._client = LinkClient(url, self._answer, self._audio, carrier=self.carrier)
        await self._client.join()

    async def leave(self) -> None:
        if self._client is not None:
            await self._client.leave()
        await self.server.stop()

    def write(self, text: str) -> None:
        self.client.write_text(text)

    def audio(self) -> NDArray[np.int16]:
        return self.client.received_audio()

    def texts(self) -> Sequence[str]:
        return [each["data"] for each in self.messages()]

    def messages(self) -> Sequence[Any]:
        return self.client.texts

    def shown(self) -> list[NDArray[np.uint8]]:
        return self.client.shown()

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.client.until(condition)


class HttpLinkEnds(LinkEnds):
    """The same over HTTP, with uncompressed audio."""

    carrier = "http"
    codec = "pcm16"


IMPLEMENTATIONS: dict[str, Callable[[SessionConfig, NDArray[np.int16]], Any]] = {
    "fake": FakeEnds,
    "link-http": HttpLinkEnds,
    "link-websocket": LinkEnds,
    "ordered": OrderedEnds,
    "realtime": RealtimeEnds,
    "websocket": WebSocketEnds,
    "telephone": TelephoneEnds,
    "webrtc": LoopbackEnds,
}

WITHOUT_TEXT = {"realtime", "telephone"}
"""Implementations whose clients show no text and send none, or only that of replies."""

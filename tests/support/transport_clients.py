"""A client for each transport of a `Stream`, with one interface: what a program of `soak` needs."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .link_client import LinkClient
from .numbered_audio import pieces
from .posting import Posting, client_of
from .realtime_client import RealtimeClient, connected
from .socket_clients import LineMicrophone, PageSocket, SocketClient, Twilio
from .whip import WhipClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from .client import Client
    from .link_client import CarrierKind

RATE_HZ: Final = 24_000
"""The rate of the handler, and that of `/v1/realtime`."""

TIME_LIMIT_S: Final = 1.0

TWILIO_TOKEN: Final = "the token of an account"  # noqa: S105  # of nobody's

INTERRUPTED: Final = range(200)
"""The pieces of the answer that is interrupted: twenty seconds."""

RESUMED: Final = range(200, 210)
"""The pieces that follow the interruption."""

WHIP_RATE_HZ: Final = 48_000

IDS: Final = itertools.count(1)


Socket = TypeVar("Socket", bound=SocketClient)


class TransportClient(Protocol):
    """One client of a stream.

    Attributes:
        rate_hz: The rate of the audio, both ways.
    """

    rate_hz: int

    def __init__(self, root: str) -> None:
        """Takes the address of the stream, ``http://host:port/path``."""

    async def join(self) -> str:
        """Connects; returns the code of the refusal, or an empty text. May be tried again."""

    def say(self, numbers: Sequence[int]) -> None:
        """Speaks numbered pieces, now or behind those before; silence before and after them."""

    def audio(self) -> NDArray[np.int16]:
        """Returns the audio that came, int16 ``(n,)``, without what was to be dropped."""

    def received(self) -> int:
        """Returns the number of samples that came."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds; looked at whenever something comes."""

    async def ended(self) -> None:
        """Returns once the server has ended the session."""

    async def leave(self) -> None:
        """Leaves, with a goodbye; safe to repeat."""

    async def vanish(self) -> None:
        """Goes without a goodbye."""


class WebRTCClient:
    """A page, over WebRTC."""

    rate_hz = WHIP_RATE_HZ

    def __init__(self, root: str) -> None:
        self._http = httpx.AsyncClient(base_url=root, timeout=30.0)
        self._client = self._make(self._http)

    def _make(self, http: httpx.AsyncClient) -> Client:
        return client_of(Posting(http, "/webrtc/offer", sends_secret=True))

    async def join(self) -> str:
        answer = await self._client.call()
        if answer.get("status") != "failed":
            return ""
        self._client = self._make(self._http)
        return str(answer["meta"]["error"])

    def say(self, numbers: Sequence[int]) -> None:
        self._client.microphone.say(pieces(numbers, self.rate_hz))

    def audio(self) -> NDArray[np.int16]:
        return self._client.received_audio()

    def received(self) -> int:
        frames = self._client.audio_frames
        return frames[-1][0] - frames[0][0] + frames[-1][1].size if frames else 0

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._client.until(condition)

    async def ended(self) -> None:
        await self._client.closed.wait()

    async def leave(self) -> None:
        await self._client.hang_up()
        await self._http.aclose()

    async def vanish(self) -> None:
        self._client.vanish()


class WhipEchoClient(WebRTCClient):
    """A client of WHIP that takes the answer over the same connection."""

    def _make(self, http: httpx.AsyncClient) -> Client:
        return WhipClient(http, mode="send-receive")


class LinkOverWebSocket:
    """A page without UDP, with Opus over a WebSocket."""

    rate_hz = 48_000
    carrier: CarrierKind = "websocket"
    codec = "opus"

    def __init__(self, root: str) -> None:
        self._root = root
        self._client: LinkClient | None = None

    async def join(self) -> str:
        asked = {"type": "link", "webrtc_id": f"link-{next(IDS)}"}
        async with httpx.AsyncClient(base_url=f"{self._root}/webrtc/") as http:
            body = asked | {"audio": {"codecs": [self.codec]}}
            answer = (await http.post("offer", json=body)).raise_for_status().json()
        if "meta" in answer:
            return str(answer["meta"]["error"])
        url = f"{self._root}/webrtc/{answer['path']}"
        self._client = LinkClient(url, answer, carrier=self.carrier)
        self.rate_hz = self._client.rate_hz
        await self._client.join()
        return ""

    @property
    def _link(self) -> LinkClient:
        assert self._client is not None
        return self._client

    def say(self, numbers: Sequence[int]) -> None:
        self._link.say(pieces(numbers, 48_000))

    def audio(self) -> NDArray[np.int16]:
        return self._link.received_audio()

    def received(self) -> int:
        return self._link.samples

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._link.until(condition)

    async def ended(self) -> None:
        await self._link.until(lambda: self._link.reason is not None)

    async def leave(self) -> None:
        if self._client is not None:
            await self._client.leave()

    async def vanish(self) -> None:
        await self._link.vanish()


class LinkOverHttp(LinkOverWebSocket):
    """A page without UDP and without WebSockets, with uncompressed audio."""

    carrier = "http"
    codec = "pcm16"


class OverSocket(Generic[Socket]):
    """A client of `socket_clients`, a new one for each session."""

    rate_hz: int
    _client: Socket

    def say(self, numbers: Sequence[int]) -> None:
        self._client.microphone.say(pieces(numbers, self.rate_hz))

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._client.until(condition)

    async def ended(self) -> None:
        await self._client.closed.wait()

    async def leave(self) -> None:
        await self._client.leave()

    async def vanish(self) -> None:
        await self._client.vanish()


class FastrtcSocket(OverSocket[PageSocket]):
    """A page that was written for fastrtc's ``/websocket/offer``."""

    rate_hz = RATE_HZ

    def __init__(self, root: str) -> None:
        self._host, _, self._path = root.removeprefix("http://").partition("/")
        self._client = PageSocket(self._host, self.rate_hz, f"/{self._path}")

    async def join(self) -> str:
        await self.leave()
        self._client = PageSocket(self._host, self.rate_hz, f"/{self._path}")
        self._client.websocket_id = f"socket-{next(IDS)}"
        await self._client.call()
        self._client.speak()
        await self._client.until(lambda: bool(self._client.received))
        return _refusal_in(self._client.received[0])

    def audio(self) -> NDArray[np.int16]:
        return self._client.audio()

    def received(self) -> int:
        return self._client.samples


class Telephone(OverSocket[Twilio]):
    """A user of a telephone, whose calls Twilio streams."""

    rate_hz = 8_000

    def __init__(self, root: str) -> None:
        self._host, _, path = root.removeprefix("http://").partition("/")
        self._path = f"/{path}/telephone/incoming"
        self._client = Twilio(self._host, TWILIO_TOKEN)

    async def join(self) -> str:
        await self.leave()
        self._client = Twilio(self._host, TWILIO_TOKEN)
        self._client.stream_sid = f"MZ{next(IDS)}"
        if "<Reject" in (await self._client.ring(self._path)).text:
            return "concurrency_limit_reached"
        await self._client.call(self._path)
        await self._client.until(lambda: bool(self._client.received))
        return _refusal_in(self._client.received[0])

    def audio(self) -> NDArray[np.int16]:
        return self._client.heard()

    def received(self) -> int:
        return sum(each.size for each in self._client.played)


class Realtime:
    """A client of the OpenAI Realtime protocol."""

    rate_hz = RATE_HZ

    def __init__(self, root: str) -> None:
        self._url = f"{root.replace('http', 'ws', 1)}/v1/realtime?model=any"
        self._stack = AsyncExitStack()
        self._client: RealtimeClient | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._microphone = LineMicrophone(self.rate_hz)

    async def join(self) -> str:
        try:
            self._client = await self._stack.enter_async_context(connected(self._url))
        except InvalidStatus as refused:
            return str(json.loads(refused.response.body or b"{}")["error"]["code"])
        await self._client.event("session.created")
        self._speaking = asyncio.get_running_loop().create_task(self._microphone.speak(self))
        return ""

    @property
    def _events(self) -> RealtimeClient:
        assert self._client is not None
        return self._client

    async def send_audio(self, samples: NDArray[np.int16]) -> None:
        """Sends 20 ms of audio, int16 ``(n,)``, until the server has left."""
        try:
            await self._events.append(samples)
        except ConnectionClosed:
            await asyncio.Event().wait()

    def say(self, numbers: Sequence[int]) -> None:
        self._microphone.say(pieces(numbers, self.rate_hz))

    def audio(self) -> NDArray[np.int16]:
        return self._events.audio()

    def received(self) -> int:
        return sum(
            len(each["delta"]) * 3 // 8  # of Base64, two bytes a sample
            for each in self._events.of("response.output_audio.delta")
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._events.until(condition)

    async def ended(self) -> None:
        await self._events.ended()

    async def leave(self) -> None:
        await self._stop_speaking()
        await self._stack.aclose()

    async def vanish(self) -> None:
        await self._stop_speaking()
        self._events.abort()

    async def _stop_speaking(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)


def _refusal_in(message: dict[str, Any]) -> str:
    return str(message["meta"]["error"]) if message.get("status") == "failed" else ""


CLIENTS: Final[dict[str, type[TransportClient]]] = {
    "webrtc": WebRTCClient,
    "whip": WhipEchoClient,
    "link-websocket": LinkOverWebSocket,
    "link-http": LinkOverHttp,
    "websocket": FastrtcSocket,
    "telephone": Telephone,
    "realtime": Realtime,
}

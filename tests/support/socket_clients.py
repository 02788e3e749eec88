"""Clients that come over a WebSocket: a page that speaks fastrtc's protocol, and Twilio.

Both are made of the ``websockets`` package and of public descriptions of what they send.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode
from xml.etree.ElementTree import fromstring

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gradio_webrtc._audio import decode_g711, encode_g711

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

PACKET_S = 0.02


class Speaking(Protocol):
    """What a microphone sends its packets to."""

    async def send_audio(self, samples: NDArray[np.int16]) -> None:
        """Sends 20 ms of audio, int16 ``(n,)``."""


class LineMicrophone:
    """Speaks what it was given in real time, and silence after that.

    Args:
        rate_hz: Its rate.

    Attributes:
        finished: Set while there is nothing left to be spoken.
    """

    def __init__(self, rate_hz: int) -> None:
        self.finished = asyncio.Event()
        self._packet = round(rate_hz * PACKET_S)
        self._samples = np.zeros(0, np.int16)

    def say(self, samples: NDArray[np.int16]) -> None:
        """Speaks this behind what is still to be spoken, int16 ``(n,)``."""
        self._samples = np.concatenate([self._samples, samples.reshape(-1)])
        self.finished.clear()

    async def speak(self, to: Speaking) -> None:
        """Sends packets until it is cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            packet, self._samples = np.split(self._samples, [self._packet])
            if packet.size < self._packet:
                packet = np.pad(packet, (0, self._packet - packet.size))
                self.finished.set()
            await to.send_audio(packet)
            due_s += PACKET_S
            await asyncio.sleep(due_s - loop.time())


class SocketClient:
    """One client with a WebSocket.

    Args:
        rate_hz: The rate of the audio that it sends.

    Attributes:
        received: All objects that the server sent.
        values: All other values of JSON that the server sent.
        samples: The number of samples that were received.
        closed: Set once the WebSocket is closed.
        microphone: The source of the audio that it sends.
    """

    def __init__(self, rate_hz: int) -> None:
        self.received: list[dict[str, Any]] = []
        self.values: list[Any] = []
        self.closed = asyncio.Event()
        self.microphone = LineMicrophone(rate_hz)
        self.socket: ClientConnection | None = None
        self.samples = 0
        self._packets: list[NDArray[np.int16]] = []
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def connect(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """Connects, and takes what comes from now on."""
        self.socket = await connect(
            url, additional_headers=dict(headers or {}), proxy=None, ping_interval=None
        )
        self._run(self._take())

    async def send(self, message: object) -> None:
        """Sends an object as JSON; anything else as it is. Nothing, once the server has left."""
        assert self.socket is not None
        with suppress(ConnectionClosed):
            await self.socket.send(
                message if isinstance(message, str | bytes) else json.dumps(message)
            )

    def send_soon(self, message: object) -> None:
        """Sends an object, in the background."""
        self._run(self.send(message))

    async def send_audio(self, samples: NDArray[np.int16]) -> None:
        """Sends 20 ms of audio, int16 ``(n,)``."""
        await self.send({"event": "media", "media": {"payload": payload_of(samples)}})

    def speak(self) -> None:
        """Sends what the microphone takes, from now on."""
        self._run(self.microphone.speak(self))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds; looked at whenever something arrives."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The objects received so far with this event."""
        return [each for each in self.received if each.get("event") == name]

    def typed(self, kind: str) -> list[Any]:
        """The data of the messages received so far of this type."""
        return [each.get("data") for each in self.received if each.get("type") == kind]

    def audio(self) -> NDArray[np.int16]:
        """All audio that was received, one packet after the other, int16 ``(n,)``."""
        return np.concatenate(self._packets) if self._packets else np.zeros(0, np.int16)

    async def leave(self) -> None:
        """Closes the WebSocket, and frees everything."""
        if self.socket is not None:
            await self.socket.close()
        await self._stop()

    async def vanish(self) -> None:
        """Goes without a goodbye."""
        assert self.socket is not None
        self.socket.transport.abort()
        await self._stop()

    def hear(self, message: dict[str, Any]) -> None:
        """Called with each object that the server sends."""

    async def _take(self) -> None:
        assert self.socket is not None
        try:
            async for text in self.socket:
                message = json.loads(text)
                if isinstance(message, dict):
                    self._take_object(message)
                else:
                    self.values.append(message)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            self._news.set()

    def _take_object(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        if message.get("event") == "media":
            self._packets.append(samples_of(message["media"]["payload"]))
            self.samples += self._packets[-1].size
        self.hear(message)

    def _run(self, doing: Any) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(doing))

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class PageSocket(SocketClient):
    """A page that was written for fastrtc's ``/websocket/offer``.

    Args:
        host: Host and port of the server.
        rate_hz: The rate of the handler, both ways.
        path: A path before that of the route.
    """

    def __init__(self, host: str, rate_hz: int = 24_000, path: str = "") -> None:
        super().__init__(rate_hz)
        self.url = f"ws://{host}{path}/websocket/offer"
        self.websocket_id = "page-1"

    async def call(self, **start: Any) -> None:
        """Connects and starts."""
        await self.connect(self.url)
        await self.send({"event": "start", "websocket_id": self.websocket_id, **start})


class Twilio(SocketClient):
    """Twilio, one of whose numbers is called.

    Args:
        host: Host and port of the server.
        token: The auth token that both have; ``None`` to sign nothing.
        scheme: The scheme of the webhook's address as the account has it.
        rate_hz: The rate of the audio. A telephone has no other than the default.

    Attributes:
        twiml: The answer to the webhook.
        stream_sid: The name of the stream.
        played: The packets that were played to the user, each int16 at 8 kHz.
        marks: The names of the marks that were sent back.
    """

    def __init__(
        self, host: str, token: str | None = None, scheme: str = "http", rate_hz: int = 8_000
    ) -> None:
        super().__init__(rate_hz)
        self.rate_hz = rate_hz
        self.host = host
        self.twiml = ""
        self.stream_sid = "MZ00000000000000000000000000000001"
        self.call_sid = "CA00000000000000000000000000000001"
        self.played: list[NDArray[np.int16]] = []
        self.marks: list[str] = []
        self._token = token
        self._scheme = scheme
        self._line: deque[NDArray[np.int16] | str] = deque()
        self._filled = asyncio.Event()
        self._sequence = 0

    def sign(self, url: str, fields: Mapping[str, str] | None = None) -> dict[str, str]:
        """The header with the signature of a request."""
        if self._token is None:
            return {}
        text = url + "".join(name + value for name, value in sorted((fields or {}).items()))
        digest = hmac.new(self._token.encode(), text.encode(), hashlib.sha1).digest()
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}

    async def ring(
        self, path: str = "/telephone/incoming", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Posts the webhook of an incoming call."""
        fields = {
            "CallSid": self.call_sid,
            "From": "+15005550006",
            "To": "+15005550001",
            "CallStatus": "ringing",
            "FromCity": "",
        }
        public = (headers or {}).get("Host", self.host)
        signed = self.sign(f"{self._scheme}://{public}{path}", fields)
        async with httpx.AsyncClient(base_url=f"http://{self.host}") as client:
            return await client.post(
                path,
                content=urlencode(fields),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    **signed,
                    **(headers or {}),
                },
            )

    async def call(self, path: str = "/telephone/incoming") -> None:
        """Posts the webhook, and connects as its answer demands."""
        reply = await self.ring(path)
        self.twiml = reply.raise_for_status().text
        stream = fromstring(self.twiml).find("Connect/Stream")  # noqa: S314  # our own server's
        assert stream is not None
        parameters = {each.attrib["name"]: each.attrib["value"] for each in stream}
        await self.connect_stream(stream.attrib["url"], parameters)

    async def connect_stream(
        self, url: str, parameters: Mapping[str, str] | None = None, **headers: str
    ) -> None:
        """Opens the media stream, and begins to send and to play."""
        await self.connect(url, headers)
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self.send_event("start", start=self.start_of(parameters or {}))
        self.play()
        self.speak()

    def play(self) -> None:
        """Plays what comes, and sends the marks in it back."""
        self._run(self._play())

    def start_of(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The object of the ``start``."""
        return {
            "accountSid": "AC00000000000000000000000000000001",
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters),
        }

    async def send_event(self, event: str, **parts: Any) -> None:
        """Sends an event with its sequence number."""
        self._sequence += 1
        await self.send(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                "streamSid": self.stream_sid,
                **parts,
            }
        )

    async def send_audio(self, samples: NDArray[np.int16]) -> None:
        chunk = str(self._sequence)
        media = {"track": "inbound", "chunk": chunk, "payload": payload_of(samples)}
        await self.send_event("media", media=media)

    async def press(self, digit: str) -> None:
        """Presses a key."""
        await self.send_event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def hang_up(self) -> None:
        """Ends the call as the user does."""
        await self.send_event("stop", stop={"callSid": self.call_sid})

    def heard(self) -> NDArray[np.int16]:
        """All that was played, one packet after the other, int16 ``(n,)`` at 8 kHz."""
        return np.concatenate(self.played) if self.played else np.zeros(0, np.int16)

    def hear(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "media":
                assert message["streamSid"] == self.stream_sid
                self._line.append(samples_of(message["media"]["payload"]))
            case "mark":
                self._line.append(message["mark"]["name"])
            case "clear":
                # Marks come back without the audio before them.
                self._line = deque(each for each in self._line if isinstance(each, str))
        self._filled.set()

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = 0.0
        while True:
            if not self._line:
                self._filled.clear()
                await self._filled.wait()
                due_s = max(due_s, loop.time())
                continue
            each = self._line.popleft()
            if isinstance(each, str):
                self.marks.append(each)
                await self.send_event("mark", mark={"name": each})
            else:
                self.played.append(each)
                due_s += each.size / self.rate_hz
                await asyncio.sleep(due_s - loop.time())
            self._news.set()


def payload_of(samples: NDArray[np.int16]) -> str:
    """Mu-law as Base64."""
    return base64.b64encode(encode_g711(samples)).decode()


def samples_of(payload: str) -> NDArray[np.int16]:
    """The samples of mu-law in Base64, int16 ``(n,)``."""
    return decode_g711(base64.b64decode(payload, validate=True)).reshape(-1)

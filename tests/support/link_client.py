"""A client of links: the wire as the page speaks it, over either carrier, and its outages."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import httpx
import numpy as np
import websockets
from websockets.asyncio.client import connect

from gradio_webrtc._media import OpusDecoder
from gradio_webrtc._transport import PixelConverter
from gradio_webrtc._transport.link.audio import make_codec
from gradio_webrtc._transport.link.jpeg import JpegDecoder, JpegEncoder

from .frames import numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

CarrierKind: TypeAlias = Literal["websocket", "http"]

WELCOME, TEXT, AUDIO, VIDEO, CLEAR, ACK, BYE, GAP = 1, 2, 3, 4, 5, 6, 7, 9
UNNUMBERED = {WELCOME, ACK, BYE}
FRAME_SAMPLES = 960
POST_EVERY_S = 0.06
MAX_POSTS = 2
MAX_VIDEO = 2
MOST_PIXELS = 640 * 480
HEADER = struct.Struct(">IBI")


def write(kind: int, number: int = 0, payload: bytes = b"") -> bytes:
    return HEADER.pack(5 + len(payload), kind, number) + payload


def split(data: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Takes the whole frames off the beginning of what came."""
    while len(data) >= HEADER.size:
        length, kind, number = HEADER.unpack_from(data)
        if len(data) < 4 + length:
            return
        yield kind, number, bytes(data[HEADER.size : 4 + length])
        del data[: 4 + length]


class LinkClient:
    """One client, from the answer to its request on.

    Args:
        url: The address of the link, ``http://…``.
        answer: The answer of the server.
        microphone: The audio that it sends, int16 ``(n,)`` at 48 kHz; then silence.
        carrier: The carrier that it opens.
        headers: Further headers, such as a cookie.

    Attributes:
        texts: All messages that came.
        video: All JPEGs that came.
        kinds: The kind of every numbered frame that came, in order.
        pauses: The number of pauses in the audio that the server announced.
        cleared: The number of times that the server asked to drop audio.
        welcomes: The number that the server had at the beginning of each carrier.
        reason: That of the server's goodbye; ``None`` before it.
        codes: The codes with which WebSockets were closed, and the statuses of refusals.
        sent: The number of the last frame that was sent.
        received: The number up to which all frames came.
        duplicates: Frames that came more than once.
        acknowledged: The number up to which the server has all frames.
        answers_acks: False to leave acknowledgments out.
        finished: Set when all of the microphone's audio was given to the carrier.
        samples: The number of samples that came.
    """

    def __init__(
        self,
        url: str,
        answer: Mapping[str, Any],
        microphone: NDArray[np.int16] | None = None,
        *,
        carrier: CarrierKind = "websocket",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.answer = answer
        self.carrier: CarrierKind = carrier
        self.headers = dict(headers or {})
        self.session = f"{answer['webrtc_id']}.{answer['secret']}"
        self.texts: list[Any] = []
        self.video: list[bytes] = []
        self.kinds: list[int] = []
        self.pauses = self.cleared = 0
        self.welcomes: list[int] = []
        self.reason: str | None = None
        self.codes: list[int] = []
        self.sent = self.received = self.acknowledged = self.duplicates = 0
        self.answers_acks = True
        self.finished = asyncio.Event()
        self._samples = np.zeros(0, np.int16) if microphone is None else microphone.reshape(-1)
        self._spoken = 0
        self._audio: list[NDArray[np.int16]] = []
        self.samples = 0
        audio = answer["audio"]
        self._writer = None
        if audio is not None:
            self._writer = make_codec(audio["codec"], audio["rate"])[1]
            self.rate_hz = int(audio["rate"])
            self._decoder = OpusDecoder() if audio["codec"] == "opus" else None
        self._kept: deque[tuple[int, bytes]] = deque()
        self._waiting: list[bytes] = []
        self._news = asyncio.Event()
        self._welcomed = asyncio.Event()
        self._to_send = asyncio.Event()
        self._socket: Any = None
        self._http: httpx.AsyncClient | None = None
        self._last_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    # Life

    async def join(self) -> None:
        """Opens the carrier, and begins to send audio."""
        await self.open()
        if not self._tasks:
            self._start(self._show_life())
            if self._writer is not None:
                self._start(self._speak())
            if self.answer["video"] is not None:
                self._start(self._film())

    async def open(self, carrier: CarrierKind | None = None) -> None:
        """Opens a carrier; what the server lacks is sent again."""
        self.carrier = carrier or self.carrier
        self._welcomed.clear()
        if self.carrier == "websocket":
            protocols = ["link", f"{self.session}.{self.received}"]
            self._socket = await connect(
                self.url.replace("http", "ws", 1),
                subprotocols=protocols,  # type: ignore[arg-type]  # a type of texts of its own
                additional_headers=self.headers,
                compression=None,
            )
            self._carry(self._read_socket(self._socket))
        else:
            self._http = httpx.AsyncClient(timeout=30, headers={"x-link-session": self.session})
            self._http.headers.update(self.headers)
            self._carry(self._read_stream(self._http))
            for _ in range(MAX_POSTS):
                self._carry(self._post_all(self._http))
        await self._welcomed.wait()
        again = [wire for number, wire in self._kept if number > self.welcomes[-1]]
        self._waiting[:0] = []
        self._kept = deque(each for each in self._kept if each[0] > self.welcomes[-1])
        self._waiting = [*again, *(w for w in self._waiting if w not in again)]
        self._flush()

    async def drop(self) -> None:
        """Breaks the carrier, as a network does."""
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self._carrying.clear()
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def leave(self) -> None:
        """Sends a goodbye and closes everything; safe to repeat."""
        is_there = self._socket is not None or self._http is not None
        if is_there and (self._tasks or self._carrying):
            with suppress(httpx.HTTPError, websockets.ConnectionClosed):
                await self.send_bytes(write(BYE))
        await self.vanish()

    async def vanish(self) -> None:
        """Closes everything without a goodbye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.drop()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds, which only what comes from the server can change."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    # Out

    def write_text(self, text: str) -> None:
        self.send(TEXT, text.encode())

    def say(self, samples: NDArray[np.int16]) -> None:
        """Speaks this next, int16 ``(n,)`` at 48 kHz: behind what is still to be spoken, or now."""
        missing = np.zeros(max(0, self._spoken - self._samples.size), np.int16)
        self._samples = np.concatenate([self._samples, missing, samples.reshape(-1)])
        self.finished.clear()

    def send(self, kind: int, payload: bytes = b"") -> int:
        """Numbers a frame, keeps it and sends it; returns its number."""
        self.sent += 1
        wire = write(kind, self.sent, payload)
        self._kept.append((self.sent, wire))
        self._waiting.append(wire)
        self._flush()
        return self.sent

    async def send_bytes(self, data: bytes) -> None:
        """Sends bytes as they are."""
        if self.carrier == "websocket":
            await self._socket.send(data)
        else:
            assert self._http is not None
            reply = await self._http.post(self.url, content=data)
            if reply.status_code != 204:
                self.codes.append(reply.status_code)

    def acknowledge(self) -> None:
        held_ms = round(1000 * (asyncio.get_running_loop().time() - self._last_s))
        self._waiting.append(write(ACK, payload=struct.pack(">II", self.received, held_ms)))
        self._flush()

    def _flush(self) -> None:
        self._to_send.set()

    async def _speak(self) -> None:
        """Sends the microphone in real time, an outage or not."""
        assert self._writer is not None
        loop = asyncio.get_running_loop()
        origin_s = loop.time()
        for index in itertools.count():
            begin, self._spoken = self._spoken, self._spoken + FRAME_SAMPLES
            block = self._samples[begin : begin + FRAME_SAMPLES]
            if block.size < FRAME_SAMPLES:
                block = np.pad(block, (0, FRAME_SAMPLES - block.size))
                self.finished.set()
            self.send(AUDIO, self._writer.write(block.reshape(1, -1)))
            await asyncio.sleep(max(0.0, origin_s + (index + 1) * 0.02 - loop.time()))

    async def _film(self) -> None:
        """Sends numbered frames, as many as the server takes."""
        encoder, pixels = JpegEncoder(), PixelConverter()
        on_the_way: deque[int] = deque()
        for count in itertools.count(1):
            while on_the_way and on_the_way[0] <= self.acknowledged:
                on_the_way.popleft()
            if len(on_the_way) < MAX_VIDEO:
                jpeg = encoder.encode(pixels.to_planar(numbered(count)))
                on_the_way.append(self.send(VIDEO, struct.pack(">I", 66 * count) + jpeg))
            await asyncio.sleep(1 / 15)

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(0.4)
            if self.answers_acks:
                self.acknowledge()

    async def _write_socket(self, socket: Any) -> None:
        while True:
            self._to_send.clear()
            waiting, self._waiting = self._waiting, []
            if waiting:
                await socket.send(b"".join(waiting))
            await self._to_send.wait()

    async def _post_all(self, http: httpx.AsyncClient) -> None:
        await self._welcomed.wait()
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            waiting, self._waiting = self._waiting, []
            if waiting:
                try:
                    reply = await http.post(self.url, content=b"".join(waiting))
                except httpx.TransportError:
                    # The server is gone, or the carrier was dropped.
                    return
                if reply.status_code != 204:
                    self.codes.append(reply.status_code)
                    self._news.set()
            await asyncio.sleep(POST_EVERY_S)

    # In

    async def _read_socket(self, socket: Any) -> None:
        data = bytearray()
        writing = asyncio.get_running_loop().create_task(self._begin_writing(socket))
        try:
            async for message in socket:
                data += message
                self._take(data)
            self.codes.append(socket.close_code)
        except websockets.ConnectionClosed as closed:
            self.codes.append(closed.rcvd.code if closed.rcvd is not None else 1006)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._news.set()

    async def _begin_writing(self, socket: Any) -> None:
        await self._welcomed.wait()
        with suppress(websockets.ConnectionClosed):
            await self._write_socket(socket)

    async def _read_stream(self, http: httpx.AsyncClient) -> None:
        data = bytearray()
        headers = {"x-link-received": str(self.received)}
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):
            async with http.stream("GET", self.url, headers=headers, timeout=None) as stream:
                if stream.status_code != 200:
                    self.codes.append(stream.status_code)
                async for chunk in stream.aiter_raw():
                    data += chunk
                    self._take(data)
        self._news.set()

    def _take(self, data: bytearray) -> None:
        for kind, number, payload in split(data):
            if kind not in UNNUMBERED:
                if number <= self.received:
                    self.duplicates += 1
                    continue
                assert number == self.received + 1, "a frame is missing"
                self.received = number
                self.kinds.append(kind)
                self._last_s = asyncio.get_running_loop().time()
            self._dispatch(kind, payload)
        self._news.set()

    def _dispatch(self, kind: int, payload: bytes) -> None:
        match kind:
            case 1:
                self.welcomes.append(json.loads(payload)["received"])
                self._welcomed.set()
            case 2:
                self.texts.append(json.loads(payload))
            case 3:
                self._hear(payload)
            case 4:
                self._see(payload)
            case 5:
                self.cleared += 1
            case 6:
                self.acknowledged, _ = struct.unpack(">II", payload)
                while self._kept and self._kept[0][0] <= self.acknowledged:
                    self._kept.popleft()
            case 7:
                self.reason = payload.decode()
            case other:
                assert other == GAP

    def _see(self, payload: bytes) -> None:
        self.video.append(payload[4:])
        if self.answers_acks:
            self.acknowledge()

    def _hear(self, payload: bytes) -> None:
        if not payload:
            self.pauses += 1
        elif self._decoder is None:
            self._keep(np.frombuffer(payload, "<i2"))
        else:
            samples = self._decoder.decode(payload)
            self._keep(samples[0, :: self._decoder.channels].copy())

    def _keep(self, samples: NDArray[np.int16]) -> None:
        self._audio.append(samples)
        self.samples += samples.size

    def received_audio(self) -> NDArray[np.int16]:
        """All audio that came, int16 ``(n,)`` at the rate of the answer, one channel."""
        return np.concatenate(self._audio) if self._audio else np.zeros(0, np.int16)

    def shown(self) -> list[NDArray[np.uint8]]:
        """All video frames that came, blue first."""
        decoder, pixels = JpegDecoder(MOST_PIXELS), PixelConverter()
        return [pixels.to_array(decoder.decode(each)) for each in self.video]

    def _start(self, coroutine: Any) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(coroutine))

    def _carry(self, coroutine: Any) -> None:
        self._carrying.add(asyncio.get_running_loop().create_task(coroutine))

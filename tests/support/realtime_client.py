"""A client of the OpenAI Realtime protocol, written from its public description.

It speaks like a microphone, 20 ms at a time in real time, and keeps every event.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    Event = dict[str, Any]

RATE_HZ = 24_000
FRAME = RATE_HZ // 50


class RealtimeClient:
    """One connection.

    Attributes:
        events: The events of the server, in order.
        close_code: The code of its end, once it is over.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.events: list[Event] = []
        self.close_code: int | None = None
        self._socket = socket
        self._news = asyncio.Event()

    async def read(self) -> None:
        """Keeps events until the connection ends."""
        try:
            async for text in self._socket:
                self.events.append(json.loads(text))
                self._news.set()
        except ConnectionClosed:
            pass
        self.close_code = self._socket.close_code
        self._news.set()

    async def send(self, kind: str, **values: Any) -> None:
        """Sends an event."""
        await self.send_raw(json.dumps({"type": kind, **values}))

    async def send_raw(self, text: str | bytes) -> None:
        """Sends anything."""
        await self._socket.send(text)

    async def append(self, samples: NDArray[np.int16]) -> None:
        """Sends audio in one event."""
        audio = base64.b64encode(samples.astype("<i2").tobytes()).decode()
        await self.send("input_audio_buffer.append", audio=audio)

    async def speak(self, samples: NDArray[np.int16]) -> None:
        """Sends audio in real time: int16 ``(n,)`` at 24 kHz."""
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for number, at in enumerate(range(0, samples.size, FRAME)):
            await asyncio.sleep(begin_s + number * 0.02 - loop.time())
            await self.append(samples[at : at + FRAME])

    def abort(self) -> None:
        """Breaks the connection off, without a word."""
        self._socket.transport.abort()

    def of(self, kind: str) -> list[Event]:
        """The events of a type."""
        return [each for each in self.events if each["type"] == kind]

    def kinds(self) -> list[str]:
        """The types of all events, one in a row for each."""
        found: list[str] = []
        for each in self.events:
            if not found or found[-1] != each["type"]:
                found.append(each["type"])
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds, which only an event can change.

        Raises:
            AssertionError: The connection is over.
        """
        while not condition():
            assert self.close_code is None, self.events[-3:]
            self._news.clear()
            await self._news.wait()

    async def event(self, kind: str, count: int = 1) -> Event:
        """Returns an event of a type, once there are as many."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def ended(self) -> int | None:
        """Returns the code of the connection's end, once it is over."""
        while self.close_code is None:
            self._news.clear()
            await self._news.wait()
        return self.close_code

    def audio(self, item_id: str | None = None) -> NDArray[np.int16]:
        """The audio that came, of one item or of all: int16 ``(n,)``."""
        deltas = [
            base64.b64decode(each["delta"])
            for kind in ("response.output_audio.delta", "response.audio.delta")
            for each in self.of(kind)
            if item_id in (None, each["item_id"])
        ]
        return np.frombuffer(b"".join(deltas), np.int16)


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[RealtimeClient]:
    """Connects to a server.

    Args:
        url: Its address.
        options: Those of ``websockets.asyncio.client.connect``.
    """
    async with connect(url, **options) as socket:
        client = RealtimeClient(socket)
        reading = asyncio.get_running_loop().create_task(client.read())
        try:
            yield client
        finally:
            await socket.close()
            await reading

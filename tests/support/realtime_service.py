"""A realtime voice service on this machine, over a WebSocket, as OpenAI's and Gemini's behave.

The client streams 16-bit audio of 24 kHz in JSON. The server alone decides when the user speaks:
it reports that at once, falls silent, and answers when the user pauses. Answers come as fast as the
network takes them: when they are played is the client's affair.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 24_000
BLOCK = RATE_HZ // 50
LOUD = 500
"""The level of a block of 20 ms that is speech: 36 dB below full scale."""

SPEECH_BLOCKS, PAUSE_BLOCKS = 5, 35
"""The number of blocks in a row that make speech, and a pause."""

PIECE_S = 0.1
LEVEL = 9_000

ANSWERS = ((700.0, 8.0), (1_100.0, 1.0))
"""Pitch in Hz and length in seconds of one answer after the other, round and round."""


class Connection:
    """One client of the service."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._waiting = np.zeros(0, np.int16)
        self._loud_blocks = 0
        self._quiet_blocks = 0
        self._is_speaking = False
        self._answers = 0
        self._answering: asyncio.Task[None] | None = None

    async def hold(self) -> None:
        """Serves the client until it leaves."""
        await self._send("session.created")
        try:
            async for text in self._socket:
                message = json.loads(text)
                if message["type"] == "input_audio_buffer.append":
                    await self._receive(np.frombuffer(base64.b64decode(message["audio"]), np.int16))
        finally:
            await self._stop_answering()

    async def _receive(self, samples: NDArray[np.int16]) -> None:
        self._waiting = np.concatenate([self._waiting, samples])
        while self._waiting.size >= BLOCK:
            block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
            is_loud = float(np.sqrt(np.mean(block.astype(np.float64) ** 2))) > LOUD
            self._loud_blocks = self._loud_blocks + 1 if is_loud else 0
            self._quiet_blocks = 0 if is_loud else self._quiet_blocks + 1
            await self._decide()

    async def _decide(self) -> None:
        if not self._is_speaking and self._loud_blocks == SPEECH_BLOCKS:
            self._is_speaking = True
            await self._send("input_audio_buffer.speech_started")
            await self._stop_answering()
        elif self._is_speaking and self._quiet_blocks == PAUSE_BLOCKS:
            self._is_speaking = False
            await self._send("input_audio_buffer.speech_stopped")
            self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def _stop_answering(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
            self._answering = None

    async def _answer(self) -> None:
        hz, length_s = ANSWERS[self._answers % len(ANSWERS)]
        self._answers += 1
        await self._send("response.created", number=self._answers)
        for word in ("Answer", "number", str(self._answers)):
            await self._send("response.audio_transcript.delta", delta=f"{word} ")
        await self._send("response.audio_transcript.done")
        for number in range(round(length_s / PIECE_S)):
            times = number * PIECE_S + np.arange(round(PIECE_S * RATE_HZ)) / RATE_HZ
            tone = (LEVEL * np.sin(2 * np.pi * hz * times)).astype(np.int16)
            audio = base64.b64encode(tone.tobytes()).decode()
            await self._send("response.audio.delta", delta=audio)
        await self._send("response.done", number=self._answers)

    async def _send(self, kind: str, **values: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, **values}))


def start_service() -> str:
    """Serves in a thread of this process until it ends.

    Returns:
        The address, ``ws://127.0.0.1:…``.
    """
    address: list[str] = []
    is_up = threading.Event()

    async def hold(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await Connection(socket).hold()

    async def main() -> None:
        async with serve(hold, "127.0.0.1", 0) as server:
            address.append(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            is_up.set()
            await asyncio.Event().wait()

    threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
    is_up.wait()
    return address[0]

"""A server with the same handler behind every transport, in streams with different limits.

    python tests/soak/transports_program.py

Prints its address, serves until SIGTERM, and prints then the number of handlers that were shut
down. The paths are ``/echo`` and ``/talk`` for one session at a time, ``/short`` with a time limit,
and ``/many``. The answer to ``/idle/NAME`` comes once no session of a stream is left.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from support.numbered_audio import pieces
from support.transport_clients import INTERRUPTED, RATE_HZ, RESUMED, TIME_LIMIT_S, TWILIO_TOKEN

from gradio_webrtc import AsyncStreamHandler, Limits, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

Audio = tuple[int, NDArray[np.int16]]

KEPT: Final = 100
"""Frames that wait to be sent back; of a client that sends more, the oldest go."""

LOUD: Final = 1_000

_ended = 0


class Echo(AsyncStreamHandler):
    """Sends the user's audio back.

    Args:
        monologue: The numbers of pieces that are spoken first, all at once: the user's first noise
            cuts them off. Then come the pieces `RESUMED`.
    """

    def __init__(self, monologue: Sequence[int] = ()) -> None:
        super().__init__(output_sample_rate=RATE_HZ, input_sample_rate=RATE_HZ)
        self._monologue = monologue
        self._frames: asyncio.Queue[Audio] = asyncio.Queue()
        self._is_speaking = bool(monologue)

    async def start_up(self) -> None:
        if self._monologue:
            self._speak(self._monologue)

    async def receive(self, frame: Audio) -> None:
        if not self._is_speaking:
            if self._frames.qsize() == KEPT:
                self._frames.get_nowait()
            self._frames.put_nowait(frame)
        elif np.abs(frame[1]).max() > LOUD and self._monologue:
            self._monologue = ()
            self.clear_queue()
            self._speak(RESUMED)

    async def emit(self) -> Audio:
        return await self._frames.get()

    async def shutdown(self) -> None:
        global _ended  # noqa: PLW0603  # the program's
        _ended += 1

    def copy(self) -> Echo:
        return Echo(self._monologue)

    def _speak(self, numbers: Sequence[int]) -> None:
        self._frames.put_nowait((RATE_HZ, pieces(numbers, RATE_HZ).reshape(1, -1)))


def make_app() -> FastAPI:
    """The app with all streams."""
    common: dict[str, Any] = {
        "modality": "audio",
        "limits": Limits(offers_per_minute=10_000),
        "twilio_auth_token": TWILIO_TOKEN,
    }
    options: dict[str, dict[str, Any]] = {
        "echo": {},
        "talk": {},
        "short": {"time_limit": TIME_LIMIT_S},
        "many": {"concurrency_limit": 100},
    }
    app = FastAPI()
    streams: dict[str, Any] = {}
    for name, given in options.items():
        handler = Echo(INTERRUPTED if name == "talk" else ())
        streams[name] = Stream(handler, **common, **given)
        streams[name].mount(app, f"/{name}", realtime=True)

    @app.get("/idle/{name}")
    async def idle(name: str) -> int:
        await streams[name].webrtc_component.signaling.sessions.wait_idle()
        return len(streams[name].handlers)

    return app


def main() -> None:
    """Serves until it is ended."""
    # The server raises the signal again behind its own end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(make_app(), log_level="warning", timeout_graceful_shutdown=10)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    print(_ended, flush=True)


if __name__ == "__main__":
    main()

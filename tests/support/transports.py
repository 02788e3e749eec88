"""Transports without WebRTC: of clients that come by a factory, and of pumps alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from gradio_webrtc.testing import FakeTransport

if TYPE_CHECKING:
    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._transport import AudioSink

SILENCE = np.zeros(480, np.int16)


class Line(FakeTransport):
    """The connection of a silent client; stands at once, or never.

    Attributes:
        is_closed: True once the session has closed it.
    """

    def __init__(self, *, connects: bool = True) -> None:
        super().__init__(48_000, SILENCE)
        self.is_closed = False
        self._connects = connects

    async def connect(self) -> None:
        if not self._connects:
            await asyncio.Event().wait()
        await super().connect()

    async def close(self, away_s: float = 0.0) -> None:
        self.is_closed = True
        await super().close(away_s)


class LineFactory:
    """Meets `TransportFactory`, and fails where a test asks for it.

    Args:
        fails_in: The method that raises; empty for none.
        error: The exception that it raises.
        connects: False for a client that never connects.

    Attributes:
        steps: The methods that were called, in order.
        line: The transport, once it is made.
        may_answer: Cleared by a test in which the answer takes its time.
    """

    def __init__(
        self, fails_in: str = "", error: Exception | None = None, *, connects: bool = True
    ) -> None:
        self.steps: list[str] = []
        self.configs: list[SessionConfig] = []
        self.line: Line | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._fails_in = fails_in
        self._error = error or RuntimeError("a fault of the transport")
        self._connects = connects

    def check(self, config: SessionConfig) -> None:
        self._step("check", config)

    def make(self, config: SessionConfig) -> Line:
        self._step("make", config)
        self.line = Line(connects=self._connects)
        return self.line

    async def answer(self) -> None:
        await self.may_answer.wait()
        self._step("answer")

    def _step(self, name: str, config: SessionConfig | None = None) -> None:
        self.steps.append(name)
        if config is not None:
            self.configs.append(config)
        if self._fails_in == name:
            raise self._error


class BareLine:
    """As much of a transport as an inbound pump calls; a test calls the sink.

    Attributes:
        sink: That of the pump.
    """

    sink: AudioSink

    async def carry_audio(self, sink: AudioSink) -> None:
        self.sink = sink
        await asyncio.Event().wait()

    def prefer_audio(self, *_format: object) -> None:
        """Blocks have what the test gives them."""

    def keep_pauses(self) -> None:
        """Has no pauses of its own."""

    def feed_turns(self, *_detection: Any) -> None:
        """Leaves it to the sink."""

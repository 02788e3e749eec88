"""The echo of audio that was held back on its way in: the delay is worked off."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.lending import RATE_HZ, Held

from gradio_webrtc import AsyncStreamHandler
from gradio_webrtc._transport import AudioBlock

if TYPE_CHECKING:
    from gradio_webrtc._transport import AudioSink

FRAME = 960


class Echo(AsyncStreamHandler):
    """Plays on what it receives, through a queue as in the guide."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
        self.items: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> Echo:
        return Echo()

    async def receive(self, frame: Any) -> None:
        self.items.put_nowait(frame)

    async def emit(self) -> Any:
        return await self.items.get()


class Line:
    """A session whose inbound audio comes by `speak`, and whose outbound audio is pulled there."""

    def __init__(self) -> None:
        self.held = Held(Echo())
        self.sinks: asyncio.Queue[AudioSink] = asyncio.Queue()
        self.held.transport.carry_audio = self._carry  # type: ignore[method-assign]
        self.spoken = 0

    async def _carry(self, sink: AudioSink) -> None:
        self.sinks.put_nowait(sink)
        await asyncio.Event().wait()

    def deliver(self, sink: AudioSink, frames: int) -> None:
        for _ in range(frames):
            self.spoken += 1
            samples = 8_000 * np.sin(np.arange(FRAME) * (0.02 + 0.001 * (self.spoken % 7)))
            sink(AudioBlock(RATE_HZ, 1, samples.astype(np.int16).reshape(1, -1)))

    async def speak(self, sink: AudioSink, frames: int) -> None:
        """Delivers and plays so many frames in turn, in real time: what comes faster is a burst."""
        for _ in range(frames):
            emits = self.held.session.stats().emits
            self.deliver(sink, 1)
            before = self.held.buffer.buffered_s
            for _ in range(5):
                await asyncio.sleep(0)
            assert self.held.session.stats().emits > emits or before > 0.9
            self.held.transport.player.play()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("held_back_s", [0.3, 1.3])
async def test_the_delay_of_an_echo_is_worked_off_after_a_stall(held_back_s: float) -> None:
    line = Line()
    sink = await line.sinks.get()
    await line.speak(sink, 130)
    before_s = line.held.buffer.buffered_s
    # The event loop stands still, while the core's thread goes on playing.
    time.sleep(held_back_s)  # noqa: ASYNC251 - on purpose
    for _ in range(12):
        line.held.transport.player.play()
    line.deliver(sink, round(held_back_s * 50))
    await line.speak(sink, 75)
    assert line.held.buffer.buffered_s <= before_s + 0.04
    assert line.held.handler.items.empty()
    assert line.held.buffer.removed_samples > 0.8 * held_back_s * RATE_HZ
    await line.held.end()

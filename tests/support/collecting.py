"""A handler that keeps the audio that it receives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gradio_webrtc import AsyncStreamHandler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Collector(AsyncStreamHandler):
    """Keeps what it receives at 48 kHz, until it is enough.

    Args:
        enough_s: The seconds of audio after which `has_all` is set.

    Attributes:
        received: The samples, in the frames in which they came.
        has_all: Set once there are so many.
    """

    def __init__(self, enough_s: float) -> None:
        super().__init__(input_sample_rate=48_000)
        self.received: list[NDArray[np.int16]] = []
        self.has_all = asyncio.Event()
        self._enough = 48_000 * enough_s

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.received.append(frame[1].reshape(-1))
        if sum(each.size for each in self.received) >= self._enough:
            self.has_all.set()

    async def emit(self) -> None:
        await asyncio.Event().wait()

    def copy(self) -> Collector:
        return self

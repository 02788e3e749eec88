"""Pages for `test_without_udp.py`: what is heard is noted, and given back.

The variable FALLBACK is that of the component, ROOT_PATH and the others are Gradio's.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np
from support.notes import note

from gradio_webrtc import AsyncStreamHandler, WebRTC

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000
PLAIN = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
"""Constraints without which the audio cannot be compared with the recording."""


class Repeat(AsyncStreamHandler):
    """Emits what it receives, and notes each second of it."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
        self._frames: asyncio.Queue[tuple[int, NDArray[np.int16]]] = asyncio.Queue(maxsize=500)
        self._second: list[NDArray[np.int16]] = []

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        samples = frame[1].reshape(-1)
        self._second.append(samples)
        if sum(each.size for each in self._second) >= RATE_HZ:
            note("heard", samples=np.concatenate(self._second))
            self._second.clear()
        await self._frames.put(frame)

    async def emit(self) -> tuple[int, NDArray[np.int16]]:
        return await self._frames.get()

    async def shutdown(self) -> None:
        note("over")

    def copy(self) -> Repeat:
        return Repeat()


with gr.Blocks(title="Repeat") as page:
    call = WebRTC(
        label="Call",
        mode="send-receive",
        modality="audio",
        fallback=os.environ.get("FALLBACK", "auto"),  # type: ignore[arg-type]  # the test's
        track_constraints=PLAIN,
    )
    call.stream(Repeat(), inputs=[call], outputs=[call], concurrency_limit=1)

if __name__ == "__main__":
    login = os.environ.get("LOGIN")
    page.launch(auth=tuple(login.split(":")) if login else None)

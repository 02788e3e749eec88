"""An async handler: a live session with a service, as for Gemini Live or OpenAI Realtime.

    python demo/async_handler.py

The service is `RobotService`, which needs no account, accepts any key and returns the audio that it
receives in the voice of a robot. Put your own client in its place. Use headphones.
"""

import asyncio
from collections.abc import AsyncIterator

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import (
    AsyncStreamHandler,
    CloseStream,
    WebRTC,
    WebRTCError,
    async_aggregate_bytes_to_16bit,
)

SAMPLE_RATE = 16_000
Audio = tuple[int, npt.NDArray[np.int16]]


class RobotService:
    """Stands in for a service: takes and returns bytes of 16-bit audio, in chunks of any length."""

    def __init__(self, api_key: str) -> None:
        if not api_key:
            raise WebRTCError("Any key will do, but there must be one.")
        self._audio: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
        self._position = 0

    async def send(self, audio: bytes) -> None:
        """Sends it the user's audio."""
        samples = np.frombuffer(audio, np.int16)
        times = (self._position + np.arange(samples.size)) / SAMPLE_RATE
        self._position += samples.size
        answer = (samples * np.sin(2 * np.pi * 60 * times)).astype(np.int16)
        await self._audio.put(answer.tobytes())

    async def listen(self) -> AsyncIterator[bytes]:
        """Yields its answer; chunks may end anywhere, in the middle of a sample too."""
        while True:
            audio = await self._audio.get()
            yield audio[:333]
            yield audio[333:]


class Robot(AsyncStreamHandler):
    """Holds one user's session with the service."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=SAMPLE_RATE, output_sample_rate=SAMPLE_RATE)
        self._service: RobotService | None = None
        self._answers: asyncio.Queue[Audio | CloseStream] = asyncio.Queue(maxsize=100)

    def copy(self) -> "Robot":
        """Returns a handler of its own for each session."""
        return Robot()

    async def start_up(self) -> None:
        """Reads from the service until the session ends; `latest_args` has the input values."""
        await self.wait_for_args()
        self._service = RobotService(api_key=self.latest_args[1])
        async for samples in async_aggregate_bytes_to_16bit(self._service.listen()):
            await self._answers.put((SAMPLE_RATE, samples))
        await self._answers.put(CloseStream("The service hung up."))

    async def receive(self, frame: Audio) -> None:
        """Sends 960 samples to the service, while `start_up` reads its answers."""
        if self._service is not None:
            await self._service.send(frame[1].tobytes())

    async def emit(self) -> Audio | CloseStream:
        """Waits for the next chunk of the answer."""
        return await self._answers.get()

    async def shutdown(self) -> None:
        """Drops the service: the session is over, whoever ended it."""
        self._service = None


with gr.Blocks(title="Robot") as demo:
    gr.Markdown("# Robot\nSpeak, and hear what a robot would sound like.")
    with gr.Row() as key_row:
        key = gr.Textbox(label="API key", type="password", placeholder="Type any key, press Enter")
    with gr.Row(visible=False) as call_row:
        webrtc = WebRTC(
            label="Robot",
            mode="send-receive",
            modality="audio",
            icon_button_color="rgb(35, 157, 225)",
            pulse_color="rgb(35, 157, 225)",
        )
    webrtc.stream(
        Robot(), inputs=[webrtc, key], outputs=[webrtc], time_limit=90, concurrency_limit=2
    )
    key.submit(
        lambda: (gr.update(visible=False), gr.update(visible=True)),
        outputs=[key_row, call_row],
    )

if __name__ == "__main__":
    demo.launch()

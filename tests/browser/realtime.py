"""A page for `test_realtime.py`: a live session with a realtime voice service, over a WebSocket.

It is written as programs for such services are: `start_up` holds the session open and reads what
comes, `emit` waits for a queue, and the server's own voice detection silences the answer.
"""

import asyncio
import base64
import json
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from support.notes import note
from support.realtime_service import RATE_HZ, start_service
from websockets.asyncio.client import ClientConnection, connect

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC, wait_for_item

Audio = tuple[int, npt.NDArray[np.int16]]
Messages = list[dict[str, Any]]

SERVICE = start_service()


class Realtime(AsyncStreamHandler):
    """One user's session with the service."""

    def __init__(self) -> None:
        super().__init__("mono", RATE_HZ, input_sample_rate=RATE_HZ)
        self.connection: ClientConnection | None = None
        self.output_queue: asyncio.Queue[Audio | AdditionalOutputs] = asyncio.Queue()
        self.transcript = ""

    def copy(self) -> "Realtime":
        """Make a handler for each user."""
        return Realtime()

    async def start_up(self) -> None:
        """Hold the session open for as long as the call lasts."""
        try:
            async with connect(SERVICE) as self.connection:
                async for text in self.connection:
                    await self.take(json.loads(text))
        finally:
            self.connection = None
            note("session over")

    async def take(self, message: dict[str, Any]) -> None:
        """Take one message of the service."""
        match message["type"]:
            case "input_audio_buffer.speech_started":
                # The part of the answer that was not played yet waits in two places.
                self.output_queue = asyncio.Queue()
                self.clear_queue()
                await self.write("(listening)")
            case "response.audio_transcript.delta":
                self.transcript += message["delta"]
            case "response.audio_transcript.done":
                await self.write(self.transcript)
                self.transcript = ""
            case "response.audio.delta":
                samples = np.frombuffer(base64.b64decode(message["delta"]), np.int16)
                await self.output_queue.put((RATE_HZ, samples.reshape(1, -1)))

    async def write(self, text: str) -> None:
        """Show a line in the page."""
        await self.output_queue.put(AdditionalOutputs({"role": "assistant", "content": text}))

    async def receive(self, frame: Audio) -> None:
        """Send the user's audio."""
        if self.connection is not None:
            audio = base64.b64encode(frame[1].tobytes()).decode()
            message = {"type": "input_audio_buffer.append", "audio": audio}
            await self.connection.send(json.dumps(message))

    async def emit(self) -> Audio | AdditionalOutputs | None:
        """Wait for the next audio to play or text to show."""
        return await wait_for_item(self.output_queue)

    async def shutdown(self) -> None:
        """Leave the service."""
        if self.connection is not None:
            await self.connection.close()


def update(conversation: Messages, line: dict[str, Any]) -> Messages:
    """Add a line to the conversation."""
    return [*conversation, line]


with gr.Blocks(title="Realtime") as page:
    conversation = gr.Chatbot()
    call = WebRTC(label="Call", mode="send-receive", modality="audio")
    call.stream(Realtime(), inputs=[call], outputs=[call], concurrency_limit=2)
    call.on_additional_outputs(
        update, inputs=[conversation], outputs=[conversation], queue=False, show_progress="hidden"
    )

if __name__ == "__main__":
    page.launch()

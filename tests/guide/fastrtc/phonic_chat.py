"""A voice to choose: the handler waits for the inputs before it connects."""

import asyncio
import os

import gradio as gr
import numpy as np
from gradio.utils import get_space
from support.vendors import VOICES, LiveModel, LiveService

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Stream,
    audio_to_float32,
    get_twilio_turn_credentials,
    wait_for_item,
)

SAMPLE_RATE = 44_100
service = LiveService()


class VoiceHandler(AsyncStreamHandler):
    def __init__(self):
        super().__init__(input_sample_rate=SAMPLE_RATE, output_sample_rate=SAMPLE_RATE)
        self.output_queue: asyncio.Queue = asyncio.Queue()
        self.model: LiveModel | None = None

    def copy(self) -> AsyncStreamHandler:
        return VoiceHandler()

    async def start_up(self):
        await self.wait_for_args()
        voice = self.latest_args[1]
        async with service.connect(voice, SAMPLE_RATE) as model:
            self.model = model
            async for event in model:
                if event.type == "audio":
                    samples = np.frombuffer(event.audio, dtype=np.int16)
                    await self.output_queue.put((SAMPLE_RATE, samples))
                elif event.text:
                    await self.output_queue.put(AdditionalOutputs(event.message))

    async def emit(self):
        return await wait_for_item(self.output_queue)

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if not self.model:
            return
        samples = audio_to_float32(frame)
        await self.model.send((samples * 32767).astype(np.int16).tobytes())

    async def shutdown(self):
        if self.model:
            await self.model.close()
        return super().shutdown()


def add_to_chatbot(chatbot, message):
    chatbot.append(message)
    return chatbot


chatbot = gr.Chatbot(type="messages", value=[])
stream = Stream(
    handler=VoiceHandler(),
    mode="send-receive",
    modality="audio",
    additional_inputs=[
        gr.Dropdown(choices=[*VOICES], value="low", label="Voice", info="Any of them"),
    ],
    additional_outputs=[chatbot],
    additional_outputs_handler=add_to_chatbot,
    ui_args={"title": "A voice to choose ⚡️"},
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
)


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        stream.ui.launch(server_port=7860)

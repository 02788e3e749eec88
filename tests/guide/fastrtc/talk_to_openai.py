"""A live model with events: what both have said is shown, and speech stops the answer."""

import asyncio
import base64
import json
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from gradio.utils import get_space
from support.vendors import LiveModel, LiveService

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Stream,
    get_twilio_turn_credentials,
    wait_for_item,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"
SAMPLE_RATE = 24_000
service = LiveService()


class LiveHandler(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(
            expected_layout="mono", output_sample_rate=SAMPLE_RATE, input_sample_rate=SAMPLE_RATE
        )
        self.connection: LiveModel | None = None
        self.output_queue: asyncio.Queue = asyncio.Queue()

    def copy(self):
        return LiveHandler()

    async def start_up(self):
        async with service.connect() as connection:
            self.connection = connection
            async for event in self.connection:
                if event.type == "speech_started":
                    self.clear_queue()
                if event.type in ("user", "assistant"):
                    await self.output_queue.put(AdditionalOutputs(event.message))
                if event.type == "audio":
                    samples = np.frombuffer(event.audio, dtype=np.int16).reshape(1, -1)
                    await self.output_queue.put((self.output_sample_rate, samples))

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if not self.connection:
            return
        _, samples = frame
        await self.connection.send(base64.b64encode(samples.squeeze().tobytes()).decode())

    async def emit(self) -> tuple[int, np.ndarray] | AdditionalOutputs | None:
        return await wait_for_item(self.output_queue)

    async def shutdown(self) -> None:
        if self.connection:
            await self.connection.close()
            self.connection = None


def update_chatbot(chatbot: list[dict], response: dict):
    chatbot.append(response)
    return chatbot


chatbot = gr.Chatbot(type="messages")
latest_message = gr.Textbox(type="text", visible=False)
stream = Stream(
    LiveHandler(),
    mode="send-receive",
    modality="audio",
    additional_inputs=[chatbot],
    additional_outputs=[chatbot],
    additional_outputs_handler=update_chatbot,
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    configuration = get_twilio_turn_credentials() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.get("/outputs")
def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            yield f"event: output\ndata: {json.dumps(output.args[0])}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

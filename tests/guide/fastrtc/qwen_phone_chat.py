"""A model behind a WebSocket, for a page and for a telephone line with places of its own."""

import asyncio
import base64
import json
import secrets
from xml.etree.ElementTree import Element, SubElement, tostring

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from support.realtime_service import start_service
from websockets.asyncio.client import ClientConnection, connect

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Stream,
    get_cloudflare_turn_credentials_async,
    wait_for_item,
)

API_URL = start_service()
VOICES = ["Anna", "Bert"]
headers = {"Authorization": "Bearer nobody"}


class PhoneHandler(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(
            expected_layout="mono", output_sample_rate=24_000, input_sample_rate=16_000
        )
        self.connection: ClientConnection | None = None
        self.output_queue: asyncio.Queue = asyncio.Queue()

    def copy(self):
        return PhoneHandler()

    @staticmethod
    def message(kind: str, **values) -> str:
        return json.dumps({"event_id": f"event_{secrets.token_hex(10)}", "type": kind, **values})

    async def start_up(self):
        async with connect(API_URL, additional_headers=headers) as connection:
            session = {"voice": VOICES[0], "input_audio_format": "pcm16"}
            await connection.send(self.message("session.update", session=session))
            self.connection = connection
            async for data in self.connection:
                event = json.loads(data)
                if event["type"] == "input_audio_buffer.speech_started":
                    self.clear_queue()
                if event["type"] == "response.audio.delta":
                    samples = np.frombuffer(base64.b64decode(event["delta"]), dtype=np.int16)
                    await self.output_queue.put((self.output_sample_rate, samples.reshape(1, -1)))

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if not self.connection:
            return
        _, samples = frame
        audio = base64.b64encode(samples.squeeze().tobytes()).decode("utf-8")
        await self.connection.send(self.message("input_audio_buffer.append", audio=audio))

    async def emit(self) -> tuple[int, np.ndarray] | AdditionalOutputs | None:
        return await wait_for_item(self.output_queue)

    async def shutdown(self) -> None:
        if self.connection:
            await self.connection.close()
            self.connection = None


voice = gr.Dropdown(choices=VOICES, value=VOICES[0], type="value", label="Voice")
stream = Stream(
    PhoneHandler(),
    mode="send-receive",
    modality="audio",
    additional_inputs=[voice],
    additional_outputs=None,
    rtc_configuration=get_cloudflare_turn_credentials_async,
    concurrency_limit=20,
    time_limit=180,
)

app = FastAPI()


@app.post("/telephone/incoming")
async def take_call(request: Request):
    answer = Element("Response")
    if len(stream.connections) > (stream.concurrency_limit or 20):
        SubElement(answer, "Say").text = "All lines are busy."
    else:
        line = f"wss://{request.url.hostname}/telephone/handler"
        SubElement(SubElement(answer, "Connect"), "Stream", url=line)
    return HTMLResponse(tostring(answer), media_type="application/xml")


stream.mount(app)


@app.get("/")
async def index():
    return HTMLResponse("<h1>Call us</h1>")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=7860)

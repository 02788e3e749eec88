"""A live model with a key and a voice of the user's, unless they call by telephone."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncGenerator
from typing import Literal

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from gradio.utils import get_space
from pydantic import BaseModel
from support.vendors import VOICES, LiveService

from gradio_webrtc import (
    AsyncStreamHandler,
    Stream,
    get_cloudflare_turn_credentials_async,
    wait_for_item,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

service = LiveService()
keys: list[str | None] = []


class LiveHandler(AsyncStreamHandler):
    def __init__(
        self, expected_layout: Literal["mono"] = "mono", output_sample_rate: int = 24_000
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, input_sample_rate=16_000)
        self.input_queue: asyncio.Queue = asyncio.Queue()
        self.output_queue: asyncio.Queue = asyncio.Queue()
        self.quit: asyncio.Event = asyncio.Event()

    def copy(self):
        return LiveHandler(expected_layout="mono", output_sample_rate=self.output_sample_rate)

    async def start_up(self):
        if not self.phone_mode:
            await self.wait_for_args()
            api_key, voice = self.latest_args[1:]
        else:
            api_key, voice = None, "low"
        keys.append(api_key)
        async with service.connect(voice) as model:
            async for event in model.respond(self.stream()):
                if event.audio:
                    samples = np.frombuffer(event.audio, dtype=np.int16)
                    self.output_queue.put_nowait((self.output_sample_rate, samples))

    async def stream(self) -> AsyncGenerator[str, None]:
        while not self.quit.is_set():
            try:
                yield await asyncio.wait_for(self.input_queue.get(), 0.1)
            except TimeoutError:
                pass

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        _, samples = frame
        self.input_queue.put_nowait(base64.b64encode(samples.squeeze().tobytes()).decode())

    async def emit(self) -> tuple[int, np.ndarray] | None:
        return await wait_for_item(self.output_queue)

    def shutdown(self) -> None:
        self.quit.set()


stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=LiveHandler(),
    rtc_configuration=get_cloudflare_turn_credentials_async if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
    additional_inputs=[
        gr.Textbox(label="Key", type="password", value="" if get_space() else os.getenv("A_KEY")),
        gr.Dropdown(label="Voice", choices=[*VOICES], value="low"),
    ],
)


class InputData(BaseModel):
    webrtc_id: str
    voice_name: str
    api_key: str


app = FastAPI()
stream.mount(app)


@app.post("/input_hook")
async def take_inputs(body: InputData):
    stream.set_input(body.webrtc_id, body.api_key, body.voice_name)
    return {"status": "ok"}


@app.get("/")
async def index():
    configuration = await get_cloudflare_turn_credentials_async() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

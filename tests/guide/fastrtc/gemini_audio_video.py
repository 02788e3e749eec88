"""A model that is shown things: a handler of audio and video, with an image as an input."""

import asyncio
import io
import time

import gradio as gr
import numpy as np
from gradio.utils import get_space
from PIL import Image
from support.vendors import LiveModel, LiveService

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    Stream,
    get_cloudflare_turn_credentials_async,
    wait_for_item,
)

service = LiveService()


def as_jpeg(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG")
        return file.getvalue()


class SeeingHandler(AsyncAudioVideoStreamHandler):
    def __init__(self):
        super().__init__("mono", output_sample_rate=24_000, input_sample_rate=16_000)
        self.spoken: asyncio.Queue = asyncio.Queue()
        self.seen: asyncio.Queue = asyncio.Queue()
        self.model: LiveModel | None = None
        self.last_s = 0.0
        self.quit = asyncio.Event()

    def copy(self):
        return SeeingHandler()

    async def start_up(self):
        async with service.connect("high") as self.model:
            while not self.quit.is_set():
                async for event in self.model:
                    if event.audio:
                        samples = np.frombuffer(event.audio, np.int16).reshape(1, -1)
                        self.spoken.put_nowait(samples)

    async def video_receive(self, frame: np.ndarray):
        self.seen.put_nowait(frame)
        if self.model and time.monotonic() - self.last_s > 1:
            self.last_s = time.monotonic()
            await self.model.send_image(as_jpeg(frame))
            if self.latest_args[1] is not None:
                await self.model.send_image(as_jpeg(self.latest_args[1]))

    async def video_emit(self):
        frame = await wait_for_item(self.seen, 0.01)
        return np.zeros((100, 100, 3), np.uint8) if frame is None else frame

    async def receive(self, frame: tuple[int, np.ndarray]):
        if self.model:
            await self.model.send(frame[1].squeeze().tobytes())

    async def emit(self):
        samples = await wait_for_item(self.spoken, 0.01)
        return None if samples is None else (self.output_sample_rate, samples)

    async def shutdown(self):
        if self.model:
            self.quit.set()
            await self.model.close()
            self.quit.clear()


stream = Stream(
    handler=SeeingHandler(),
    modality="audio-video",
    mode="send-receive",
    rtc_configuration=get_cloudflare_turn_credentials_async if get_space() else None,
    time_limit=180 if get_space() else None,
    additional_inputs=[
        gr.Image(label="Image", type="numpy", sources=["upload", "clipboard"]),
    ],
    ui_args={
        "icon": "https://icons.example/eye.png",
        "pulse_color": "rgb(255, 255, 255)",
        "icon_button_color": "rgb(255, 255, 255)",
        "title": "Seeing and speaking",
    },
)

if __name__ == "__main__":
    stream.ui.launch()

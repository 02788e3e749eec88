"""Things in the video are framed: a video function with a slider, and a page of its own."""

import json
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from gradio.utils import get_space
from PIL import Image
from pydantic import BaseModel, Field

from gradio_webrtc import Stream, get_twilio_turn_credentials

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"
WIDTH, HEIGHT = 320, 320


class Detector:
    """Frames what is brighter than the threshold."""

    def detect_objects(self, image: np.ndarray, threshold: float) -> np.ndarray:
        rows, columns = np.nonzero(image.mean(axis=2) > 255 * threshold)
        if rows.size:
            box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            box[:8], box[-8:], box[:, :8], box[:, -8:] = 4 * [(0, 0, 255)]
        return image


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.array(Image.fromarray(image).resize(size))


model = Detector()


def detection(image, conf_threshold=0.3):
    found = model.detect_objects(resize(image, (WIDTH, HEIGHT)), conf_threshold)
    return resize(found, (500, 500))


stream = Stream(
    handler=detection,
    modality="video",
    mode="send-receive",
    additional_inputs=[gr.Slider(minimum=0, maximum=1, step=0.01, value=0.3)],
    additional_outputs=[
        gr.Markdown("# What is bright", elem_classes=["title-section"]),
        gr.HTML("<p>It has a red frame.</p>"),
    ],
    additional_outputs_handler=lambda _: _,
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=2 if get_space() else None,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    configuration = get_twilio_turn_credentials() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


class InputData(BaseModel):
    webrtc_id: str
    conf_threshold: float = Field(ge=0, le=1)


@app.post("/input_hook")
async def take_inputs(data: InputData):
    stream.set_input(data.webrtc_id, data.conf_threshold)


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

"""A page for `test_camera.py`: measures each picture, and shows the figures beside the camera."""

import time
from itertools import count
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from support.notes import note

from gradio_webrtc import AdditionalOutputs, WebRTC

VideoFrame = npt.NDArray[np.uint8]

UPDATE_S = 0.15
"""What the page's own function takes for each update: much longer than a picture lasts."""

numbers = count(1)


def measure(picture: VideoFrame) -> tuple[VideoFrame, AdditionalOutputs]:
    """Give the picture back with its figures."""
    number = next(numbers)
    note("picture", number=number)
    return 255 - picture, AdditionalOutputs(number, f"{picture.mean():.0f} of 255")


def show(number: int, brightness: str) -> tuple[Any, ...]:
    """Write down what was measured."""
    time.sleep(UPDATE_S)
    note("shown", number=number)
    return number, brightness


with gr.Blocks(title="Camera") as page:
    call = WebRTC(label="Camera", mode="send-receive", modality="video")
    with gr.Row():
        picture_number = gr.Number(label="Picture")
        mean = gr.Textbox(label="Brightness")
    call.stream(measure, inputs=[call], outputs=[call])
    call.on_additional_outputs(
        show, outputs=[picture_number, mean], queue=False, show_progress="hidden"
    )

if __name__ == "__main__":
    page.launch()

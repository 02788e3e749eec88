"""A page for `test_camera.py`: measures each frame, and shows the figures beside the camera."""

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
"""The time that the page's own function takes for each update: far longer than a frame lasts."""

numbers = count(1)


def measure(frame: VideoFrame) -> tuple[VideoFrame, AdditionalOutputs]:
    """Give the frame back with its figures."""
    number = next(numbers)
    note("frame", number=number)
    return 255 - frame, AdditionalOutputs(number, f"{frame.mean():.0f} of 255")


def show(number: int, brightness: str) -> tuple[Any, ...]:
    """Write down what was measured."""
    time.sleep(UPDATE_S)
    note("shown", number=number)
    return number, brightness


with gr.Blocks(title="Camera") as page:
    call = WebRTC(label="Camera", mode="send-receive", modality="video")
    with gr.Row():
        frame_number = gr.Number(label="Frame")
        mean = gr.Textbox(label="Brightness")
    call.stream(measure, inputs=[call], outputs=[call])
    call.on_additional_outputs(
        show, outputs=[frame_number, mean], queue=False, show_progress="hidden"
    )

if __name__ == "__main__":
    page.launch()

"""Captions as one speaks: a choice of models and the text so far are the inputs."""

from collections.abc import Generator
from functools import cache
from typing import Literal

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    audio_to_float32,
    get_stt_model,
    get_twilio_turn_credentials,
)
from gradio_webrtc.speech_to_text import STTModel

Size = Literal["moonshine/base", "moonshine/tiny"]


@cache
def load(size: Size) -> STTModel:
    return get_stt_model(size)


def stt(
    audio: tuple[int, NDArray[np.int16 | np.float32]], size: Size, captions: str
) -> Generator[AdditionalOutputs, None, None]:
    rate, samples = audio
    if samples.dtype == np.int16:
        samples = audio_to_float32(audio)
    if samples.ndim == 1:
        samples = samples.reshape(1, -1)
    words = load(size).stt((rate, samples))
    yield AdditionalOutputs((captions + "\n" + words).strip())


captions = gr.Textbox(label="Captions")
stream = Stream(
    ReplyOnPause(stt, input_sample_rate=16_000),
    modality="audio",
    mode="send",
    ui_args={
        "title": "Captions",
        "icon": "default-favicon.ico",
        "icon_button_color": "#5c5c5c",
        "pulse_color": "#a7c6fc",
        "icon_radius": 0,
    },
    rtc_configuration=get_twilio_turn_credentials(),
    additional_inputs=[
        gr.Radio(
            choices=["moonshine/base", "moonshine/tiny"], value="moonshine/tiny", label="Model"
        ),
        captions,
    ],
    additional_outputs=[captions],
    additional_outputs_handler=lambda prev, current: (prev + "\n" + current).strip(),
)

if __name__ == "__main__":
    stream.ui.launch()

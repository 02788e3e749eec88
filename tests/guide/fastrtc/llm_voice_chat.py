"""A chat by voice: the page of the stream, mounted by Gradio at the root of an app."""

import os

import gradio as gr
import numpy as np
from fastapi import FastAPI
from gradio.utils import get_space
from numpy.typing import NDArray
from support.vendors import RATE_HZ, Chat, Speaker

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    get_stt_model,
    get_twilio_turn_credentials,
)

llm = Chat()
speaker = Speaker()
stt_model = get_stt_model()


def response(audio: tuple[int, NDArray[np.int16 | np.float32]], chatbot: list[dict] | None = None):
    chatbot = chatbot or []
    messages = [{"role": each["role"], "content": each["content"]} for each in chatbot]
    words = stt_model.stt(audio)
    chatbot.append({"role": "user", "content": words})
    yield AdditionalOutputs(chatbot)
    messages.append({"role": "user", "content": words})
    answer = llm.complete(messages)
    chatbot.append({"role": "assistant", "content": answer})
    for number, chunk in enumerate(speaker.stream(answer, 4_800)):
        if number == 0:
            yield AdditionalOutputs(chatbot)
        yield (RATE_HZ, np.frombuffer(chunk, np.int16).reshape(1, -1))


chatbot = gr.Chatbot(type="messages")
stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=ReplyOnPause(response, input_sample_rate=16_000),
    additional_outputs_handler=lambda old, new: new,
    additional_inputs=[chatbot],
    additional_outputs=[chatbot],
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
    ui_args={"title": "Voice chat ⚡️"},
)

app = FastAPI()
app = gr.mount_gradio_app(app, stream.ui, path="/")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        stream.ui.launch(server_port=7860)

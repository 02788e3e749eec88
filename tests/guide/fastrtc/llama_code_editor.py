"""Web pages written by voice: a page of the program's own takes the place of the stream's."""

import base64
import os
import re

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from gradio.utils import get_space
from support.vendors import Chat, Recogniser

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    WebRTC,
    audio_to_bytes,
    get_twilio_turn_credentials,
)

WAITING = "<p>One moment</p>"
PROMPT = "Write this page: {wish}\nIt is now: {code}"

recogniser = Recogniser()
llm = Chat("Here it is:\n<!DOCTYPE html><html><body>Hello</body></html>\nEnjoy.")


def page_in(text: str) -> str | None:
    found = re.search(r"<!DOCTYPE html>.*?</html>", text, re.DOTALL)
    return found[0] if found else None


def display_in_sandbox(code: str) -> str:
    encoded = base64.b64encode(code.encode()).decode()
    return f'<iframe src="data:text/html;charset=utf-8;base64,{encoded}"></iframe>'


def generate(user_message: tuple[int, np.ndarray], history: list[dict], code: str):
    yield AdditionalOutputs(history, WAITING)

    wish = recogniser.transcribe(audio_to_bytes(user_message))
    history.append({"role": "user", "content": PROMPT.format(wish=wish, code=code)})
    answer = llm.complete(history)
    history.append({"role": "assistant", "content": answer})
    yield AdditionalOutputs(history, page_in(answer))


CodeHandler = ReplyOnPause(generate)

with gr.Blocks() as demo:
    history = gr.State([{"role": "system", "content": "You write web pages."}])
    with gr.Row():
        with gr.Column(scale=1):
            gr.HTML("<h1>Pages by voice</h1>")
            webrtc = WebRTC(
                rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
                mode="send",
                modality="audio",
            )
        with gr.Column(scale=10):
            with gr.Tabs():
                with gr.Tab("Page"):
                    sandbox = gr.HTML(value="<p>Nothing yet</p>")
                with gr.Tab("Code"):
                    code = gr.Code(
                        language="html",
                        max_lines=50,
                        interactive=False,
                        elem_classes="code-component",
                    )
                with gr.Tab("Chat"):
                    cb = gr.Chatbot(type="messages")

    webrtc.stream(
        CodeHandler,
        inputs=[webrtc, history, code],
        outputs=[webrtc],
        time_limit=90 if get_space() else None,
        concurrency_limit=10 if get_space() else None,
    )
    webrtc.on_additional_outputs(
        lambda history, code: (history, code, history), outputs=[history, code, cb]
    )
    code.change(display_in_sandbox, code, sandbox, queue=False)

stream = Stream(
    handler=CodeHandler,
    modality="audio",
    mode="send-receive",
    concurrency_limit=10 if get_space() else None,
    time_limit=90 if get_space() else None,
)
stream.ui = demo

app = FastAPI()


@app.get("/")
async def index():
    return RedirectResponse("/ui")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        css = ".code-component { max-height: 500px !important }"
        stream.ui.launch(server_port=7860, server_name="127.0.0.1", css=css)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

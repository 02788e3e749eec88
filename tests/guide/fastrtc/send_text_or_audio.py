"""A question by voice or by hand: a button asks for the answer, on both pages of the program."""

import json
import os
from typing import cast

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from gradio.utils import get_space
from pydantic import BaseModel
from support.vendors import Chat

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    get_stt_model,
    get_twilio_turn_credentials,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

llm = Chat()
stt_model = get_stt_model()


def response(
    audio: tuple[int, np.ndarray],
    gradio_chatbot: list[dict] | None = None,
    conversation_state: list[dict] | None = None,
    textbox: str | None = None,
):
    gradio_chatbot = gradio_chatbot or []
    conversation_state = conversation_state or []
    text = textbox or stt_model.stt(audio)
    question = {"role": "user", "content": text}
    gradio_chatbot.append(question)
    conversation_state.append(question)
    yield AdditionalOutputs([*gradio_chatbot], [*conversation_state])

    answer = {"role": "assistant", "content": llm.complete(conversation_state)}
    conversation_state.append(answer)
    gradio_chatbot.append(answer)
    yield AdditionalOutputs(gradio_chatbot, conversation_state)


chatbot = gr.Chatbot(type="messages", value=[])
state = gr.State(value=[])
textbox = gr.Textbox(value="", interactive=True)
stream = Stream(
    ReplyOnPause(response, input_sample_rate=16_000),
    mode="send",
    modality="audio",
    additional_inputs=[chatbot, state, textbox],
    additional_outputs=[chatbot, state],
    additional_outputs_handler=lambda *values: (values[2], values[3]),
    concurrency_limit=20 if get_space() else 5,
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
)


def trigger_response(webrtc_id: str):
    cast(ReplyOnPause, stream.webrtc_component.handlers[webrtc_id]).trigger_response()
    return ""


with stream.ui as demo:
    button = gr.Button("Send")
    button.click(trigger_response, inputs=[stream.webrtc_component], outputs=[textbox])

stream.ui = demo
app = FastAPI()
stream.mount(app)


class Message(BaseModel):
    role: str
    content: str


class InputData(BaseModel):
    webrtc_id: str
    chatbot: list[Message]
    state: list[Message]
    textbox: str


@app.get("/")
async def index():
    configuration = get_twilio_turn_credentials() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.post("/input_hook")
async def take_inputs(data: InputData):
    body = data.model_dump()
    stream.set_input(data.webrtc_id, body["chatbot"], body["state"], body["textbox"])
    cast(ReplyOnPause, stream.handlers[data.webrtc_id]).trigger_response()


@app.get("/outputs")
async def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            _, messages = output.args
            yield f"event: output\ndata: {json.dumps({'message': messages[-1]})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        raise ValueError("this program has no telephone")
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

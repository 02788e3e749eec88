"""Dictation and its answers: the page keeps the conversation, TURN servers stand on both sides."""

import base64
import json
import os
from pathlib import Path

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
    get_cloudflare_turn_credentials,
    get_cloudflare_turn_credentials_async,
    get_stt_model,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

llm = Chat()
stt_model = get_stt_model()


def response(
    audio: tuple[int, np.ndarray],
    gradio_chatbot: list[dict] | None = None,
    conversation_state: list[dict] | None = None,
):
    gradio_chatbot = gradio_chatbot or []
    conversation_state = conversation_state or []
    sample_rate, samples = audio
    recording = gr.Audio((sample_rate, samples.squeeze()))
    gradio_chatbot.append({"role": "user", "content": recording})
    conversation_state.append({"role": "user", "content": stt_model.stt(audio)})
    yield AdditionalOutputs([*gradio_chatbot], [*conversation_state])

    answer = {"role": "assistant", "content": llm.complete(conversation_state)}
    conversation_state.append(answer)
    gradio_chatbot.append(answer)
    yield AdditionalOutputs(gradio_chatbot, conversation_state)


chatbot = gr.Chatbot(type="messages", value=[])
state = gr.State(value=[])
stream = Stream(
    ReplyOnPause(response, input_sample_rate=16_000),
    mode="send",
    modality="audio",
    additional_inputs=[chatbot, state],
    additional_outputs=[chatbot, state],
    additional_outputs_handler=lambda *values: (values[2], values[3]),
    concurrency_limit=20 if get_space() else None,
    rtc_configuration=get_cloudflare_turn_credentials_async,
    server_rtc_configuration=get_cloudflare_turn_credentials(ttl=36_000),
)

app = FastAPI()
stream.mount(app)


class Message(BaseModel):
    role: str
    content: str


class InputData(BaseModel):
    webrtc_id: str
    chatbot: list[Message]
    state: list[Message]


@app.get("/")
async def index():
    configuration = await get_cloudflare_turn_credentials_async(hf_token=os.getenv("OTHER_TOKEN"))
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.post("/input_hook")
async def take_inputs(data: InputData):
    body = data.model_dump()
    stream.set_input(data.webrtc_id, body["chatbot"], body["state"])


def as_data_url(path: str) -> str:
    return f"data:audio/wav;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


@app.get("/outputs")
async def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            chat, messages = output.args
            is_users = chat[-1]["role"] == "user"
            audio = as_data_url(chat[-1]["content"].value["path"]) if is_users else None
            data = {"message": messages[-1], "audio": audio}
            yield f"event: output\ndata: {json.dumps(data)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        raise ValueError("this program has no telephone")
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

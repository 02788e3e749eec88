"""Three services, one after the other: a transcript, an answer, and a voice for it."""

import json
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from gradio.utils import get_space
from pydantic import BaseModel
from support.vendors import Chat, Recogniser

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    get_tts_model,
    get_twilio_turn_credentials,
)
from gradio_webrtc.utils import audio_to_bytes

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

recogniser = Recogniser()
llm = Chat()
tts_model = get_tts_model()


def response(audio: tuple[int, np.ndarray], chatbot: list[dict] | None = None):
    chatbot = chatbot or []
    messages = [{"role": each["role"], "content": each["content"]} for each in chatbot]
    prompt = recogniser.transcribe(audio_to_bytes(audio))
    chatbot.append({"role": "user", "content": prompt})
    yield AdditionalOutputs([*chatbot])
    messages.append({"role": "user", "content": prompt})
    answer = llm.complete(messages)
    chatbot.append({"role": "assistant", "content": answer})
    for chunk in tts_model.stream_tts_sync(answer):
        yield chunk
        yield AdditionalOutputs(chatbot)


chatbot = gr.Chatbot(type="messages")
stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=ReplyOnPause(response),
    additional_outputs_handler=lambda old, new: new,
    additional_inputs=[chatbot],
    additional_outputs=[chatbot],
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
)


class Message(BaseModel):
    role: str
    content: str


class InputData(BaseModel):
    webrtc_id: str
    chatbot: list[Message]


app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    configuration = get_twilio_turn_credentials() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.post("/input_hook")
async def take_inputs(body: InputData):
    stream.set_input(body.webrtc_id, body.model_dump()["chatbot"])
    return {"status": "ok"}


@app.get("/outputs")
def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            yield f"event: output\ndata: {json.dumps(output.args[0][-1])}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

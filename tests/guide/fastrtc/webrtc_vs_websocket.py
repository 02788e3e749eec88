"""One handler for two transports, with a log of the package's own and rates of its own."""

import json
import logging
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from gradio.utils import get_space
from pydantic import BaseModel
from support.vendors import RATE_HZ, Chat, Recogniser, Speaker

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream, get_twilio_turn_credentials
from gradio_webrtc.utils import aggregate_bytes_to_16bit, audio_to_bytes

logging.basicConfig(level=logging.WARNING)
log = logging.StreamHandler()
log.setLevel(logging.DEBUG)
log.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
logger = logging.getLogger("gradio_webrtc")
logger.setLevel(logging.DEBUG)
logger.addHandler(log)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

recogniser = Recogniser()
llm = Chat()
speaker = Speaker()


def response(audio: tuple[int, np.ndarray], chatbot: list[dict] | None = None):
    chatbot = chatbot or []
    messages = [{"role": each["role"], "content": each["content"]} for each in chatbot]
    prompt = recogniser.transcribe(audio_to_bytes(audio))
    chatbot.append({"role": "user", "content": prompt})
    messages.append({"role": "user", "content": prompt})
    answer = llm.complete(messages)
    chatbot.append({"role": "assistant", "content": answer})
    yield AdditionalOutputs(chatbot)
    for chunk in aggregate_bytes_to_16bit(speaker.stream(answer)):
        yield (RATE_HZ, np.frombuffer(chunk, dtype=np.int16).reshape(1, -1))


chatbot = gr.Chatbot(type="messages")
stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=ReplyOnPause(response, input_sample_rate=24_000, output_sample_rate=24_000),
    additional_outputs_handler=lambda old, new: new,
    additional_inputs=[chatbot],
    additional_outputs=[chatbot],
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=20 if get_space() else None,
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
            for message in output.args[0][-2:]:
                yield f"event: output\ndata: {json.dumps(message)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

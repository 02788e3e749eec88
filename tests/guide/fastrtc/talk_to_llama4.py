"""A short answer to the ear and a long one to the eye; the page is put into another one."""

import json
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from numpy.typing import NDArray
from support.vendors import Chat

from gradio_webrtc import (
    AdditionalOutputs,
    CartesiaTTSOptions,
    ReplyOnPause,
    Stream,
    get_cloudflare_turn_credentials_async,
    get_current_context,
    get_stt_model,
    get_tts_model,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"

tts_model = get_tts_model(model="cartesia", cartesia_api_key=os.getenv("CARTESIA_API_KEY"))
llm = Chat(*20 * ['{"short": "Yes.", "long": "Yes, and here is why."}'])
stt_model = get_stt_model()

conversations: dict[str, list[dict[str, str]]] = {}


def response(user_audio: tuple[int, NDArray[np.int16]]):
    context = get_current_context()
    if context.webrtc_id not in conversations:
        conversations[context.webrtc_id] = [
            {"role": "system", "content": 'Answer in JSON, {"short": ..., "long": ...}.'}
        ]
    messages = conversations[context.webrtc_id]

    messages.append({"role": "user", "content": stt_model.stt(user_audio)})
    answer = json.loads(llm.complete(messages))
    messages.append({"role": "assistant", "content": answer["long"]})
    conversations[context.webrtc_id] = messages
    yield from tts_model.stream_tts_sync(
        answer["short"], options=CartesiaTTSOptions(sample_rate=24_000)
    )
    yield AdditionalOutputs(messages)


stream = Stream(
    ReplyOnPause(response),
    modality="audio",
    mode="send-receive",
    additional_outputs=[gr.Chatbot(type="messages")],
    additional_outputs_handler=lambda old, new: new,
    rtc_configuration=None,
    ui_args={"hide_title": True},
)

with gr.Blocks() as demo:
    gr.HTML("<h1>Fast answers</h1>")
    stream.ui.render()

stream.ui = demo

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    configuration = await get_cloudflare_turn_credentials_async()
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.get("/outputs")
async def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            for message in output.args[0][-2:]:
                yield f"event: output\ndata: {json.dumps({'message': message})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        raise ValueError("this program has no telephone")
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

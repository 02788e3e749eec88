"""A live model behind a WebSocket: short pieces of audio are joined, transcripts are objects."""

import asyncio
import base64
import json
import os

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from gradio.utils import get_space
from support.realtime_service import start_service
from websockets.asyncio.client import ClientConnection, connect

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    Stream,
    get_twilio_turn_credentials,
    wait_for_item,
)

PAGE = "<script>const configuration = __RTC_CONFIGURATION__;</script>"
SAMPLE_RATE = 24_000
API_URL = start_service()


class Transcript:
    def __init__(self, text: str):
        self.transcript = text


class LiveHandler(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(
            expected_layout="mono", output_sample_rate=SAMPLE_RATE, input_sample_rate=SAMPLE_RATE
        )
        self.connection: ClientConnection | None = None
        self.reader: asyncio.Task | None = None
        self.output_queue: asyncio.Queue = asyncio.Queue()

    def copy(self):
        return LiveHandler()

    async def start_up(self):
        self.connection = await connect(API_URL, additional_headers={"api-key": "nobody's"})
        session = {"turn_detection": {"type": "server_vad"}, "voice": "any"}
        await self.connection.send(json.dumps({"type": "session.update", "session": session}))
        self.reader = asyncio.create_task(self.receive_messages(self.connection))

    async def receive_messages(self, connection: ClientConnection):
        text = ""
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "response.audio_transcript.delta":
                text += event["delta"]
            elif event["type"] == "response.audio_transcript.done":
                await self.output_queue.put(AdditionalOutputs(Transcript(text.strip())))
                text = ""
            elif event["type"] == "response.audio.delta":
                samples = np.frombuffer(base64.b64decode(event["delta"]), dtype=np.int16)
                await self.output_queue.put((self.output_sample_rate, samples.reshape(1, -1)))

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        if not self.connection:
            return
        _, samples = frame
        audio = base64.b64encode(samples.squeeze().tobytes()).decode("utf-8")
        message = {"type": "input_audio_buffer.append", "audio": audio}
        await self.connection.send(json.dumps(message))

    async def emit(self) -> tuple[int, np.ndarray] | AdditionalOutputs | None:
        item = await wait_for_item(self.output_queue)
        if not isinstance(item, tuple):
            return item
        sample_rate, first = item
        chunks = [first]
        while sum(each.shape[1] for each in chunks) < SAMPLE_RATE // 2:
            try:
                further = self.output_queue.get_nowait()
            except asyncio.QueueEmpty:
                break
            if not isinstance(further, tuple):
                await self.output_queue.put(further)
                break
            chunks.append(further[1])
        return sample_rate, np.concatenate(chunks, axis=1)

    async def shutdown(self) -> None:
        if self.connection:
            await self.connection.close()
            self.connection = None


def update_chatbot(chatbot: list[dict], response) -> list[dict]:
    chatbot.append({"role": "assistant", "content": response.transcript})
    return chatbot


chatbot = gr.Chatbot(type="messages")
latest_message = gr.Textbox(type="text", visible=False)
stream = Stream(
    LiveHandler(),
    mode="send-receive",
    modality="audio",
    additional_inputs=[chatbot],
    additional_outputs=[chatbot],
    additional_outputs_handler=update_chatbot,
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    configuration = get_twilio_turn_credentials() if get_space() else None
    return HTMLResponse(PAGE.replace("__RTC_CONFIGURATION__", json.dumps(configuration)))


@app.get("/outputs")
def send_outputs(webrtc_id: str):
    async def events():
        async for output in stream.output_stream(webrtc_id):
            message = {"role": "assistant", "content": output.args[0].transcript}
            yield f"event: output\ndata: {json.dumps(message)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

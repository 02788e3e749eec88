"""Both ends of the OpenAI Realtime protocol, offline: a service, and a page that uses it.

    python demo/realtime.py

The service is a parrot under /v1/realtime, for any client of the protocol. The page at
http://127.0.0.1:7860 talks to it by way of RealtimeHandler; REALTIME_URL and REALTIME_KEY lead it
to another service.
"""

import os
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
import uvicorn
from fastapi import FastAPI

from gradio_webrtc import AdditionalOutputs, RealtimeHandler, ReplyOnPause, Stream, WebRTC

Audio = tuple[int, npt.NDArray[np.int16]]
Messages = list[dict[str, Any]]

PORT = 7860


def parrot(audio: Audio) -> Iterator[Audio | AdditionalOutputs]:
    """Answers a turn with the words of it, and how long they were."""
    sample_rate, samples = audio
    length_s = samples.size / sample_rate
    yield AdditionalOutputs({"role": "user", "content": f"({length_s:.1f} seconds of speech)"})
    yield AdditionalOutputs({"role": "assistant", "content": "You said:"})
    yield sample_rate, samples


service = Stream(ReplyOnPause(parrot), modality="audio", concurrency_limit=10)
app = FastAPI()
service.mount(app, realtime=True)

handler = RealtimeHandler(
    os.environ.get("REALTIME_URL", f"ws://127.0.0.1:{PORT}/v1/realtime"),
    os.environ.get("REALTIME_KEY"),
)


def show(messages: Messages) -> Messages:
    """Shows what was spoken so far."""
    return messages


with gr.Blocks(title="Realtime") as demo:
    gr.Markdown("# A parrot, far away\nSay something, and pause. Interrupt it whenever you like.")
    chatbot = gr.Chatbot(height=240)
    webrtc = WebRTC(label="Call", mode="send-receive", modality="audio")
    webrtc.stream(handler, inputs=[webrtc], outputs=[webrtc], concurrency_limit=10)
    webrtc.on_additional_outputs(show, outputs=[chatbot])

gr.mount_gradio_app(app, demo, path="/")

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)

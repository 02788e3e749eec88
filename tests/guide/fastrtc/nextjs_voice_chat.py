"""The server of somebody else's front end: options of the turns, CORS, and a way to start over."""

import logging

import fastapi
import numpy as np
from fastapi.middleware.cors import CORSMiddleware
from support.vendors import RATE_HZ, Chat, Recogniser, Speaker

from gradio_webrtc import AlgoOptions, ReplyOnPause, SileroVadOptions, Stream
from gradio_webrtc.utils import audio_to_bytes, audio_to_float32

SYSTEM = {"role": "system", "content": "You are a cheerful host."}

messages = [SYSTEM]

recogniser = Recogniser()
llm = Chat()
speaker = Speaker()


def converse(audio):
    words = recogniser.transcribe(audio_to_bytes(audio))
    if not words:
        logging.info("nothing was said")
        return
    messages.append({"role": "user", "content": words})
    answer = "".join(llm.stream(messages))
    for piece in speaker.stream(answer, 4_800):
        samples = audio_to_float32(np.frombuffer(piece, dtype=np.int16))
        yield (RATE_HZ, samples)
    messages.append({"role": "assistant", "content": answer + " "})


stream = Stream(
    ReplyOnPause(
        converse,
        algo_options=AlgoOptions(
            audio_chunk_duration=0.5,
            started_talking_threshold=0.1,
            speech_threshold=0.03,
        ),
        model_options=SileroVadOptions(
            threshold=0.75,
            min_speech_duration_ms=250,
            min_silence_duration_ms=1500,
            speech_pad_ms=400,
            max_speech_duration_s=15,
        ),
    ),
    modality="audio",
    mode="send-receive",
)

app = fastapi.FastAPI()

app.add_middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)

stream.mount(app)


@app.get("/reset")
async def reset():
    global messages
    messages = [SYSTEM]
    return {"status": "success"}

"""A parrot: a `Stream` mounted on an app, whose root leads to the page."""

import os
from collections.abc import Iterator

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from gradio.utils import get_space

from gradio_webrtc import ReplyOnPause, Stream, get_twilio_turn_credentials


def repeat(audio: tuple[int, np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    yield audio


stream = Stream(
    handler=ReplyOnPause(repeat),
    modality="audio",
    mode="send-receive",
    rtc_configuration=get_twilio_turn_credentials() if get_space() else None,
    concurrency_limit=5 if get_space() else None,
    time_limit=90 if get_space() else None,
)

app = FastAPI()
stream.mount(app)


@app.get("/")
async def index():
    return RedirectResponse(url="/ui")


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "UI":
        stream.ui.launch(server_port=7860)
    elif mode == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        uvicorn.run(app, host="127.0.0.1", port=7860)

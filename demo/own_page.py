"""A page of one's own, in plain HTML and JavaScript, that talks to a handler under FastAPI.

    python demo/own_page.py

The page loads the client from the stream itself. Say something and pause: it is repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAGE = Path(__file__).with_name("own_page.html")


def repeat(audio: tuple[int, NDArray[np.int16]], volume: float) -> Iterator[Any]:
    """Repeats what was said, as loud as the page has it."""
    rate_hz, samples = audio
    yield AdditionalOutputs(f"{samples.size / rate_hz:.1f} s at a volume of {volume:g}")
    yield rate_hz, (samples * volume).astype(np.int16)


stream = Stream(
    ReplyOnPause(repeat),
    modality="audio",
    concurrency_limit=10,
    additional_inputs=[gr.Slider(0, 2)],  # checks the volume of every page
)
app = FastAPI()
stream.mount(app)


@app.get("/")
def page() -> HTMLResponse:
    """The page itself."""
    return HTMLResponse(PAGE.read_text("utf-8"))


if __name__ == "__main__":
    uvicorn.run(app, port=7860)

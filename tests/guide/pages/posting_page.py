"""A page of one's own, in plain HTML and JavaScript, that talks to a handler under FastAPI.

The page proposes an id for its call, posts an offer and its candidates to /webrtc/offer, and gets
the texts of the call as events of its own route. Say something and pause: it is repeated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

PAGE = Path(__file__).with_name("posting_page.html")


def repeat(audio: tuple[int, NDArray[np.int16]], volume: float) -> Iterator[Any]:
    """Repeats what was said, as loud as the page has it."""
    rate_hz, samples = audio
    yield AdditionalOutputs(f"{samples.size / rate_hz:.1f} s at a volume of {volume:g}")
    yield rate_hz, (samples * volume).astype(np.int16)


stream = Stream(ReplyOnPause(repeat), modality="audio", concurrency_limit=10)
app = FastAPI()
stream.mount(app)


class Inputs(BaseModel):
    """The values that the page sends when the call asks for them."""

    webrtc_id: str
    volume: float


@app.get("/")
def page() -> HTMLResponse:
    """The page itself."""
    return HTMLResponse(PAGE.read_text("utf-8"))


@app.post("/inputs")
def inputs(values: Inputs) -> None:
    """Passes the page's values to its call."""
    stream.set_input(values.webrtc_id, values.volume)


@app.get("/outputs")
def outputs(webrtc_id: str) -> StreamingResponse:
    """The texts of a call, as they come."""

    async def events() -> AsyncIterator[str]:
        async for each in stream.output_stream(webrtc_id):
            yield f"data: {json.dumps(each.args[0])}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, port=7860)

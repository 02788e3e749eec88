"""A page in React that talks to a handler under FastAPI.

    npm --prefix frontend ci && npm --prefix frontend/client run build
    npm --prefix demo/react install && npm --prefix demo/react run build
    python demo/react/app.py

Say something and pause: it is repeated. What you write goes to the handler, and comes back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent / "dist"


def repeat(audio: Any) -> Iterator[Any]:
    """Repeats what was said, and writes down how long it was."""
    rate_hz, samples = audio
    yield AdditionalOutputs(f"You spoke for {samples.size / rate_hz:.1f} s.")
    yield audio


class Parrot(ReplyOnPause):
    """Answers what the page writes, too."""

    def on_message(self, data: Any) -> None:
        """Sends it back in capital letters."""
        self.send({"answer": str(data["text"]).upper()})


stream = Stream(Parrot(repeat), modality="audio", concurrency_limit=10)
app = FastAPI()
stream.mount(app, path="/voice")
# Built by npm, from the files beside this one.
app.mount("/", StaticFiles(directory=PAGE, html=True))


if __name__ == "__main__":
    uvicorn.run(app, port=7860)

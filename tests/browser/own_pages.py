"""Pages of one's own for `test_client.py`: of demos and guide, and one that uses everything.

The variable REACT_DEMO is the folder of a built copy of ``demo/react``.
"""

from __future__ import annotations

import asyncio
import os
import re
import runpy
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import own_page
import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from support.notes import note

import gradio_webrtc
from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000

PAGE = """<!doctype html>
<title>All of the client</title>
<script type="module" src="own_page.js"></script>
<button>Click</button>
"""

STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'"
"""Lets a page load scripts and data of its own server, and nothing else."""

HERE = Path(__file__).parent


class Repeat(AsyncStreamHandler):
    """Emits what it receives and notes it, and answers messages."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
        self._items: asyncio.Queue[Any] = asyncio.Queue(maxsize=500)
        self._second: list[NDArray[np.int16]] = []

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        samples = frame[1].reshape(-1)
        self._second.append(samples)
        if sum(each.size for each in self._second) >= RATE_HZ:
            note("heard", samples=np.concatenate(self._second))
            self._second.clear()
        await self._items.put(frame)

    async def emit(self) -> Any:
        return await self._items.get()

    async def on_message(self, data: Any) -> None:
        self.send({"got": data, "inputs": self.latest_args[1:]})
        if data == "outputs":
            for number in range(3):
                await self._items.put(AdditionalOutputs(number, np.arange(number)))
        elif data == "warn":
            gradio_webrtc.Warning("Mind the step.")

    async def shutdown(self) -> None:
        note("over")

    def copy(self) -> Repeat:
        return Repeat()


stream = Stream(
    Repeat(),
    modality="audio",
    concurrency_limit=1,
    additional_inputs=[gr.Slider(0, 10)],
)


class Beeps(AsyncStreamHandler):
    """Emits a tone for as long as it lasts."""

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        tone = 8_000 * np.sin(2 * np.pi * 440 * np.arange(4_800) / 48_000)
        return 48_000, tone.astype(np.int16)

    async def on_message(self, data: Any) -> None:
        note("blocked", **data)

    def copy(self) -> Beeps:
        return Beeps()


everything = FastAPI()
stream.mount(everything, path="/voice")
Stream(Beeps(), modality="audio", mode="receive").mount(everything, path="/beeps")


@everything.get("/")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"content-security-policy": STRICT})


@everything.get("/own_page.js")
def script() -> FileResponse:
    return FileResponse(HERE / "own_page.js", media_type="text/javascript")


[GUIDES_PAGE] = re.findall(
    r"^```html\n(.*?)^```$",
    (HERE.parents[1] / "docs" / "guide.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)
guide = FastAPI()
stream.mount(guide, path="/talk")


@guide.get("/")
def page_of_the_guide() -> HTMLResponse:
    return HTMLResponse(GUIDES_PAGE)


app = FastAPI()
app.mount("/guide", guide)
app.get("/favicon.ico", status_code=204)(lambda: None)
app.mount("/html", own_page.app)
app.mount("/everything", everything)
app.mount("/react", runpy.run_path(str(Path(os.environ["REACT_DEMO"]) / "app.py"))["app"])


if __name__ == "__main__":
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    listening = server.config.bind_socket()
    print(f"Running on local URL:  http://127.0.0.1:{listening.getsockname()[1]}")  # noqa: T201
    # uvicorn raises it again once the sessions have ended.
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])

"""A page that is a part of somebody's FastAPI application, below a path."""

import socket
import sys
from contextlib import suppress

import gradio as gr
import uvicorn
from echo import Echo
from fastapi import FastAPI

from gradio_webrtc import WebRTC

PATH = "/some/where"

with gr.Blocks(title="Mounted") as page:
    call = WebRTC(mode="send-receive", modality="audio")
    call.stream(Echo(), inputs=[call], outputs=[call])

host = FastAPI()


@host.get("/favicon.ico", status_code=204)
def icon() -> None:
    """Have no icon: a browser asks the application for one, not the page."""


app = gr.mount_gradio_app(host, page, path=PATH)

if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # The words by which the tests detect that a program of Gradio's own can be opened.
        sys.stdout.write(f"* Running on local URL:  http://127.0.0.1:{port}{PATH}\n")
        sys.stdout.flush()
        # Once it has shut down, it passes Ctrl-C on.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])

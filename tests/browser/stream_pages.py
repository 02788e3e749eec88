"""The pages of a `Stream` for every mode and modality, each with parts around the component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Response

from gradio_webrtc import AsyncAudioVideoStreamHandler, ReplyOnPause, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


class Silent(AsyncAudioVideoStreamHandler):
    """Emits nothing."""

    async def receive(self, _frame: Any) -> None: ...

    async def emit(self) -> None: ...

    async def video_receive(self, _frame: Any) -> None: ...

    async def video_emit(self) -> Any: ...

    def copy(self) -> Silent:
        return Silent()


def answer(_audio: Any, *_values: Any) -> Iterator[Any]:
    """Yields nothing."""
    yield from ()


def play(*_values: Any) -> Iterator[Any]:
    """Yields nothing."""
    yield from ()


def show(frame: Any, *_values: Any) -> Any:
    """Shows what it gets."""
    return frame


def stream_of(name: str, handler: Any) -> Stream:
    """A stream with inputs and outputs, named by its modality and its mode."""
    modality, _, mode = name.partition(" ")
    chosen: Any = {"modality": modality, "mode": mode}
    return Stream(
        handler,
        additional_inputs=[gr.Slider(0, 1, label="Volume")],
        additional_outputs=[gr.Textbox(label="Transcript")],
        additional_outputs_handler=lambda _before, text: text,
        ui_args={"title": name, "subtitle": "A line below the title."},
        **chosen,
    )


def chat() -> Stream:
    """A stream whose output is a conversation."""
    conversation = gr.Chatbot(label="Conversation")
    return Stream(
        ReplyOnPause(answer),
        modality="audio",
        additional_inputs=[conversation],
        additional_outputs=[conversation],
        additional_outputs_handler=lambda _before, now: now,
    )


HANDLERS: dict[str, Any] = {
    "audio send-receive": ReplyOnPause(answer),
    "audio send": ReplyOnPause(answer),
    "audio receive": play,
    "video send-receive": show,
    "video send": show,
    "video receive": play,
    "audio-video send-receive": Silent(),
}


def icon() -> Response:
    """Nothing: browsers request the root's, and not that of the page."""
    return Response(status_code=204)


app = FastAPI()
app.add_api_route("/favicon.ico", icon)
for each, handler in HANDLERS.items():
    app = gr.mount_gradio_app(app, stream_of(each, handler).ui, f"/{each.replace(' ', '/')}")
app = gr.mount_gradio_app(app, chat().ui, "/chat")


if __name__ == "__main__":
    uvicorn.run(app)

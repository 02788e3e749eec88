"""A page for `test_words.py`: a handler that gives notices, and one that cannot be made."""

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from gradio_webrtc import StreamHandler, WebRTC, get_current_context

# A program under test that writes a traceback has failed; here there is to be one.
logging.getLogger("gradio_webrtc").addHandler(logging.NullHandler())
logging.getLogger("gradio_webrtc").propagate = False


def speak() -> Iterator[Any]:
    """Gives a notice of each kind, and fails."""
    user = get_current_context().request.query_params.get("user")
    gr.Warning(f"Too loud, {user}.", title="Mind", duration=None)
    gr.Success("Uploaded.", duration=None)
    gr.Info("Working.")
    yield None
    raise gr.Error("No voice.", title="Upload one", duration=None)


class Broken(StreamHandler):
    """Cannot be made: its service is down."""

    def copy(self) -> "Broken":
        """Fails as a connection does."""
        raise ConnectionRefusedError("the password is hunter2")

    def receive(self, frame: Any) -> None:
        """Never called."""

    def emit(self) -> None:
        """Never called."""


with gr.Blocks() as page:
    speaking = WebRTC(mode="receive", modality="audio", elem_id="speaking")
    play = gr.Button("Play")
    speaking.stream(speak, outputs=[speaking], trigger=play.click)
    broken = WebRTC(mode="send-receive", modality="audio", elem_id="broken")
    broken.stream(Broken(), inputs=[broken], outputs=[broken])

if __name__ == "__main__":
    page.launch()

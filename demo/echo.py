"""Hear yourself: the smallest program that takes sound in and gives sound back.

    python demo/echo.py

Use headphones, or your loudspeaker will be heard by your microphone.
"""

from queue import Queue

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import StreamHandler, WebRTC

Frame = tuple[int, npt.NDArray[np.int16]]


class Echo(StreamHandler):
    """Gives back each frame it receives: (rate in Hz, int16 of shape (1, 960))."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self._frames: Queue[Frame] = Queue(maxsize=50)

    def receive(self, frame: Frame) -> None:
        """Take 20 ms of sound from the caller; the oldest goes where too many wait."""
        if self._frames.full():
            self._frames.get()
        self._frames.put(frame)

    def emit(self) -> Frame:
        """Give the next 20 ms back; waiting here costs nobody else anything."""
        return self._frames.get()

    def copy(self) -> "Echo":
        """A fresh handler for each caller."""
        return Echo()


with gr.Blocks(title="Echo") as demo:
    gr.Markdown("# Echo\nSpeak, and hear yourself.")
    call = WebRTC(label="Call", mode="send-receive", modality="audio")
    call.stream(Echo(), inputs=[call], outputs=[call], time_limit=60)

if __name__ == "__main__":
    demo.launch()

"""Echo: the smallest handler that receives audio and emits audio.

    python demo/echo.py

Use headphones, or the microphone picks up the loudspeaker.
"""

from queue import Queue

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import StreamHandler, WebRTC

Frame = tuple[int, npt.NDArray[np.int16]]


class Echo(StreamHandler):
    """Emits each frame that it receives: (rate in Hz, int16 of shape (1, 960))."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=48_000, output_sample_rate=48_000)
        self._frames: Queue[Frame] = Queue(maxsize=50)

    def receive(self, frame: Frame) -> None:
        """Stores 20 ms of the user's audio; drops the oldest frame if too many wait."""
        if self._frames.full():
            self._frames.get()
        self._frames.put(frame)

    def emit(self) -> Frame:
        """Returns the next 20 ms; waiting here blocks this session alone."""
        return self._frames.get()

    def copy(self) -> "Echo":
        """Returns a new handler for each session."""
        return Echo()


with gr.Blocks(title="Echo") as demo:
    gr.Markdown("# Echo\nSpeak, and hear yourself.")
    webrtc = WebRTC(label="Call", mode="send-receive", modality="audio")
    webrtc.stream(Echo(), inputs=[webrtc], outputs=[webrtc], time_limit=60)

if __name__ == "__main__":
    demo.launch()

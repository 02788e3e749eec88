"""Reply on pause: say something, and a parrot repeats it in a voice of its own.

    python demo/reply_on_pause.py

The parrot answers when you pause, and stops when you interrupt it.
"""

from collections.abc import Iterator

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import ReplyOnPause, WebRTC

Audio = tuple[int, npt.NDArray[np.int16]]


def parrot(audio: Audio) -> Iterator[Audio]:
    """Answers a turn: `audio` is everything said before the pause, int16 of shape (1, samples)."""
    sample_rate, samples = audio
    yield (sample_rate * 5 // 4, samples)  # played a quarter faster, so higher too


with gr.Blocks(title="Parrot") as demo:
    gr.Markdown("# Parrot\nSay something, and pause. Interrupt it whenever you like.")
    webrtc = WebRTC(label="Call", mode="send-receive", modality="audio")
    webrtc.stream(ReplyOnPause(parrot), inputs=[webrtc], outputs=[webrtc], time_limit=60)

if __name__ == "__main__":
    demo.launch()

"""Receive-only video: a click plays ten seconds of plasma, computed while it plays.

    python demo/video_to_client.py

The browser does not ask for a camera.
"""

from collections.abc import Iterator

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import WebRTC

SECONDS, FPS = 10, 30
HEIGHT, WIDTH = 360, 640

_angles = np.linspace(0, 2 * np.pi, 256)[:, np.newaxis] + np.array([0, 2, 4])
PALETTE = (127.5 + 127.5 * np.sin(_angles)).astype(np.uint8)  # 256 colours in a circle


def plasma() -> Iterator[npt.NDArray[np.uint8]]:
    """Yields video frames, 30 a second: uint8 (height, width, 3) in BGR order."""
    x = np.linspace(0, 7, WIDTH, dtype=np.float32)
    y = np.linspace(0, 4, HEIGHT, dtype=np.float32)[:, np.newaxis]
    ripples = 2 * np.hypot(x - 3.5, y - 2)
    for number in range(SECONDS * FPS):
        t = number / FPS
        waves = np.sin(x + t) + np.sin(y + 2 * t) + np.sin(ripples - 3 * t)  # -3 to 3
        yield PALETTE[(42 * (waves + 3)).astype(np.uint8)]


with gr.Blocks(title="Plasma") as demo:
    gr.Markdown("# Plasma\nThree waves and 256 colours.")
    webrtc = WebRTC(label="Video", mode="receive", modality="video")
    button = gr.Button("Play", variant="primary")
    webrtc.stream(plasma, inputs=None, outputs=[webrtc], trigger=button.click)

if __name__ == "__main__":
    demo.launch()

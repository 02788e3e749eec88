"""A function on every video frame: your camera as a poster, with a slider for the shades.

    python demo/video_filter.py

Move the slider while the camera is on.
"""

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import WebRTC

Frame = npt.NDArray[np.uint8]


def posterise(frame: Frame, shades: int) -> Frame:
    """Rounds each colour of `frame`, (height, width, 3) in BGR order, to the nearest shade."""
    steps = np.round(np.arange(256) / 255 * (shades - 1)) * 255 / (shades - 1)
    return np.take(steps.astype(np.uint8), frame)


with gr.Blocks(title="Poster") as demo:
    gr.Markdown("# Poster\nA poster needs few colours.")
    webrtc = WebRTC(label="Camera", mode="send-receive", modality="video")
    shades = gr.Slider(label="Shades", minimum=2, maximum=12, step=1, value=4)
    webrtc.stream(posterise, inputs=[webrtc, shades], outputs=[webrtc], time_limit=60)

if __name__ == "__main__":
    demo.launch()

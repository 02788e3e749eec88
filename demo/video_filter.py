"""A function on every picture: your camera as a poster, with as many shades as the slider says.

    python demo/video_filter.py

Move the slider during the call.
"""

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import WebRTC

Picture = npt.NDArray[np.uint8]


def posterise(picture: Picture, shades: int) -> Picture:
    """Give each colour of `picture`, (height, width, 3) and blue first, the nearest shade."""
    steps = np.round(np.arange(256) / 255 * (shades - 1)) * 255 / (shades - 1)
    return np.take(steps.astype(np.uint8), picture)


with gr.Blocks(title="Poster") as demo:
    gr.Markdown("# Poster\nA picture needs fewer colours than one thinks.")
    video = WebRTC(label="Camera", mode="send-receive", modality="video")
    shades = gr.Slider(label="Shades", minimum=2, maximum=12, step=1, value=4)
    video.stream(posterise, inputs=[video, shades], outputs=[video], time_limit=60)

if __name__ == "__main__":
    demo.launch()

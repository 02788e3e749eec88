"""A page for `test_firefox.py`: its right half is the left one mirrored, in opposite colours."""

import gradio as gr
import numpy as np
import numpy.typing as npt

from gradio_webrtc import WebRTC


def mirrored(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Blue first, (height, width, 3), as every frame of a call."""
    left = frame[:, : frame.shape[1] // 2]
    return np.concatenate([left, 255 - left[:, ::-1]], axis=1)


with gr.Blocks(title="Mirrored") as page:
    call = WebRTC(label="Call", mode="send-receive", modality="video")
    call.stream(mirrored, inputs=[call], outputs=[call])

if __name__ == "__main__":
    page.launch()

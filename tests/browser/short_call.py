"""A page for `test_states.py`: no call lasts longer than two seconds."""

import gradio as gr
from echo import Echo

from gradio_webrtc import WebRTC

with gr.Blocks(title="Short call") as page:
    call = WebRTC(label="Call", mode="send-receive", modality="audio")
    call.stream(Echo(), inputs=[call], outputs=[call], time_limit=2)

if __name__ == "__main__":
    page.launch()

"""A page for `test_one_port.py`: three calls at once, all over one UDP port."""

import gradio as gr
from echo import Echo

from gradio_webrtc import WebRTC

with gr.Blocks(title="One port") as page:
    call = WebRTC(label="Call", modality="audio", udp_ports=50_000)
    call.stream(Echo(), inputs=[call], outputs=[call], concurrency_limit=3)

if __name__ == "__main__":
    page.launch()

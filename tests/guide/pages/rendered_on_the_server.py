"""A page that Node.js renders on the server before the browser takes over."""

import gradio as gr
from echo import Echo

from gradio_webrtc import WebRTC

with gr.Blocks(title="Rendered on the server") as demo:
    call = WebRTC(mode="send-receive", modality="audio")
    call.stream(Echo(), inputs=[call], outputs=[call])

if __name__ == "__main__":
    demo.launch(ssr_mode=True)

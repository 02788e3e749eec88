"""A page that asks for a user's name and password."""

import gradio as gr
from echo import Echo

from gradio_webrtc import WebRTC

with gr.Blocks(title="Login") as demo:
    call = WebRTC(mode="send-receive", modality="audio")
    call.stream(Echo(), inputs=[call], outputs=[call], concurrency_limit=2)

if __name__ == "__main__":
    demo.launch(auth=("somebody", "a-password"))

"""A page for `test_text.py`: writes down what was written, and how much was spoken."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, WebRTC, WebRTCData

Messages = list[dict[str, Any]]


def answer(data: WebRTCData, conversation: Messages) -> Iterator[AdditionalOutputs]:
    """One line for each turn."""
    text = f"You wrote: {data.textbox}." if data.textbox else "You spoke."
    yield AdditionalOutputs([*conversation, {"role": "assistant", "content": text}])


with gr.Blocks(title="Written") as page:
    conversation = gr.Chatbot()
    call = WebRTC(label="Call", mode="send-receive", modality="audio", variant="textbox")
    call.stream(ReplyOnPause(answer), inputs=[call, conversation], outputs=[call])
    call.on_additional_outputs(lambda messages: messages, outputs=[conversation], queue=False)

if __name__ == "__main__":
    page.launch()

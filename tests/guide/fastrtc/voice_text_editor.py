"""A text that is edited by voice: the document is input and output at once."""

import os

import gradio as gr
from support.vendors import Chat

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream, get_stt_model

llm = Chat()
stt_model = get_stt_model()

INSTRUCTIONS = "Change the document as you are asked to, and return all of it."


def edit(audio, current_document: str):
    wish = stt_model.stt(audio)
    content = f"{current_document}\n{wish}".strip()
    messages = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": content},
    ]
    yield AdditionalOutputs(llm.complete(messages).removeprefix("You said: "))


doc = gr.Textbox(value="", label="Document")

stream = Stream(
    ReplyOnPause(edit),
    modality="audio",
    mode="send",
    additional_inputs=[doc],
    additional_outputs=[doc],
    additional_outputs_handler=lambda prev, current: current,
    ui_args={"title": "A text by voice 🗣️"},
)


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        stream.ui.launch(server_port=7860)

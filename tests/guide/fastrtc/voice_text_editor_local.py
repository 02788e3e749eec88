"""A text that is edited by voice, by a model on this machine that may not be running."""

import os

import gradio as gr
import httpx

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Stream, get_stt_model

stt_model = get_stt_model()

INSTRUCTIONS = "Change the document as you are asked to, and return all of it."


def answer(request: httpx.Request) -> httpx.Response:
    """A stand-in for the model's server: without a document, it is not there."""
    prompt = request.read().decode()
    if "nothing" in prompt:
        raise httpx.ConnectError("nobody listens", request=request)
    return httpx.Response(200, json={"response": "Assistant: the new text "})


local = httpx.Client(transport=httpx.MockTransport(answer))


def edit(audio, current_document: str):
    prompt = f"{INSTRUCTIONS}\n\n{current_document or 'nothing'}\n\n{stt_model.stt(audio)}"
    try:
        response = local.post(
            "http://localhost:11434/api/generate",
            json={"model": "small", "prompt": prompt, "stream": False},
        )
        response.raise_for_status()
        doc = response.json()["response"]
        yield AdditionalOutputs(doc.strip().removeprefix("Assistant:").strip())
    except httpx.HTTPError:
        yield AdditionalOutputs("The model is not running.")


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

"""The guide's statements in words: pairs, inputs of outputs, messages, constraints."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from support.signals import tone

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, Warning, WebRTC, WebRTCError  # noqa: A004

CHUNK = (24_000, tone(0.2, 500, 24_000).reshape(1, -1))


def reply(_audio: object) -> Iterator[Any]:
    """Speak, give values with the audio and after it, warn, and fail in words for the user."""
    yield (CHUNK, AdditionalOutputs("with the audio"))
    yield AdditionalOutputs("alone")
    Warning("I did not catch that.")
    raise WebRTCError("The model is asleep.")


def generation() -> Iterator[Any]:
    """Play a little, warn, and fail."""
    yield CHUNK
    Warning("The tape is worn.")
    raise WebRTCError("The tape is torn.")


with gr.Blocks(title="Prose") as demo:
    who = gr.Textbox(label="Who", value="somebody")
    written = gr.Textbox(label="Written")
    call = WebRTC(label="Call", elem_id="talk", mode="send-receive", modality="audio")
    call.stream(ReplyOnPause(reply), inputs=[call], outputs=[call])
    call.on_additional_outputs(
        lambda who, text: f"{who}: {text}", inputs=[who], outputs=[written], queue=False
    )
    button = gr.Button("Play")
    tape = WebRTC(label="Tape", mode="receive", modality="audio")
    tape.stream(generation, outputs=[tape], trigger=button.click)
    plain = WebRTC(
        label="Plain",
        elem_id="plain",
        mode="send",
        modality="audio",
        track_constraints={"echoCancellation": False, "channelCount": 2},
    )
    plain.stream(ReplyOnPause(reply), inputs=[plain], outputs=[plain])

if __name__ == "__main__":
    demo.launch()

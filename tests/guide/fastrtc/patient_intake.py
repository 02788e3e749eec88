"""A receptionist: it speaks first, calls functions step by step, and hangs up at the end."""

import os
from dataclasses import dataclass, field

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from gradio_webrtc import (
    AdditionalOutputs,
    CloseStream,
    ReplyOnPause,
    Stream,
    get_current_context,
    get_stt_model,
    get_tts_model,
)

tts = get_tts_model()
stt = get_stt_model()

STEPS = {
    "verify_birthday": "Ask for the reason of the visit.",
    "list_visit_reasons": "Thank them, and say goodbye.",
}


@dataclass
class Reply:
    content: str = ""
    function: str | None = None
    arguments: dict = field(default_factory=dict)


def assistant(messages: list[dict]) -> Reply:
    """A stand-in for a model that calls functions: one for each turn of the user's."""
    done = [each["name"] for each in messages if each["role"] == "function"]
    if messages[-1]["role"] == "user":
        return Reply(function=[*STEPS][len(done)], arguments={"said": messages[-1]["content"]})
    return Reply("When were you born?" if not done else messages[-1]["content"])


conversations: dict[str, list[dict]] = {}


def first_message() -> list[dict]:
    return [{"role": "system", "content": "You receive the patients."}]


def start_up():
    stream_id = get_current_context().webrtc_id
    conversation = first_message()
    greeting = assistant(conversation).content
    yield from tts.stream_tts_sync(greeting)
    message = {"role": "assistant", "content": greeting}
    yield AdditionalOutputs(message, conversation)
    conversation.append(message)
    conversations[stream_id] = conversation


def response(audio: tuple[int, NDArray[np.int16]]):
    stream_id = get_current_context().webrtc_id
    conversation = conversations.setdefault(stream_id, first_message())
    message = {"role": "user", "content": stt.stt(audio)}
    conversation.append(message)
    yield AdditionalOutputs(message)
    reply = assistant(conversation)
    if reply.function is not None:
        text = f"{reply.function}({reply.arguments})"
        yield AdditionalOutputs({"role": "assistant", "content": text})
        conversation.append({"role": "function", "name": reply.function, "content": "Success"})
        conversation.append({"role": "system", "content": STEPS[reply.function]})
    spoken = assistant(conversation).content
    yield from tts.stream_tts_sync(spoken)
    message = {"role": "assistant", "content": spoken}
    yield AdditionalOutputs(message, conversation)
    conversation.append(message)
    if reply.function == "list_visit_reasons":
        yield CloseStream()


def update_chatbot(
    chatbot: list[dict], conversation_old, message: dict, conversation: list[dict] | None = None
):
    chatbot.append(message)
    return chatbot, conversation


chatbot = gr.Chatbot(type="messages")

stream = Stream(
    ReplyOnPause(response, start_up),
    mode="send-receive",
    modality="audio",
    additional_inputs=[chatbot],
    additional_outputs=[chatbot, gr.JSON(label="Conversation")],
    additional_outputs_handler=update_chatbot,
)


if __name__ == "__main__":
    if (mode := os.getenv("MODE")) == "PHONE":
        stream.fastphone(host="127.0.0.1", port=7860)
    else:
        stream.ui.launch(server_port=7860)

"""A chat for whoever has a token: the session's own history, and TURN servers on both sides."""

import gradio as gr
import numpy as np
from support.vendors import Chat

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    Stream,
    WebRTCError,
    get_current_context,
    get_hf_turn_credentials,
    get_stt_model,
    get_tts_model,
)

stt_model = get_stt_model()
tts_model = get_tts_model()
llm = Chat()

conversations: dict[str, list[dict[str, str]]] = {}


def response(audio: tuple[int, np.ndarray], hf_token: str | None):
    if hf_token is None or hf_token == "":
        raise WebRTCError("Type your token first")

    webrtc_id = get_current_context().webrtc_id
    if webrtc_id not in conversations:
        conversations[webrtc_id] = [{"role": "system", "content": "Be brief."}]
    messages = conversations[webrtc_id]

    messages.append({"role": "user", "content": stt_model.stt(audio)})
    answer = ""
    for word in llm.stream(messages):
        answer += word
    messages.append({"role": "assistant", "content": answer})
    conversations[webrtc_id] = messages
    yield from tts_model.stream_tts_sync(answer)
    yield AdditionalOutputs(messages)


chatbot = gr.Chatbot(label="Chat", type="messages")
token = gr.Textbox(label="Token", value="", type="password")
stream = Stream(
    modality="audio",
    mode="send-receive",
    handler=ReplyOnPause(response),
    server_rtc_configuration=get_hf_turn_credentials(ttl=600 * 10_000),
    rtc_configuration=get_hf_turn_credentials,
    additional_inputs=[token],
    additional_outputs=[chatbot],
    additional_outputs_handler=lambda old, new: new,
    ui_args={"title": "An open model ⚡️"},
    time_limit=90,
    concurrency_limit=5,
)

stream.ui.launch()

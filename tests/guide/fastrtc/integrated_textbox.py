"""A chat by voice or by hand: the component itself, with a text field."""

import gradio as gr
from gradio.utils import get_space
from support.vendors import Chat

from gradio_webrtc import (
    AdditionalOutputs,
    ReplyOnPause,
    WebRTC,
    WebRTCData,
    WebRTCError,
    get_hf_turn_credentials,
    get_stt_model,
)

stt_model = get_stt_model()
llm = Chat()


def response(
    data: WebRTCData,
    conversation: list[dict],
    token: str | None = None,
    model: str = "small",
    provider: str = "somebody",
):
    if not provider.startswith("http") and not token:
        raise WebRTCError("Type your token first")

    if data.audio is not None and data.audio[1].size > 0:
        words = stt_model.stt(data.audio)
    else:
        words = data.textbox
    conversation.append({"role": "user", "content": words})
    yield AdditionalOutputs(conversation)

    answer = f"{llm.complete(conversation)}, {model} of {provider}"
    conversation.append({"role": "assistant", "content": answer})
    yield AdditionalOutputs(conversation)


def hide_token(provider: str):
    if provider.startswith("http"):
        return gr.Textbox(visible=False)
    return gr.skip()


css = "footer { display: none !important; }"

with gr.Blocks() as demo:
    gr.HTML("<h1>Say it or write it</h1>")
    with gr.Sidebar():
        token = gr.Textbox(placeholder="Token", type="password", label="Token")
        model = gr.Dropdown(choices=["small", "large"], allow_custom_value=True, label="Model")
        provider = gr.Dropdown(
            label="Provider",
            choices=["somebody", "somebody else"],
            value="auto",
            info="Or the address of a server of yours",
            allow_custom_value=True,
        )
    provider.change(hide_token, inputs=[provider], outputs=[token])
    cb = gr.Chatbot(type="messages", height=600)
    webrtc = WebRTC(
        modality="audio",
        mode="send",
        variant="textbox",
        rtc_configuration=get_hf_turn_credentials if get_space() else None,
        server_rtc_configuration=get_hf_turn_credentials(ttl=3_600 * 24 * 30)
        if get_space()
        else None,
    )
    webrtc.stream(
        ReplyOnPause(response),
        inputs=[webrtc, cb, token, model, provider],
        outputs=[cb],
        concurrency_limit=100,
    )
    webrtc.on_additional_outputs(
        lambda old, new: new, inputs=[cb], outputs=[cb], concurrency_limit=100
    )

if __name__ == "__main__":
    demo.launch(server_port=7860, css=css)

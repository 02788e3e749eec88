"""A page for `test_announced.py`: announces something, and shows when that was heard."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from support.signals import tone

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, WebRTC, get_current_context

RATE_HZ = 48_000


def speech(seconds: float, hz: int) -> tuple[int, Any]:
    """Stands for speech: a tone."""
    return RATE_HZ, tone(seconds, hz, RATE_HZ)[None]


async def greet() -> AsyncIterator[Any]:
    """A tone of a second; the rest goes on behind it."""
    session = get_current_context().session
    assert session is not None
    asyncio.get_running_loop().call_later(2.0, announce, session)
    yield speech(1.0, 400)


def announce(session: Any) -> None:
    """Another one, and a line once it was heard."""
    session.say(speech(1.5, 800)).add_done_callback(lambda said: show(session, said.result()))


def show(session: Any, heard_s: float) -> None:
    """A line with the delay of the client, in milliseconds."""
    delay_ms = round(1000 * session.playout_delay_s)
    text = f"Heard {heard_s:.1f} s, {delay_ms} ms later."
    call.set_additional_outputs(session.webrtc_id)(
        AdditionalOutputs([{"role": "assistant", "content": text}])
    )


with gr.Blocks(title="Announced") as page:
    conversation = gr.Chatbot()
    call = WebRTC(label="Call", mode="send-receive", modality="audio")
    call.stream(ReplyOnPause(lambda audio: audio, startup_fn=greet), inputs=[call], outputs=[call])
    call.on_additional_outputs(lambda messages: messages, outputs=[conversation], queue=False)

if __name__ == "__main__":
    page.launch()

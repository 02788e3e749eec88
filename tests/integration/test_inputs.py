"""Input values that come from outside the page, through `WebRTC.set_input`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import gradio as gr
from support.client import Client
from support.serving import server_of

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC

if TYPE_CHECKING:
    from support.serving import SessionServer

    from gradio_webrtc.types import Modality


class Waits(AsyncStreamHandler):
    """Reports the inputs that it got, each time again."""

    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> AdditionalOutputs:
        await self.wait_for_args()
        return AdditionalOutputs(*self.latest_args)

    def copy(self) -> Waits:
        return Waits()


def make_page(fn: Any, modality: Modality) -> tuple[WebRTC, SessionServer]:
    with gr.Blocks():
        webrtc = WebRTC(mode="send-receive", modality=modality)
        webrtc.stream(fn, inputs=[webrtc, gr.Textbox()], outputs=[webrtc])
        webrtc.on_additional_outputs(lambda *values: values[-1], outputs=[gr.Textbox()])
    return webrtc, server_of(webrtc)


async def call_without_inputs(manager: SessionServer, modality: Modality) -> Client:
    """A client whose page has been asked for the inputs and gives none."""
    client = Client(manager, modality=modality)
    asked = asyncio.Event()
    client.on_send_input = asked.set
    await client.call()
    await asked.wait()
    return client


async def test_values_set_from_outside_reach_a_handler() -> None:
    webrtc, manager = make_page(Waits(), "audio")
    client = await call_without_inputs(manager, "audio")
    for webrtc_id, value in (("nobody", "lost"), (client.webrtc_id, "from a thread")):
        await asyncio.to_thread(webrtc.set_input, webrtc_id, value)
    await client.until(lambda: client.outputs != [])
    await client.hang_up()
    await manager.wait_idle()
    assert client.outputs == [("__webrtc_value__", "from a thread")]


async def test_values_set_from_outside_reach_a_video_function() -> None:
    got: list[Any] = []

    def detection(image: Any, value: str) -> Any:
        got.append(value)
        return image

    webrtc, manager = make_page(detection, "video")
    client = await call_without_inputs(manager, "video")
    await asyncio.to_thread(webrtc.set_input, client.webrtc_id, "from a thread")
    await client.until(lambda: got != [])
    await client.hang_up()
    await manager.wait_idle()
    assert set(got) == {"from a thread"}

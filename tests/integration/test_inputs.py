"""Input values that come from outside the page, through `WebRTC.set_input`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import gradio as gr
from support.caller import Caller

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC

if TYPE_CHECKING:
    from gradio_webrtc._session.manager import SessionRegistry
    from gradio_webrtc.types import Modality


class Waits(AsyncStreamHandler):
    """Tells which inputs it got, each time anew."""

    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> AdditionalOutputs:
        await self.wait_for_args()
        return AdditionalOutputs(*self.latest_args)

    def copy(self) -> Waits:
        return Waits()


def make_page(fn: Any, modality: Modality) -> tuple[WebRTC, SessionRegistry]:
    with gr.Blocks():
        webrtc = WebRTC(mode="send-receive", modality=modality)
        webrtc.stream(fn, inputs=[webrtc, gr.Textbox()], outputs=[webrtc])
        webrtc.on_additional_outputs(lambda *values: values[-1], outputs=[gr.Textbox()])
    return webrtc, webrtc._sessions  # noqa: SLF001 - as its server functions do


async def call_without_inputs(registry: SessionRegistry, modality: Modality) -> Caller:
    """A caller whose page has been asked for the inputs and gives none."""
    caller = Caller(registry, modality=modality)
    asked = asyncio.Event()
    caller.on_send_input = asked.set
    await caller.call()
    await asked.wait()
    return caller


async def test_values_set_from_outside_reach_a_handler() -> None:
    webrtc, registry = make_page(Waits(), "audio")
    caller = await call_without_inputs(registry, "audio")
    for webrtc_id, value in (("nobody", "lost"), (caller.webrtc_id, "from a thread")):
        await asyncio.to_thread(webrtc.set_input, webrtc_id, value)
    await caller.until(lambda: caller.outputs != [])
    await caller.hang_up()
    await registry.wait_idle()
    assert caller.outputs == [("__webrtc_value__", "from a thread")]


async def test_values_set_from_outside_reach_a_video_function() -> None:
    got: list[Any] = []

    def detection(image: Any, value: str) -> Any:
        got.append(value)
        return image

    webrtc, registry = make_page(detection, "video")
    caller = await call_without_inputs(registry, "video")
    await asyncio.to_thread(webrtc.set_input, caller.webrtc_id, "from a thread")
    await caller.until(lambda: got != [])
    await caller.hang_up()
    await registry.wait_idle()
    assert set(got) == {"from a thread"}

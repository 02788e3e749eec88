"""The component among the outputs of ordinary events, on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
from support.page import PageClient, serve_page

from gradio_webrtc import ReplyOnPause, WebRTC

if TYPE_CHECKING:
    from collections.abc import Iterator


def speak() -> Iterator[Any]:
    yield (24_000, np.zeros((1, 2400), np.float32))


async def test_audio_is_refused_with_the_way_and_none_is_taken() -> None:
    with gr.Blocks() as demo:
        out = WebRTC(mode="receive", modality="audio")
        go, clear = gr.Button("Go"), gr.Button("Clear")
        go.click(speak, None, [out], queue=False)
        clear.click(lambda: None, None, out, queue=False)
    async with serve_page(demo) as page:
        with pytest.raises(AssertionError, match=r"\.stream\(fn"):
            await page.dispatch(page.component("button", "Go"), "click")
        await page.dispatch(page.component("button", "Clear"), "click")
        assert page.values[page.component("webrtc")] is None


@pytest.mark.parametrize("kind", ["gr.update", "a component", "gr.skip", "its own value"])
async def test_a_session_outlives_updates_of_its_component(kind: str) -> None:
    def update(value: Any) -> Any:
        return {
            "gr.update": lambda: gr.update(visible=True, label="Now"),
            "a component": lambda: WebRTC(visible=True, label="Now"),
            "gr.skip": gr.skip,
            "its own value": lambda: value,
        }[kind]()

    def hang_up(webrtc_id: str) -> None:
        call.close(webrtc_id, "by the button")

    with gr.Blocks() as demo:
        call = WebRTC(modality="audio")
        call.stream(ReplyOnPause(print), inputs=[call], outputs=[call])
        change, end = gr.Button("Change"), gr.Button("End")
        change.click(update, [call], [call], queue=False)
        end.click(hang_up, [call], None, queue=False)
    async with serve_page(demo) as page:
        client = PageClient(page)
        await client.call()
        held = page.values[page.component("webrtc")]
        await page.dispatch(page.component("button", "Change"), "click")
        # In the page this value is the component's own: what Python sends leaves it as it is.
        page.values[page.component("webrtc")] = held
        await page.dispatch(page.component("button", "End"), "click")
        await client.closed.wait()
        await client.hang_up()
    assert [m["data"] for m in client.messages if m["type"] == "end_stream"] == ["by the button"]

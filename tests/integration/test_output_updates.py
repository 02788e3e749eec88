"""Updates of a page's components by AdditionalOutputs in quick succession."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import gradio as gr
from fastapi import FastAPI
from support.page import GradioPage, PageClient
from support.streaming_asgi import opened

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler, CloseStream, WebRTC

LINES = [f"line {number}" for number in range(5)]


class Burst(AsyncStreamHandler):
    """Emits all lines at once, and ends the session at once."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Any] = [*map(AdditionalOutputs, LINES), CloseStream("that was all")]

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        return self.items.pop(0)

    def copy(self) -> Burst:
        return Burst()


def append(text: str, line: str) -> str:
    # As long as a browser takes for an update or two.
    time.sleep(0.1)
    return f"{text}{line}\n"


async def test_each_update_builds_on_the_one_before_also_at_the_end_of_a_session() -> None:
    with gr.Blocks() as demo:
        text = gr.Textbox("")
        webrtc = WebRTC(mode="send-receive", modality="audio")
        webrtc.stream(Burst(), inputs=[webrtc], outputs=[webrtc])
        webrtc.on_additional_outputs(append, inputs=[text], outputs=[text])
    async with opened(gr.mount_gradio_app(FastAPI(), demo, path="/")) as browser:
        page = GradioPage(browser, (await browser.get("/config")).json())
        client = PageClient(page)
        await client.call()
        await client.ended.wait()
        await client.until(lambda: len(client.pages) >= len(LINES))
        await client.hang_up()
    seen = [each[page.component("textbox")].split() for each in client.pages]
    assert seen == [" ".join(LINES[: count + 1]).split() for count in range(len(LINES))]


async def test_a_function_that_fails_holds_up_nothing() -> None:
    failed = asyncio.Event()

    def fail_once(text: str, line: str) -> str:
        if line == LINES[0]:
            failed.set()
            raise ValueError(line)
        return append(text, line)

    with gr.Blocks() as demo:
        text = gr.Textbox("")
        webrtc = WebRTC(mode="send-receive", modality="audio")
        webrtc.stream(Burst(), inputs=[webrtc], outputs=[webrtc])
        webrtc.on_additional_outputs(fail_once, inputs=[text], outputs=[text], queue=False)
    async with opened(gr.mount_gradio_app(FastAPI(), demo, path="/")) as browser:
        page = GradioPage(browser, (await browser.get("/config")).json())
        client = PageClient(page)
        await client.call()
        await client.ended.wait()
        await client.hang_up()
    assert failed.is_set()
    assert page.values[page.component("textbox")].split() == " ".join(LINES[1:]).split()

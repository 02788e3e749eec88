"""Sessions that a function of the page, or any other code of the program, ends from Python."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.client import Client
from support.page import PageClient, serve_page
from support.serving import server_of

from gradio_webrtc import ReplyOnPause, WebRTC, WebRTCData

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.serving import SessionServer


def reply(audio: Any) -> Any:
    yield audio


def make_page() -> tuple[WebRTC, SessionServer]:
    with gr.Blocks():
        webrtc = WebRTC(modality="audio")
        webrtc.stream(ReplyOnPause(reply), inputs=[webrtc], outputs=[webrtc])
    return webrtc, server_of(webrtc)


def reasons(client: Client) -> list[Any]:
    return [each["data"] for each in client.messages if each["type"] == "end_stream"]


async def in_this_task(act: Callable[[], Any]) -> Any:
    return act()


async def in_a_thread(act: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(act)


@pytest.mark.parametrize("run", [in_this_task, in_a_thread])
async def test_close_ends_a_session_and_the_page_gets_the_reason(
    run: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]],
) -> None:
    webrtc, manager = make_page()
    client = Client(manager)
    await client.call()
    await run(lambda: webrtc.close("nobody", "lost"))
    await run(lambda: webrtc.close(client.webrtc_id, reason="We close at noon."))
    await client.closed.wait()
    await run(lambda: webrtc.close(client.webrtc_id, "once more"))
    await client.hang_up()
    await manager.wait_idle()
    assert reasons(client) == ["We close at noon."]


@pytest.mark.parametrize("run", [in_this_task, in_a_thread])
async def test_update_connection_ends_a_session_whether_awaited_or_not(
    run: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]],
) -> None:
    webrtc, manager = make_page()
    for is_awaited in (False, True):
        client = Client(manager)
        await client.call()
        data = WebRTCData(client.webrtc_id)
        answer = await run(lambda data=data: webrtc.update_connection(data, "closed"))  # type: ignore[misc]
        assert answer
        if is_awaited:
            assert await answer is True
        await client.closed.wait()
        await client.hang_up()
        await manager.wait_idle()
        assert reasons(client) == [""]


async def test_what_fastrtc_made_of_update_connection_was_a_coroutine() -> None:
    webrtc, _ = make_page()
    loop = asyncio.get_running_loop()
    task = loop.create_task(webrtc.update_connection("nobody", "closed"))
    assert await task is False
    assert [*await asyncio.gather(webrtc.update_connection("nobody", "closed"))] == [False]
    later = asyncio.run_coroutine_threadsafe(webrtc.update_connection("nobody", "closed"), loop)
    assert await asyncio.wrap_future(later) is False
    assert repr(webrtc.update_connection("nobody", "closed")) == "False, which may be awaited"


@pytest.mark.parametrize("state", ["open", "close", "", None])
async def test_a_session_can_only_be_updated_to_closed(state: Any) -> None:
    webrtc, _ = make_page()
    with pytest.raises(
        ValueError, match=r'expected "closed", got .* close\(webrtc_id, reason='
    ) as no:
        webrtc.update_connection("nobody", state)
    assert repr(state) in str(no.value)


@pytest.mark.parametrize("nobody", [None, "__webrtc_value__", 7, ["a"], {"webrtc_id": "x"}])
async def test_what_is_no_id_of_a_session_ends_none(nobody: Any) -> None:
    webrtc, _ = make_page()
    webrtc.close(nobody)
    assert not webrtc.update_connection(nobody, "closed")


async def test_a_reason_is_text() -> None:
    webrtc, _ = make_page()
    with pytest.raises(TypeError, match="expected the reason as text, got NotImplementedError"):
        webrtc.close("nobody", NotImplementedError("x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_function_of_the_page_ends_the_session(kind: str) -> None:
    async def end_async(_value: Any, webrtc_id: str) -> None:
        await call.update_connection(webrtc_id, "closed")

    def end_sync(_value: Any, webrtc_id: str) -> None:
        call.close(webrtc_id, "That was all.")

    with gr.Blocks() as demo:
        call = WebRTC(modality="audio")
        call.stream(ReplyOnPause(reply), inputs=[call], outputs=[call])
        box = gr.Checkbox(label="End")
        box.change({"async": end_async, "sync": end_sync}[kind], [box, call], None, queue=False)
    async with serve_page(demo) as page:
        client = PageClient(page)
        await client.call()
        await page.dispatch(page.component("checkbox"), "change")
        await client.closed.wait()
        await client.hang_up()
    assert reasons(client) == [{"async": "", "sync": "That was all."}[kind]]

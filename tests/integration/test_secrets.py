"""No secret of a session, a TURN service or a user is in a log, whatever goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from support.client import Client
from support.page import PageClient, serve_page
from support.serving import SessionServer

from gradio_webrtc import StreamHandler, WebRTC

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.network

CREDENTIAL = "credential-that-nobody-may-read"
USER = "user-that-nobody-may-read"
SERVERS = [{"urls": "turn:127.0.0.1:9?transport=udp", "username": USER, "credential": CREDENTIAL}]


class Silent(StreamHandler):
    """Emits nothing."""

    def receive(self, _frame: object) -> None:
        """Takes a frame, and does nothing with it."""

    def emit(self) -> None:
        """Has nothing to emit."""

    def copy(self) -> Silent:
        return Silent()


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "gradio_webrtc")
    caplog.set_level(logging.INFO, "aiortc")
    caplog.set_level(logging.INFO, "aioice")
    return caplog


def page_with(configuration: Callable[[], Any]) -> Any:
    with gr.Blocks() as demo:
        call = WebRTC(modality="audio", mode="send-receive", rtc_configuration=configuration)
        call.stream(Silent(), inputs=[call], outputs=[call])
    return demo


def assert_none_is_there(log: pytest.LogCaptureFixture, *found: object) -> None:
    for secret in (CREDENTIAL, USER, *found):
        assert str(secret) not in log.text


async def test_a_session_leaves_neither_its_secret_nor_its_credential(
    every_line: pytest.LogCaptureFixture,
) -> None:
    async with serve_page(page_with(lambda: {"iceServers": SERVERS})) as page:
        answer = await page.call_server(page.component("webrtc"), "turn", None)
        client = PageClient(page)
        await client.call()
        wrong = {"type": "close", "webrtc_id": client.webrtc_id, "secret": "guess-of-somebody"}
        refused = await page.call_server(page.component("webrtc"), "offer", wrong)
        await client.hang_up()
    assert answer["iceServers"][0]["credential"] == CREDENTIAL
    assert refused["status"] == "failed"
    assert client.secret
    assert_none_is_there(every_line, client.secret, "guess-of-somebody")


async def test_a_function_that_fails_with_a_credential_in_its_words(
    every_line: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise RuntimeError(f"GET /turn?key={CREDENTIAL}: 403") from ValueError(USER)

    async with serve_page(page_with(fail)) as page:
        assert await page.call_server(page.component("webrtc"), "turn", None) is None
    assert "RuntimeError in rtc_configuration" in every_line.text
    assert "test_secrets.py" in every_line.text, "where it was raised"
    assert_none_is_there(every_line)


async def test_a_relay_that_never_answers(every_line: pytest.LogCaptureFixture) -> None:
    manager = SessionServer(SERVERS)
    manager.serve(Silent)
    client = Client(manager)
    await client.call()
    await client.hang_up()
    await manager.wait_idle()
    assert_none_is_there(every_line, client.secret)

"""C4, the guide's "Async Stream Handlers": the Gemini example against a session on this machine."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.guide import build
from support.page import LOUD, GradioPage, PageClient, open_page
from support.signals import pitch_hz, tone

from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from support.guide import Guide

    from gradio_webrtc import AsyncStreamHandler

pytestmark = pytest.mark.network

BLUE = "rgb(35, 157, 225)"


def client_with_key(page: GradioPage, key: str) -> PageClient:
    page.values[page.component("textbox", "API Key")] = key
    return PageClient(page, microphone=tone(30, 440))


async def test_the_live_session_receives_the_user_and_is_played(examples: Guide) -> None:
    before = len(examples.notes("C04.client"))
    async with open_page(examples.url("C04")) as page:
        client = client_with_key(page, "key-of-the-client")
        asked = asyncio.Event()
        client.on_send_input = asked.set
        await client.call()
        await asked.wait()
        # The handler waits for the key, and nothing has been made of it.
        assert len(examples.notes("C04.client")) == before
        client.send_inputs()
        await client.until(lambda: client.audible_seconds() > 0.4 and client.is_quiet)
        await client.hang_up()
    (gemini,) = examples.notes("C04.client")[before:]
    assert gemini["api_key"] == "key-of-the-client"
    (received,) = examples.notes("C04.received")[before:]
    assert received["mime_type"] == "audio/pcm"
    assert pitch_hz(received["samples"][8_000:], 16_000) == pytest.approx(440, abs=4)
    assert client.audible_seconds() == pytest.approx(0.5, abs=0.03 + 0.01 * client.gaps())
    assert client.tone_hz() == pytest.approx(600, abs=5 * (1 + client.gaps()))
    # The session hung up, the handler asked once, and nothing went wrong.
    kinds = [message["type"] for message in client.messages]
    assert kinds.count("send_input") == 1
    assert "error" not in kinds


async def call_until_answered(page: GradioPage) -> tuple[PageClient, dict[str, Any]]:
    """A session and its answer, asked for again while the loop of the server is late."""
    while True:
        client, asked = PageClient(page), asyncio.Event()
        client.on_send_input = asked.set
        answer = await client.call()
        if "secret" in answer:
            # Until the server has noticed the connection, the next of its address is not let in.
            await asked.wait()
        if answer.get("meta", {}).get("error") != "server_busy":
            return client, answer
        await asyncio.sleep(0.5)


async def test_two_may_talk_at_the_same_time_and_no_more(examples: Guide) -> None:
    async with open_page(examples.url("C04")) as page:
        calls = [await call_until_answered(page) for _ in range(3)]
        await asyncio.gather(*(client.hang_up() for client, _ in calls))
    answers = [answer for _, answer in calls]
    assert [answer.get("status") for answer in answers] == [None, None, "failed"]
    assert answers[2]["meta"]["limit"] == 2


async def test_what_the_page_receives(examples: Guide) -> None:
    async with open_page(examples.url("C04")) as page:
        component = page.component("webrtc")
        props = page.props(component)
        configuration = await page.call_server(component, "turn", None)
    assert props["icon_button_color"] == props["pulse_color"] == BLUE
    assert props["icon"].startswith("https://www.gstatic.com/")
    assert props["time_limit"] == 90
    assert configuration["iceTransportPolicy"] == "relay"
    assert configuration["iceServers"][0]["urls"].startswith("turn:127.0.0.1:")


def test_the_handler_is_copied_with_its_rates_and_shut_down_once(
    twilio: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler_class = asyncio.run(build_here(twilio, monkeypatch))
    shut_down: list[AsyncStreamHandler] = []
    shutdown = handler_class.shutdown

    def watched(self: AsyncStreamHandler) -> None:
        shut_down.append(self)
        shutdown(self)

    monkeypatch.setattr(handler_class, "shutdown", watched)
    call = simulate(handler_class(), (48_000, tone(3.0, 440)), ["a key"])
    handler = call.handler
    assert isinstance(handler, handler_class)
    assert shut_down == [handler]
    assert (handler.input_sample_rate, handler.output_sample_rate) == (16_000, 24_000)
    assert (handler.expected_layout, handler.output_frame_size) == ("mono", 480)
    assert handler.latest_args == ["__webrtc_value__", "a key"]
    assert handler.args_set.is_set()
    # Time stands still between the pieces of the answer: not a sample of it is missing.
    (received,) = call.audio[1]
    loud = np.abs(received.astype(int)).reshape(-1, 240).max(axis=1) > LOUD
    assert 0.005 * loud.sum() == pytest.approx(0.5, abs=0.006)
    assert [event for event in call.events if event.name == "error"] == []


async def build_here(
    twilio: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> type[AsyncStreamHandler]:
    """Runs the example in this process; in a loop, since Gradio else leaves one open."""
    monkeypatch.setattr("gradio.Blocks.launch", lambda *_args, **_options: None)
    monkeypatch.setattr(
        "gradio_webrtc.credentials.twilio.TWILIO_API_URL", twilio["STAND_IN_FOR_TWILIO"]
    )
    for name in ("google", "google.genai"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name, value in twilio.items():
        monkeypatch.setenv(name, value)
    handler_class: type[AsyncStreamHandler] = build("C04")["GeminiHandler"]
    return handler_class

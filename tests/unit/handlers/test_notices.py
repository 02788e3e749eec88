"""Warnings from anywhere in a handler's code."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest
from starlette.requests import Request
from starlette.websockets import WebSocket
from support.conversing import RATE_HZ, ScriptedVad, conversing
from support.signals import speech

import gradio_webrtc
from gradio_webrtc._handlers import (
    Context,
    MessageRelay,
    ReplyOnPause,
    current_context,
    get_current_context,
    in_session,
)
from gradio_webrtc._handlers.notices import MAX_EARLY_MESSAGES
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping


def warn(audio: Any) -> Iterator[Any]:
    gradio_webrtc.Warning("mind the gap")
    yield audio


async def warn_async(audio: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    for item in warn(audio):
        yield item


def shown(messages: Any) -> list[Any]:
    """The texts shown as warnings, under their names in gradio_webrtc 0.0.31 and in fastrtc."""
    warnings = [message for message in messages if message["type"] == "warning"]
    assert all(message["data"] == message["message"] for message in warnings)
    return [message["data"] for message in warnings]


@pytest.mark.parametrize("fn", [warn, warn_async])
async def test_a_warning_reaches_the_client_concerned(fn: Any) -> None:
    handler = ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ)
    async with conversing(handler) as other, conversing(handler) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert shown(talk.session.messages) == ["mind the gap"]
        assert shown(other.session.messages) == []
        assert talk.session.errors == []


@pytest.mark.parametrize("fn", [warn, warn_async])
def test_a_session_is_the_context_of_its_handler(fn: Any) -> None:
    result = simulate(fn, speech("asterisk_hello_world_16k"))
    texts = shown(message for _, message in result.messages)
    assert texts == ["mind the gap"] * len(result.turns)
    assert texts


def test_without_a_session_the_text_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    gradio_webrtc.Warning()
    assert "Warning issued." in caplog.text


class Page:
    """The messages that a page was sent."""

    webrtc_id = "client"

    def __init__(self) -> None:
        self.messages: list[Mapping[str, object]] = []

    def send(self, message: Mapping[str, object]) -> None:
        self.messages.append(message)


def test_what_is_sent_before_there_is_a_session_waits_for_it() -> None:
    line, page = MessageRelay("client"), Page()
    for number in range(3):
        line.send({"type": "log", "data": number})
    line.connect(page)
    line.send({"type": "log", "data": 3})
    assert [message["data"] for message in page.messages] == [0, 1, 2, 3]


def test_not_more_waits_than_a_handler_has_a_use_for(caplog: pytest.LogCaptureFixture) -> None:
    line, page = MessageRelay("client"), Page()
    for number in range(MAX_EARLY_MESSAGES + 1):
        line.send({"type": "log", "data": number})
    line.connect(page)
    assert len(page.messages) == MAX_EARLY_MESSAGES
    assert "too many messages before the session" in caplog.text


def test_the_request_of_a_session_stays_available_within_it() -> None:
    page, request = Page(), object()
    with in_session(page, request), in_session(page):
        assert get_current_context() == Context("client", request=request)
    assert current_context.get() is None


def test_the_context_of_a_session_over_a_websocket_has_it() -> None:
    websocket = SimpleNamespace(scope={"type": "websocket"})
    with in_session(Page(), websocket):
        assert get_current_context() == Context("client", websocket, websocket)
    request = SimpleNamespace(scope={"type": "http"})
    with in_session(Page(), request):
        assert get_current_context().websocket is None


def test_a_context_has_the_websocket_of_a_session_and_no_other_request() -> None:
    # What Gradio passes converts each attribute to JSON, which the bytes of headers are not.
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"here")]}
    websocket = WebSocket({"type": "websocket", "headers": []}, None, None)  # type: ignore[arg-type]
    for request, expected in ((gr.Request(Request(scope)), None), (websocket, websocket)):
        with in_session(MessageRelay("one"), request):
            context = get_current_context()
        assert context.webrtc_id == "one"
        assert context.websocket is expected

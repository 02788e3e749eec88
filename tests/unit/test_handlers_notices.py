"""Warnings from anywhere in a handler's code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.conversing import RATE_HZ, ScriptedVad, conversing
from support.signals import speech

import gradio_webrtc
from gradio_webrtc.handlers import ReplyOnPause
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def warn(audio: Any) -> Iterator[Any]:
    gradio_webrtc.Warning("mind the gap")
    yield audio


async def warn_async(audio: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    for item in warn(audio):
        yield item


def shown(messages: Any) -> list[Any]:
    """The texts that the page shows as warnings, under both predecessors' names for them."""
    warnings = [message for message in messages if message["type"] == "warning"]
    assert all(message["data"] == message["message"] for message in warnings)
    return [message["data"] for message in warnings]


@pytest.mark.parametrize("fn", [warn, warn_async])
async def test_a_warning_reaches_the_page_of_the_caller_concerned(fn: Any) -> None:
    handler = ReplyOnPause(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ)
    async with conversing(handler) as other, conversing(handler) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert shown(talk.call.messages) == ["mind the gap"]
        assert shown(other.call.messages) == []
        assert talk.call.errors == []


@pytest.mark.parametrize("fn", [warn, warn_async])
def test_a_session_tells_its_handler_whose_call_it_is(fn: Any) -> None:
    result = simulate(fn, speech("asterisk_hello_world_16k"))
    texts = shown(message for _, message in result.messages)
    assert texts == ["mind the gap"] * len(result.turns)
    assert texts


def test_without_a_caller_the_words_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    gradio_webrtc.Warning()
    assert "Warning issued." in caplog.text

"""Text from the page's text field is a turn of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.conversing import RATE_HZ, ScriptedVad, conversing

from gradio_webrtc import ReplyOnPause, StreamHandler, WebRTCData
from gradio_webrtc._handlers import get_current_context

if TYPE_CHECKING:
    from collections.abc import Iterator


def make(*, needs_args: bool = True) -> tuple[ReplyOnPause, list[Any]]:
    """A handler, and what its function was called with."""
    seen: list[Any] = []

    def reply(data: Any) -> Iterator[Any]:
        seen.append(data)
        yield 24_000, [0] * 480

    return ReplyOnPause(
        reply, vad=ScriptedVad, input_sample_rate=RATE_HZ, needs_args=needs_args
    ), seen


async def test_text_is_answered_with_what_was_said_before_it() -> None:
    handler, seen = make()
    async with conversing(handler) as talk:
        talk.handler.set_args([WebRTCData("call", "Hello")])
        talk.handler.trigger_response()
        await talk.until_event("response_finished")
    (data,) = seen
    assert (data.webrtc_id, data.textbox) == ("call", "Hello")
    rate_hz, samples = data.audio
    assert rate_hz == RATE_HZ
    assert samples.shape == (1, 0)


async def test_text_is_one_turns_and_survives_inputs_that_come_in_between() -> None:
    handler, seen = make()
    async with conversing(handler) as talk:
        talk.handler.set_args([WebRTCData("call", "Hello")])
        talk.handler.set_args([WebRTCData("call")])
        talk.handler.trigger_response()
        await talk.until_event("response_finished")
        talk.handler.set_args([WebRTCData("call")])
        talk.say()
        await talk.until_event("response_finished", 2)
    assert [data.textbox for data in seen] == ["Hello", ""]
    assert seen[1].audio[1].size > 0


async def test_a_function_of_one_argument_gets_the_audio_alone() -> None:
    handler, seen = make(needs_args=False)
    async with conversing(handler) as talk:
        talk.handler.set_args([WebRTCData("call")])
        talk.say()
        await talk.until_event("response_finished")
    ((rate_hz, _samples),) = seen
    assert rate_hz == RATE_HZ


def test_the_components_own_value_takes_the_place_of_the_placeholder() -> None:
    class PauseTurnDetector(StreamHandler):
        def receive(self, frame: Any) -> None: ...
        def emit(self) -> None: ...
        def copy(self) -> PauseTurnDetector:
            return PauseTurnDetector()

    handler = PauseTurnDetector()
    handler.set_args([WebRTCData("call", "Hello"), 3])
    assert handler.latest_args == [WebRTCData("call", "Hello"), 3]
    handler.set_args([3])
    assert handler.latest_args == ["__webrtc_value__", 3]


async def test_running_code_can_find_the_session_that_it_serves() -> None:
    seen = []

    def reply(audio: Any) -> Iterator[Any]:
        seen.append(get_current_context())
        yield audio

    handler = ReplyOnPause(reply, vad=ScriptedVad, input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        talk.say()
        await talk.until_event("response_finished")
    assert [context.webrtc_id for context in seen] == [talk.session.webrtc_id]


def test_elsewhere_there_is_nobody_to_serve() -> None:
    with pytest.raises(RuntimeError, match="No context found"):
        get_current_context()

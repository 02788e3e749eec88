"""Replies that are asked for rather than waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from support.conversing import CHUNK, RATE_HZ, Endless, conversing, replying, spoken_windows

if TYPE_CHECKING:
    from collections.abc import Iterator


async def test_a_reply_asked_for_gets_what_was_said_so_far() -> None:
    received: list[int] = []

    def answer(audio: Any) -> Iterator[Any]:
        received.append(spoken_windows(audio))
        yield CHUNK

    async with conversing(replying(answer)) as talk:
        talk.speak(20)
        talk.handler.trigger_response()
        await talk.until_event("response_finished")
        assert talk.session.data("response_triggered") == {"turn": 1}
        talk.pause(40)
        assert "pause_detected" not in talk.session.names
        talk.say(10)
        await talk.until_event("response_finished", 2)
    assert received == [20, 10]


async def test_a_reply_asked_for_in_silence_gets_empty_audio() -> None:
    shapes: list[tuple[Any, ...]] = []

    def answer(audio: Any) -> Iterator[Any]:
        shapes.append((audio[0], audio[1].shape, audio[1].dtype))
        yield CHUNK

    async with conversing(replying(answer)) as talk:
        talk.pause(10)
        await asyncio.to_thread(talk.handler.trigger_response)
        await talk.until_event("response_finished")
    assert shapes == [(RATE_HZ, (1, 0), np.dtype(np.int16))]


async def test_asking_again_replaces_the_reply_under_way() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous)) as talk:
        talk.handler.trigger_response()
        await talk.until_said(1)
        talk.handler.trigger_response()
        await talk.until_event("response_starting", 2)
        assert talk.session.data("interrupted") == {"turn": 1}
        assert fn.closed == 1


async def test_asking_changes_nothing_while_the_reply_may_not_be_interrupted() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous, can_interrupt=False)) as talk:
        talk.handler.trigger_response()
        await talk.until_said(1)
        talk.handler.trigger_response()
        await talk.until_said(len(talk.items) + 2)
        assert talk.session.names == ["response_triggered", "response_starting"]


async def test_a_page_may_ask_each_time_it_sends_the_inputs() -> None:
    received: list[tuple[int, str]] = []

    def answer(audio: Any, text: str) -> Iterator[Any]:
        received.append((spoken_windows(audio), text))
        yield CHUNK

    async with conversing(replying(answer)) as talk:

        def send_inputs() -> None:
            talk.handler.set_args(["a text"])
            talk.handler.trigger_response()

        talk.session.on_request = lambda: talk.handler.loop.call_soon(send_inputs)
        talk.say(20)
        await talk.until_event("response_finished")
        send_inputs()
        await talk.until_event("response_finished", 2)
        assert talk.session.names.count("interrupted") == 0
    assert received == [(20, "a text"), (0, "a text")]


async def test_audio_that_came_while_a_turn_waits_for_inputs_is_answered_with_it() -> None:
    received: list[int] = []

    def answer(audio: Any, _text: str) -> Iterator[Any]:
        received.append(spoken_windows(audio))
        yield CHUNK

    async with conversing(replying(answer)) as talk:
        talk.session.on_request = lambda: None
        talk.say(20)
        await talk.until_event("pause_detected")
        talk.speak(10)
        talk.handler.trigger_response()
        talk.handler.set_args(["a text"])
        await talk.until_event("response_finished")
    assert received == [30]

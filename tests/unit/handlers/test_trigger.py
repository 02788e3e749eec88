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

"""``event`` as subclasses use it: set over silence, over speech and over an answer under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from support.conversing import CHUNK, RATE_HZ, ScriptedVad, conversing

from gradio_webrtc import ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GREETED = ["response_starting", "response_finished"]


class Asked:
    """A function that counts how often it is called, and with what."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, audio: tuple[int, Any]) -> Iterator[Any]:
        self.lengths.append(audio[1].size)
        yield CHUNK


def answering(kind: type[ReplyOnPause], fn: Any, **options: Any) -> Any:
    return kind(fn, vad=ScriptedVad, input_sample_rate=RATE_HZ, **options)


async def test_the_event_alone_asks_for_an_answer_to_what_was_said_so_far() -> None:
    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        talk.handler.event.set()
        await talk.until_event("response_finished")
        assert talk.session.names == ["response_triggered", *GREETED]
        talk.speak(10)
        talk.handler.event.set()
        await talk.until_event("response_finished", 2)
        talk.say(10)
        await talk.until_event("response_finished", 3)
        talk.handler.event.set()
        await talk.until_event("response_finished", 4)
    assert fn.lengths[0] == 0
    assert fn.lengths[1] >= 10 * 512
    assert fn.lengths[3] == 0, "what was answered is not answered again"


async def test_an_event_that_is_cleared_at_once_asks_for_nothing() -> None:
    fn = Asked()
    async with conversing(answering(ReplyOnPause, fn)) as talk:
        talk.handler.event.set()
        assert talk.handler.event.is_set()
        talk.handler.event.clear()
        talk.say(10)
        await talk.until_event("response_finished")
    assert len(fn.lengths) == 1


async def test_the_event_over_an_answer_asks_for_nothing_until_that_is_dropped() -> None:
    received: list[int] = []

    async def endless(audio: Any) -> AsyncIterator[Any]:
        received.append(audio[1].size)
        while True:
            yield CHUNK

    async with conversing(answering(ReplyOnPause, endless)) as talk:
        talk.say(10)
        await talk.until_said(2)
        talk.handler.state.stream = np.ones(100, np.int16)
        await asyncio.to_thread(talk.handler.event.set)
        await talk.until_said(len(talk.items) + 2)
        assert len(received) == 1
        talk.handler.generator = None
        await talk.until_event("response_starting", 2)
    assert received[1:] == [100]


async def test_a_turn_is_answered_though_the_answer_before_it_was_closed_from_outside() -> None:
    received: list[int] = []

    async def endless(audio: Any) -> AsyncIterator[Any]:
        received.append(audio[1].size)
        while True:
            yield CHUNK

    async with conversing(answering(ReplyOnPause, endless)) as talk:
        talk.say(10)
        await talk.until_said(2)
        talk.handler.state.stream = np.ones(100, np.int16)
        talk.handler.event.set()
        # It comes to an end as if by itself, since it is between two steps.
        await talk.handler.generator.aclose()
        await talk.until_event("response_finished")
        assert len(received) == 1
        assert talk.handler.state.stream is None
        talk.handler.generator = None
        await talk.until_event("response_starting", 2)
        assert talk.session.errors == []
    assert received[1:] == [100]

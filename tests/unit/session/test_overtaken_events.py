"""Events of turns that a transport's thread has detected, and that a call overtakes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pytest
from support.conversing import Dialogue, Endless, conversing
from support.signals import speech_at_48k
from support.transports import BareLine

from gradio_webrtc import ReplyOnPause
from gradio_webrtc._session.inbound_pump import InboundPump
from gradio_webrtc._transport import AudioBlock
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport import AudioSink, Detected

BLOCK = 960
SAID = speech_at_48k("austen_0880_16k")
PAUSE = np.zeros(48_000, np.int16)


class Ahead(BareLine):
    """A transport that detects turns by itself, and delivers them when a test has it so."""

    def __init__(self) -> None:
        self._detected: list[Detected] = []

    async def carry_audio(self, sink: AudioSink) -> None:
        sink(AudioBlock(48_000, 1, np.zeros((1, BLOCK), np.int16)))
        await asyncio.Event().wait()

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        self.turns, self._on_detected = turns, on_detected

    def receive(self, samples: NDArray[np.int16]) -> None:
        """What the thread does."""
        for start in range(0, samples.size, BLOCK):
            events, _ = self.turns.process(48_000, 1, samples[start : start + BLOCK])
            while events:
                self._detected.append(events)
                events, _ = self.turns.proceed()

    def deliver(self) -> None:
        """What the event loop does when the doorbell has rung."""
        detected, self._detected = self._detected, []
        assert detected
        for each in detected:
            self._on_detected(each)


class Scene(NamedTuple):
    """A session, and its transport."""

    talk: Dialogue
    line: Ahead


@asynccontextmanager
async def session_of(template: ReplyOnPause) -> AsyncIterator[Scene]:
    line = Ahead()
    async with conversing(template) as talk:
        transport, session = cast("Any", line), cast("Any", talk.session)
        pump = InboundPump(transport, talk.handler, session, Worker("nobody"))
        running = asyncio.get_running_loop().create_task(pump.run())
        await asyncio.sleep(0)
        yield Scene(talk, line)
        running.cancel()
        assert talk.session.errors == []


async def test_speech_before_a_trigger_does_not_interrupt_its_reply() -> None:
    reply = Endless()
    async with session_of(ReplyOnPause(reply.asynchronous)) as (talk, line):
        line.receive(SAID[:48_000])
        talk.handler.trigger_response()
        await talk.until_said(1)
        line.deliver()
        assert "interrupted" not in talk.session.names
        assert "started_talking" not in talk.session.names, "that turn was answered"
        line.receive(SAID)
        line.deliver()
        assert "interrupted" in talk.session.names


async def test_a_turn_that_ended_before_a_trigger_is_answered_by_it_alone() -> None:
    reply = Endless()
    async with session_of(ReplyOnPause(reply.asynchronous)) as (talk, line):
        line.receive(np.concatenate([SAID, PAUSE]))
        talk.handler.trigger_response()
        await talk.until_said(1)
        line.deliver()
        assert len(reply.received) == 1
        assert reply.received[0] > 0, "the turn's audio"
        assert "interrupted" not in talk.session.names
        assert "pause_detected" not in talk.session.names


async def test_a_turn_before_a_reply_that_may_not_be_interrupted_ends_with_it() -> None:
    reply = Endless()
    handler = ReplyOnPause(reply.asynchronous, can_interrupt=False)
    async with session_of(handler) as (talk, line):
        line.receive(SAID[:48_000])
        talk.handler.trigger_response()
        await talk.until_said(1)
        talk.handler.stop_reply()
        await talk.until_idle()
        line.deliver()
        assert "started_talking" not in talk.session.names
        assert not talk.handler.state.started_talking


@pytest.mark.parametrize("discard", ["reset", "take_open_turn"])
async def test_what_discards_the_turn_discards_its_events(discard: str) -> None:
    async with session_of(ReplyOnPause(Endless().asynchronous)) as (talk, line):
        line.receive(np.concatenate([SAID, PAUSE]))
        getattr(line.turns, discard)()
        line.deliver()
        assert talk.session.names == []


async def test_an_event_makes_those_behind_it_overtaken() -> None:
    class Asking(ReplyOnPause):
        def _rtc_on_turn_event(self, event: Any) -> None:
            super()._rtc_on_turn_event(event)
            self.trigger_response()

    async with session_of(Asking(Endless().asynchronous)) as (talk, line):
        line.receive(np.concatenate([SAID, PAUSE]))
        line.deliver()
        assert talk.session.names == ["started_talking", "response_triggered"]

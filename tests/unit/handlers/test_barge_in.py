"""Barge-in: who speaks over whom, and that nothing said is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import (
    CHUNK,
    RATE_HZ,
    Endless,
    ScriptedVad,
    conversing,
    replying,
    spoken_windows,
)

from gradio_webrtc._handlers import AlgoOptions, ReplyOnPause
from gradio_webrtc._turns import replies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
async def test_speech_over_the_reply_stops_it_before_the_pause(kind: str) -> None:
    fn = Endless()
    async with conversing(replying(getattr(fn, kind))) as talk:
        talk.say(10)
        await talk.until_said(3)
        interruptions = talk.session.interruptions
        talk.speak(6)
        assert talk.session.names[-1] == "response_starting"
        talk.speak(1)
        # Seven windows are 0.224 s, the first whole number of them from 0.2 s on.
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        assert talk.session.data("interrupted") == {"turn": 1}
        assert talk.session.interruptions == interruptions + 1
        await talk.until_idle()
        assert fn.closed == 1
        said = len(talk.items)
        talk.speak(50)
        assert len(talk.items) == said
        assert talk.session.ended_replies == 0
        assert "response_finished" not in talk.session.names


async def test_a_program_ends_a_reply_from_any_thread_also_where_users_may_not() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous, can_interrupt=False)) as talk:
        talk.say(10)
        await talk.until_said(3)
        await asyncio.to_thread(talk.handler.stop_reply)
        await talk.until_event("interrupted")
        await talk.until_idle()
        assert fn.closed == 1
        assert talk.session.interruptions >= 1
        talk.say(10)
        await talk.until_event("response_starting", 2)


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
async def test_what_was_said_over_the_reply_is_the_next_turn_from_its_onset_on(kind: str) -> None:
    fn = Endless()
    async with conversing(replying(getattr(fn, kind))) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.pause(5)
        talk.speak(20)
        await talk.until_idle()
        talk.speak(10)
        talk.pause()
        await talk.until_event("response_starting", 2)
        said = len(talk.items)
        await talk.until_said(said + 2)
        assert fn.received == [10, 30]
        assert talk.session.data("pause_detected")["turn"] == 2


async def test_speech_that_goes_on_past_the_limit_of_a_turn_is_no_barge_in() -> None:
    fn = Endless()
    options = AlgoOptions(max_continuous_speech_s=2.0)
    async with conversing(replying(fn.asynchronous, algo_options=options)) as talk:
        talk.speak(63)
        await talk.until_said(1)
        talk.speak(30)
        talk.pause(8)
        talk.speak(10)
        assert talk.session.names.count("started_talking") == 2
        assert "interrupted" not in talk.session.names
        talk.pause()
        assert talk.session.names.count("interrupted") == 1
        await talk.until_event("response_starting", 2)
        talk.speak(10)
        assert talk.session.names.count("interrupted") == 2
    assert fn.received[0] == 63


async def test_speech_that_is_none_does_not_interrupt() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous)) as talk:
        talk.say(10)
        await talk.until_said(1)
        for _ in range(10):
            talk.speak(4)
            talk.pause(20)
        await talk.until_said(len(talk.items) + 3)
        assert fn.closed == 0
        assert "interrupted" not in talk.session.names


async def test_a_user_who_may_not_interrupt_is_ignored_during_the_reply() -> None:
    received: list[int] = []
    gate = asyncio.Event()

    async def speech(audio: Any) -> AsyncIterator[Any]:
        received.append(spoken_windows(audio))
        yield CHUNK
        await gate.wait()
        yield CHUNK

    async with conversing(replying(speech, can_interrupt=False)) as talk:
        talk.say(10)
        await talk.until_said(1)
        interruptions = talk.session.interruptions
        talk.say(20)
        talk.speak(5)
        gate.set()
        await talk.until_event("response_finished")
        await talk.until_idle()
        assert talk.session.interruptions == interruptions
        talk.say(12)
        await talk.until_event("response_finished", 2)
        assert len(talk.items) == 4
        assert "interrupted" not in talk.session.names
        # The clock went on while nobody listened: 10 + 17 + 20 + 17 + 5 windows.
        assert talk.session.data("pause_detected")["speech_start_s"] == pytest.approx(69 * 0.032)
    assert received == [10, 12]


async def test_speech_is_detected_again_when_the_reply_is_over() -> None:
    fn = Endless()
    async with conversing(replying(fn.sync, can_interrupt=False)) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.handler.reset()
        await talk.until_idle()
        talk.say(11)
        await talk.until_event("response_starting", 2)
        await talk.until_said(len(talk.items) + 1)
    assert fn.received == [10, 11]
    assert fn.closed == 2


async def test_speech_after_the_reply_silences_what_is_still_being_played() -> None:
    async def short(_audio: Any) -> AsyncIterator[Any]:
        yield CHUNK

    async with conversing(replying(short)) as talk:
        talk.say()
        await talk.until_event("response_finished")
        interruptions = talk.session.interruptions
        talk.speak(10)
        assert talk.session.interruptions == interruptions + 1
        assert "interrupted" not in talk.session.names


async def test_an_interrupted_sync_step_is_discarded_when_it_returns() -> None:
    gate, entered = threading.Event(), asyncio.Event()
    order: list[str] = []
    loop = asyncio.get_running_loop()

    def slow(audio: Any) -> Iterator[Any]:
        turn = len(order)
        try:
            if not turn:
                loop.call_soon_threadsafe(entered.set)
                gate.wait()
            order.append(f"step of {spoken_windows(audio)}")
            yield (24000, np.full((1, 480), spoken_windows(audio), np.int16))
        finally:
            order.append(f"end of {spoken_windows(audio)}")

    async with conversing(replying(slow)) as talk:
        talk.say(10)
        await entered.wait()
        talk.speak(20)
        assert talk.session.names[-1] == "interrupted"
        talk.pause()
        # The new turn waits for the old step, since a thread cannot be stopped from outside.
        assert talk.items == []
        gate.set()
        await talk.until_event("response_finished")
        assert [int(item[1][0, 0]) for item in talk.items] == [20]
    assert order == ["step of 10", "end of 10", "step of 20", "end of 20"]


async def test_a_turn_that_was_never_answered_is_the_beginning_of_the_next() -> None:
    received: list[int] = []

    async def answer(audio: Any, text: str) -> AsyncIterator[Any]:
        received.append(spoken_windows(audio))
        yield (24000, np.full((1, 480), len(text), np.int16))

    async with conversing(replying(answer), "text") as talk:
        talk.session.on_request = None
        talk.say(10)
        await talk.session.until(lambda: talk.session.requests == 1)
        # The user goes on before the client has sent its inputs.
        talk.say(20)
        assert talk.session.names.count("interrupted") == 1
        await talk.session.until(lambda: talk.session.requests == 2)
        talk.handler.set_args(["text"])
        await talk.until_event("response_finished")
        assert received == [30]
        audio: Any = talk.session.data("pause_detected")["audio"]
        assert spoken_windows(audio) == 30
        talk.handler.set_args(["text"])
        talk.say(11)
        await talk.until_event("response_finished", 2)
    assert received == [30, 11]


async def test_turns_that_wait_for_a_blocked_step_are_joined_too() -> None:
    received: list[int] = []
    gate, entered = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(audio: Any) -> Iterator[Any]:
        received.append(spoken_windows(audio))
        loop.call_soon_threadsafe(entered.set)
        gate.wait()
        yield CHUNK

    async with conversing(replying(slow)) as talk:
        talk.say(10)
        await entered.wait()
        for _ in range(3):
            talk.say(20)
        gate.set()
        await talk.until_event("response_finished")
        assert talk.session.names.count("interrupted") == 3
        assert talk.session.names.count("pause_detected") == 4
    assert received == [10, 60]


async def test_what_is_carried_to_the_next_turn_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MAX_CARRIED_S", 1.0)
    lengths: list[int] = []

    async def answer(audio: Any, _text: str) -> AsyncIterator[Any]:
        lengths.append(audio[1].size)
        yield CHUNK

    async with conversing(replying(answer), "text") as talk:
        talk.session.on_request = None
        for turn in range(1, 5):
            talk.say(100)
            await talk.session.until(lambda turn=turn: talk.session.requests == turn)  # type: ignore[misc]
        talk.handler.set_args(["text"])
        await talk.until_event("response_finished")
    own_s = lengths[0] / RATE_HZ - 1.0
    assert own_s == pytest.approx(0.3 + 100 * 0.032 + 0.512, abs=0.04)


async def test_the_greeting_can_be_interrupted_and_is_not_repeated() -> None:
    fn = Endless()

    async def greet() -> AsyncIterator[Any]:
        while True:
            yield CHUNK

    async with conversing(replying(fn.asynchronous, startup_fn=greet)) as talk:
        await talk.until_said(2)
        talk.say(10)
        await talk.until_event("response_starting", 2)
        await talk.until_said(len(talk.items) + 1)
        assert talk.session.data("interrupted") == {"turn": 0}
    assert fn.received == [10]


async def test_an_error_in_the_clean_up_of_an_interrupted_reply_is_reported() -> None:
    async def messy(_audio: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield CHUNK
        finally:
            raise ValueError("in the clean-up")

    async with conversing(replying(messy)) as talk:
        talk.say()
        await talk.until_said(1)
        talk.speak(10)
        await talk.until_idle()
        assert [str(error) for error in talk.session.errors] == ["in the clean-up"]
        talk.pause()
        await talk.until_event("response_starting", 2)


async def test_an_async_step_that_hangs_is_cancelled_by_the_user() -> None:
    waiting = asyncio.Event()
    cancelled: list[bool] = []

    async def hanging(_audio: Any) -> AsyncIterator[Any]:
        waiting.set()
        try:
            await asyncio.Event().wait()
            yield CHUNK
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with conversing(replying(hanging)) as talk:
        talk.say()
        await waiting.wait()
        talk.speak(10)
        await talk.until_idle()
        assert cancelled == [True]
        assert talk.session.errors == []


async def test_the_first_moments_of_the_next_turn_survive_the_end_of_the_reply() -> None:
    received: list[int] = []
    gate = asyncio.Event()

    async def answer(audio: Any) -> AsyncIterator[Any]:
        received.append(spoken_windows(audio))
        yield CHUNK
        await gate.wait()

    async with conversing(replying(answer)) as talk:
        talk.say(10)
        await talk.until_said(1)
        talk.speak(5)
        gate.set()
        await talk.until_event("response_finished")
        await talk.until_idle()
        talk.speak(20)
        talk.pause()
        await talk.until_event("response_finished", 2)
    assert received == [10, 25]


async def test_what_a_program_drops_with_the_queue_is_dropped_at_an_interruption() -> None:
    class Flushing(ReplyOnPause):
        flushed = 0

        def clear_queue(self) -> None:
            super().clear_queue()
            self.flushed += 1

    fn = Endless()
    async with conversing(Flushing(fn.sync, vad=ScriptedVad, input_sample_rate=RATE_HZ)) as talk:
        talk.say(10)
        await talk.until_said(3)
        flushed = talk.handler.flushed
        talk.speak(10)
        await talk.until_event("interrupted")
        assert talk.handler.flushed == flushed + 1


async def test_a_function_set_for_clearing_is_called_at_an_interruption() -> None:
    fn, flushed = Endless(), []
    async with conversing(replying(fn.sync)) as talk:
        talk.handler._clear_queue = lambda: flushed.append(1)  # noqa: SLF001 - programs set it
        talk.say(10)
        await talk.until_said(3)
        flushed.clear()
        talk.speak(10)
        await talk.until_event("interrupted")
    assert flushed == [1]

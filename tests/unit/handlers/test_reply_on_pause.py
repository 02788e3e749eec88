"""ReplyOnPause: turns, what the function gets, barge-in, errors, life in a session."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import (
    RATE_HZ,
    WINDOW_S,
    Recorder,
    ScriptedVad,
    audio_at,
    conversing,
    replying,
)

from gradio_webrtc._handlers import ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

client: contextvars.ContextVar[str] = contextvars.ContextVar("client")


async def test_a_turn_is_answered_once_with_all_of_it() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        talk.pause(20)
        talk.say(30)
        await talk.until_event("response_finished")
        talk.pause(40)
        assert [item[0] for item in talk.items] == [24000, 24000]
    ((rate, audio),) = fn.calls[0]
    assert len(fn.calls) == 1
    assert rate == RATE_HZ
    assert audio.dtype == np.int16
    assert audio.ndim == 2
    assert audio.shape[0] == 1
    assert np.count_nonzero(audio) == audio_at(1, 30).size
    # 0.3 s of pre-roll, the speech, and the pause that ended it.
    assert fn.lengths[0] == pytest.approx(0.3 / WINDOW_S + 30 + 16, abs=1)


async def test_every_turn_is_answered() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        for turn in range(1, 4):
            talk.say(10 * turn)
            await talk.until_event("response_finished", turn)
    assert [round(np.count_nonzero(call[0][1]) / 512) for call in fn.calls] == [10, 20, 30]


async def test_silence_and_noises_are_not_answered() -> None:
    fn = Recorder()
    async with conversing(replying(fn)) as talk:
        talk.pause(100)
        talk.speak(5)
        talk.pause(100)
        talk.speak(50, probability=0.45)
        talk.pause(100)
        assert talk.session.events == []
    assert fn.calls == []


async def test_the_events_of_a_turn_come_in_order_and_with_their_times() -> None:
    async with conversing(replying(Recorder())) as talk:
        talk.pause(10)
        talk.say(20)
        await talk.until_event("response_finished")
        assert talk.session.names == [
            "started_talking",
            "pause_candidate",
            "pause_detected",
            "response_starting",
            "response_finished",
        ]
        started = talk.session.data("started_talking")
        paused = talk.session.data("pause_detected")
        assert started["time_s"] == pytest.approx(17 * WINDOW_S, abs=0.021)
        assert started["speech_start_s"] == pytest.approx(10 * WINDOW_S)
        assert paused["time_s"] == pytest.approx(46 * WINDOW_S, abs=0.021)
        assert paused["speech_start_s"] == pytest.approx(10 * WINDOW_S)
        assert paused["speech_end_s"] == pytest.approx(30 * WINDOW_S)
        assert paused["turn"] == 1
        audio: Any = paused["audio"]
        assert audio[0] == RATE_HZ
        assert np.count_nonzero(audio[1]) == audio_at(1, 20).size
        assert talk.session.ended_replies == 1
        assert talk.session.data("response_finished") == {"turn": 1, "failed": False}


async def test_a_pause_that_was_none_is_cancelled() -> None:
    async with conversing(replying(Recorder())) as talk:
        talk.speak(10)
        talk.pause(8)
        talk.say(10)
        await talk.until_event("response_finished")
        assert talk.session.names[1:4] == ["pause_candidate", "pause_cancelled", "pause_candidate"]


async def test_state_and_event_show_the_progress_of_the_turn() -> None:
    gate = asyncio.Event()

    async def reply(_audio: Any) -> AsyncIterator[Any]:
        await gate.wait()
        yield (24000, np.zeros((1, 480), np.int16))
        await asyncio.Event().wait()

    async with conversing(replying(reply)) as talk:
        handler = talk.handler
        assert not handler.event.is_set()
        talk.speak(10)
        assert handler.state.started_talking
        talk.pause()
        assert handler.event.is_set()
        assert handler.state.pause_detected
        assert not handler.state.started_talking
        assert handler.state.sampling_rate == RATE_HZ
        assert handler.state.stream.ndim == 1
        assert np.count_nonzero(handler.state.stream) == audio_at(1, 10).size
        await talk.until_event("response_starting")
        assert handler.state.responding
        assert not handler.state.responded_audio
        await asyncio.sleep(0)
        assert inspect.isasyncgen(handler.generator)
        gate.set()
        await talk.until_said(1)
        assert handler.state.responded_audio
        talk.speak(10)
        assert handler.state.interrupted.is_set()
        await talk.until_idle()
        assert handler.generator is None
        assert not handler.state.responding
        assert not handler.state.interrupted.is_set()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("after", [0, 1])
async def test_an_error_ends_the_turn_and_not_the_session(is_async: bool, after: int) -> None:  # noqa: FBT001
    calls = []

    def reply(audio: Any) -> Iterator[Any]:
        calls.append(audio)
        if len(calls) == 2:
            for _ in range(after):
                yield audio
            raise ValueError("mine")
        yield audio

    async def reply_too(audio: Any) -> AsyncIterator[Any]:
        for item in reply(audio):
            yield item

    async with conversing(replying(reply_too if is_async else reply)) as talk:
        for turn in (1, 2, 3):
            talk.say()
            await talk.until_event("response_finished", turn)
        assert [str(error) for error in talk.session.errors] == ["mine"]
        assert len(talk.items) == 2 + after
        assert talk.session.ended_replies == 3
        assert [
            data["failed"] for name, data in talk.session.events if name == "response_finished"
        ] == [
            False,
            True,
            False,
        ]


async def test_a_function_that_cannot_be_called_is_an_error_of_the_turn() -> None:
    def reply() -> Iterator[Any]:
        yield None

    async with conversing(replying(reply)) as talk:
        talk.say()
        await talk.until_event("response_finished")
        assert isinstance(talk.session.errors[0], TypeError)


async def test_an_error_of_an_overridden_reset_is_reported() -> None:
    class Careless(ReplyOnPause):
        def reset(self) -> None:
            super().reset()
            raise ValueError("in reset")

    handler = Careless(Recorder(), vad=ScriptedVad, input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        talk.say()
        await talk.session.until(lambda: bool(talk.session.errors))
        talk.say()
        await talk.until_event("response_finished", 2)
        assert str(talk.session.errors[0]) == "in reset"


async def test_what_a_detector_raises_reaches_whoever_feeds_it() -> None:
    class Broken(ScriptedVad):
        def probability(self, window: Any) -> float:
            raise ValueError(f"{window.size} samples are too much for me")

    handler = ReplyOnPause(Recorder(), vad=Broken, input_sample_rate=RATE_HZ)
    async with conversing(handler) as talk:
        with pytest.raises(ValueError, match="512 samples"):
            talk.pause(2)

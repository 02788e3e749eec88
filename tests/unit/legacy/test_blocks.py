"""Turn detection in blocks, with the methods that users of fastrtc override."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support.blocks import CHUNK, Model, Recorder, block
from support.conversing import LOUDNESS, RATE_HZ, conversing

from gradio_webrtc._handlers import AlgoOptions, AppState, ReplyOnPause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np
    from numpy.typing import NDArray


def answering(fn: Any, **options: Any) -> ReplyOnPause:
    return ReplyOnPause(fn, model=Model(), input_sample_rate=RATE_HZ, **options)


async def test_a_model_of_ones_own_is_asked_block_by_block() -> None:
    fn, options = Recorder(), object()
    handler = answering(fn, model_options=options)
    async with conversing(handler) as talk:
        for probability in (0.1, 0.5, 0.9, 0.0, 0.0):
            talk.feed(block(probability))
        await talk.until_event("response_finished")
        assert handler.model.asked == [(RATE_HZ, 9600, options)] * 5  # type: ignore[attr-defined]
        assert talk.session.names == [
            "started_talking",
            "pause_detected",
            "response_starting",
            "response_finished",
        ]
        assert talk.session.data("started_talking")["speech_start_s"] == pytest.approx(0.6)
        paused = talk.session.data("pause_detected")
        assert paused["time_s"] == pytest.approx(2.4)
        assert paused["speech_start_s"] == pytest.approx(0.6)
        assert paused["speech_end_s"] == pytest.approx(1.8)
    assert [audio.shape for audio in fn.received] == [(1, 3 * 9600)]


async def test_the_old_thresholds_are_seconds_of_speech_in_a_block() -> None:
    fn = Recorder()
    options = AlgoOptions(0.6, started_talking_threshold=0.4, speech_threshold=0.3)
    async with conversing(answering(fn, algo_options=options)) as talk:
        for probability in (0.6, 0.7, 0.55, 0.45):
            talk.feed(block(probability))
        await talk.until_event("response_finished")
    assert fn.received[0].size == 3 * 9600


async def test_the_length_of_a_block_is_the_chunk_duration() -> None:
    handler = answering(Recorder(), algo_options=AlgoOptions(audio_chunk_duration=0.3))
    async with conversing(handler) as talk:
        talk.feed(block(0.0))
    assert [size for _, size, _ in handler.model.asked] == [4800, 4800]  # type: ignore[attr-defined]


async def test_a_turn_too_long_is_ended_in_blocks_too() -> None:
    fn, gate = Recorder(), asyncio.Event()

    async def answer(audio: Any) -> AsyncIterator[Any]:
        for item in fn(audio):
            yield item
        await gate.wait()

    options = AlgoOptions(max_continuous_speech_s=1.5)
    async with conversing(answering(answer, algo_options=options)) as talk:
        for _ in range(3):
            talk.feed(block(0.9))
        await talk.until_said(1)
        talk.feed(block(0.9))
        assert talk.session.names.count("started_talking") == 2
        assert "interrupted" not in talk.session.names
        gate.set()
        await talk.until_event("response_finished")
    assert fn.received[0].size == 3 * 9600


async def test_a_turn_without_a_limit_ends_after_two_minutes_in_blocks_too() -> None:
    fn = Recorder()
    async with conversing(answering(fn)) as talk:
        for _ in range(round(120 / 0.6)):
            talk.feed(block(0.9))
        await talk.until_said(1)
    assert fn.received[0].size == 120 * RATE_HZ


async def test_a_model_in_the_oldest_style_gives_seconds_alone() -> None:
    class Oldest(Model):
        def vad(self, audio: Any, options: Any) -> Any:
            return super().vad(audio, options)[0]

    fn = Recorder()
    async with conversing(ReplyOnPause(fn, model=Oldest(), input_sample_rate=RATE_HZ)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_event("response_finished")
    assert len(fn.received) == 1


async def test_speech_interrupts_in_blocks_too() -> None:
    async def endless(_audio: Any) -> AsyncIterator[Any]:
        while True:
            yield CHUNK

    async with conversing(answering(endless)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(1)
        talk.feed(block(0.9))
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        await talk.until_idle()
        talk.feed(block(0.0))
        await talk.until_event("response_starting", 2)


async def test_blocks_are_skipped_while_a_reply_may_not_be_interrupted() -> None:
    fn, gate = Recorder(), asyncio.Event()

    async def answer(audio: Any) -> AsyncIterator[Any]:
        for item in fn(audio):
            yield item
        await gate.wait()

    async with conversing(answering(answer, can_interrupt=False)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        await talk.until_said(1)
        talk.feed(block(0.9))
        talk.feed(block(0.0))
        gate.set()
        await talk.until_event("response_finished")
        await talk.until_idle()
        talk.feed(block(0.8))
        talk.feed(block(0.0))
        await talk.until_event("response_finished", 2)
    assert len(fn.received) == 2
    assert fn.received[1].max() == round(0.8 * LOUDNESS)


async def test_a_reply_asked_for_gets_the_blocks_so_far() -> None:
    fn = Recorder()
    async with conversing(answering(fn)) as talk:
        talk.feed(block(0.9))
        talk.feed(block(0.9))
        talk.handler.trigger_response()
        await talk.until_event("response_finished")
        talk.handler.trigger_response()
        await talk.until_event("response_finished", 2)
    assert [audio.shape for audio in fn.received] == [(1, 2 * 9600), (1, 0)]


# Overrides of subclasses


async def test_an_overridden_determine_pause_decides() -> None:
    class EverySecond(ReplyOnPause):
        def determine_pause(
            self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
        ) -> bool:
            assert sampling_rate == RATE_HZ
            assert audio.ndim == 1
            if audio.size < sampling_rate:
                return False
            state.stream = audio.copy()
            return True

    fn = Recorder()
    async with conversing(EverySecond(fn, input_sample_rate=RATE_HZ)) as talk:
        talk.speak(32)
        await talk.until_event("response_finished")
        assert talk.session.data("pause_detected")["time_s"] == pytest.approx(1.0)
    assert [audio.shape for audio in fn.received] == [(1, RATE_HZ)]


async def test_an_overridden_determine_pause_may_ask_the_old_rule_first() -> None:
    class Polite(ReplyOnPause):
        refused = 0

        def determine_pause(
            self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
        ) -> bool:
            if not super().determine_pause(audio, sampling_rate, state):
                return False
            self.refused += 1
            return self.refused > 1

    fn = Recorder()
    async with conversing(Polite(fn, model=Model(), input_sample_rate=RATE_HZ)) as talk:
        for probability in (0.9, 0.0, 0.9, 0.0):
            talk.feed(block(probability))
        await talk.until_event("response_finished")
    assert fn.received[0].size == 4 * 9600


async def test_an_overridden_process_audio_keeps_its_own_state() -> None:
    @dataclass
    class Counted(AppState):
        frames: list[int] = field(default_factory=list)

    class Counting(ReplyOnPause):
        def __init__(self, fn: Any) -> None:
            super().__init__(fn, input_sample_rate=RATE_HZ)
            self.state = Counted()

        def process_audio(self, audio: tuple[int, NDArray[np.int16]], state: AppState) -> None:
            assert isinstance(state, Counted)
            state.frames.append(audio[1].size)
            state.pause_detected = len(state.frames) == 10

    fn = Recorder()
    async with conversing(Counting(fn)) as talk:
        talk.speak(6.25)
        await talk.until_event("response_finished")
        talk.speak(6.25)
        await talk.until_event("response_finished", 2)
        assert isinstance(talk.handler.state, Counted)
    assert [audio.shape for audio in fn.received] == [(1, 0), (1, 0)]

"""Answers that are begun early, on real speech with pauses in it: how soon, and how often wrong."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import speech
from support.spliced import RATE_HZ, Spliced, hesitate

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, get_turn
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

TURNS = 60
"""Enough that one that is decided too early is less than the two percent that are allowed."""

AUDIO = (24_000, np.full((1, 4_800), 8_000, np.int16))


def function_of(seconds: float) -> Any:
    """A function whose first audio takes so long, as a chain of models does."""

    async def fn(_audio: tuple[int, NDArray[np.int16]]) -> AsyncIterator[Any]:
        await asyncio.sleep(seconds)
        yield AUDIO

    return fn


@cache
def sessions(seconds: float) -> list[tuple[Spliced, Simulation]]:
    rng = np.random.default_rng(11)
    turns = [hesitate(rng, 0.2, 0.8) for _ in range(TURNS)]
    handler = ReplyOnPause(function_of(seconds), speculative=True)
    return [(each, simulate(handler, (RATE_HZ, each.samples))) for each in turns]


def delays_s(seconds: float) -> list[float]:
    """From the end of speech to the first audio of the answer, in seconds."""
    return [
        (result.turns[-1].reply_start_s or np.inf) - spliced.end_s
        for spliced, result in sessions(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "p50_s", "p90_s"), [(0.65, 0.93, 0.97), (0.4, 0.92, 0.96), (0.2, 0.92, 0.96)]
)
def test_the_answer_comes_soon_after_the_end(seconds: float, p50_s: float, p90_s: float) -> None:
    delays = delays_s(seconds)
    assert np.percentile(delays, 50) <= p50_s
    assert np.percentile(delays, 90) <= p90_s


def test_few_turns_are_decided_too_early() -> None:
    early = sum(len(result.turns) > 1 for _, result in sessions(0.65))
    assert early <= 0.02 * TURNS


def test_what_was_begun_too_early_is_not_heard() -> None:
    discarded = 0
    for _, result in sessions(0.65):
        names = [event.name for event in result.events]
        discarded += names.count("reply_discarded")
        assert names.count("response_starting") == names.count("response_finished")
        assert names.count("response_starting") == len(result.turns)
        audible = np.abs(result.audio[1]) > 100
        assert audible.sum() == pytest.approx(len(result.turns) * 9_600, rel=0.05)
    assert discarded >= TURNS / 2


def test_messages_outputs_and_audio_of_the_answer_come_together_and_in_order() -> None:
    class Writing(ReplyOnPause):
        def __init__(self) -> None:
            super().__init__(self.answer, speculative=True)

        def answer(self, _audio: object) -> Iterator[Any]:
            self.send_message_sync({"type": "own", "step": get_turn().number})
            yield AdditionalOutputs("before")
            yield AUDIO
            self.send({"type": "own", "step": "after"})

    rng = np.random.default_rng(5)
    spliced = hesitate(rng, 0.3, 0.3)
    result = simulate(Writing(), (RATE_HZ, spliced.samples))
    (turn,) = result.turns
    own = [(at, message["step"]) for at, message in result.messages if message["type"] == "own"]
    assert [step for _, step in own] == [1, "after"]
    assert all(at >= turn.pause_s for at, _ in own)
    assert [output.args for output in result.outputs] == [("before",)]
    assert result.outputs[0].time_s >= turn.pause_s
    assert any(event.name == "reply_discarded" for event in result.events)


def test_messages_that_come_late_or_in_masses_are_sent_once_it_is_certain() -> None:
    class Writing(ReplyOnPause):
        def __init__(self) -> None:
            super().__init__(self.answer, speculative=True)

        async def answer(self, _audio: object) -> AsyncIterator[Any]:
            tasks.append(asyncio.get_running_loop().create_task(self.write_later()))
            yield 24_000, np.full((1, 4 * 24_000), 3_000, np.int16)
            for number in range(600):
                self.send({"type": "own", "number": number})
                await asyncio.sleep(0.005)
            yield AUDIO

        async def write_later(self) -> None:
            await asyncio.sleep(12)
            self.send({"type": "own", "number": "late"})

    tasks: list[asyncio.Task[None]] = []
    result = simulate(Writing(), speech("asterisk_hello_world_16k"), tail_s=20.0)
    own = [message["number"] for _, message in result.messages if message["type"] == "own"]
    assert own == [*range(600), "late"]


def test_sync_code_may_wait_for_the_end_of_the_turn_on_the_virtual_clock() -> None:
    def book(_audio: object) -> Iterator[Any]:
        get_turn().wait_until_certain()
        yield AdditionalOutputs("booked")
        yield AUDIO

    spliced = hesitate(np.random.default_rng(5), 0.3, 0.3)
    handler = ReplyOnPause(book, speculative=True)
    results = [simulate(handler, (RATE_HZ, spliced.samples)) for _ in range(2)]
    assert [output.args for output in results[0].outputs] == [("booked",)]
    assert [event[:2] for event in results[0].events] == [event[:2] for event in results[1].events]


def test_a_function_may_fill_one_array_again_and_again() -> None:
    def fn(_audio: object) -> Iterator[Any]:
        samples = np.zeros((1, 2_400), np.int16)
        for level in range(1, 6):
            samples[:] = level * 1_000
            yield 24_000, samples

    result = simulate(ReplyOnPause(fn, speculative=True), speech("asterisk_hello_world_16k"))
    levels = np.round(result.audio[1] / 1_000)
    assert all((levels == level).sum() > 4_000 for level in range(1, 6))


def test_a_function_that_is_wrong_is_reported_once_for_the_turn() -> None:
    def fn(_audio: object) -> Iterator[Any]:
        yield AUDIO
        raise ValueError("wrong")

    spliced = hesitate(np.random.default_rng(5), 0.3, 0.3)
    result = simulate(ReplyOnPause(fn, speculative=True), (RATE_HZ, spliced.samples))
    assert [event.name for event in result.events].count("error") == 1
    assert any(event.name == "reply_discarded" for event in result.events)


def test_code_that_cannot_be_stopped_holds_nobody_else_up() -> None:
    calls: list[float] = []

    def slow(_audio: object) -> tuple[int, NDArray[np.int16]]:
        calls.append(time.monotonic())
        time.sleep(0.05)
        return AUDIO

    samples = speech("synth_hibari_24k")
    result = simulate(ReplyOnPause(slow, speculative=True), samples)
    replies = [event for event in result.events if event.name == "response_finished"]
    assert len(replies) == len(result.turns)
    assert len(calls) >= len(result.turns)

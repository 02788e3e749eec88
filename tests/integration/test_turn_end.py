"""A model that ends turns, on real speech with pauses in it: how soon, and how often wrong."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import speech
from support.spliced import APART_SAMPLES, LEAD_S, RATE_HZ, Spliced, hesitate

from gradio_webrtc import AlgoOptions, ReplyOnPause
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

TURNS = 60

PATIENT = AlgoOptions(pause_s=1.2)
"""Longer than every pause in these turns: a model that is right about them is never overruled."""

AUDIO = (24_000, np.full((1, 4_800), 8_000, np.int16))


class Oracle:
    """Has the end of the one turn that it is for."""

    def __init__(self, turn: Spliced) -> None:
        # Each pause has so much speech behind it.
        self._speech_s = turn.end_s - LEAD_S - APART_SAMPLES / RATE_HZ / 2

    def probability(
        self, _rate_hz: int, samples: NDArray[np.int16], *, speech_s: float, silence_s: float
    ) -> float:
        assert samples.size / RATE_HZ >= speech_s
        assert silence_s == pytest.approx(0.192, abs=0.01)
        return float(speech_s > self._speech_s)


class SlowOracle(Oracle):
    """The same, after 50 ms."""

    async def probability(self, *args: Any, **lengths: Any) -> float:  # type: ignore[override]
        await asyncio.sleep(0.05)
        return super().probability(*args, **lengths)


async def answer(_audio: object) -> AsyncIterator[Any]:
    await asyncio.sleep(0.2)
    yield AUDIO


@cache
def sessions(
    kind: Callable[[Spliced], Any], *, speculative: bool = False
) -> list[tuple[Spliced, Simulation]]:
    rng = np.random.default_rng(11)
    turns = [hesitate(rng, 0.2, 0.8) for _ in range(TURNS)]
    found = []
    for turn in turns:
        handler = ReplyOnPause(
            answer,
            algo_options=PATIENT,
            turn_end=kind(turn),
            speculative=speculative,
            input_sample_rate=RATE_HZ,
        )
        found.append((turn, simulate(handler, (RATE_HZ, turn.samples))))
    return found


@pytest.mark.parametrize(("kind", "own_s"), [(Oracle, 0.0), (SlowOracle, 0.05)])
def test_a_model_that_is_right_ends_turns_soon_and_never_too_early(
    kind: Callable[[Spliced], Any], own_s: float
) -> None:
    delays = [result.turns[-1].pause_s - turn.end_s for turn, result in sessions(kind)]
    assert np.percentile(delays, 50) <= 0.3 + own_s
    assert [len(result.turns) for _, result in sessions(kind)] == [1] * TURNS


def test_it_is_called_at_every_candidate() -> None:
    for _, result in sessions(Oracle):
        estimates = [event for event in result.events if event.name == "turn_end_estimated"]
        candidates = [event for event in result.events if event.name == "pause_candidate"]
        assert len(estimates) == len(candidates)
        assert [event.data["is_certain"] for event in estimates[:-1]] == [False] * (
            len(estimates) - 1
        )
        (end,) = [event for event in result.events if event.name == "pause_detected"]
        assert end.data["decided_by"] == "turn_end"


def test_with_speculation_the_answer_has_begun_already() -> None:
    delays = [
        (result.turns[-1].reply_start_s or np.inf) - turn.end_s
        for turn, result in sessions(Oracle, speculative=True)
    ]
    assert np.percentile(delays, 50) <= 0.3 + 0.2 + 0.02
    committed = 0
    for _, result in sessions(Oracle, speculative=True):
        names = [event.name for event in result.events]
        committed += names.count("turn_committed")
        assert names.count("response_starting") == len(result.turns) == 1
    # The others had begun as often as they may, at pauses before.
    assert committed >= 0.9 * TURNS


def test_a_session_repeats_whatever_thread_the_model_runs_in() -> None:
    turn = hesitate(np.random.default_rng(5), 0.3, 0.3)
    handler = ReplyOnPause(answer, algo_options=PATIENT, turn_end=Oracle(turn))
    one, other = (simulate(handler, (RATE_HZ, turn.samples)) for _ in range(2))
    assert [event[:2] for event in one.events] == [event[:2] for event in other.events]
    assert np.array_equal(one.turns[0].audio[1], other.turns[0].audio[1])


def test_the_function_gets_the_turn_without_the_silence_of_its_pause() -> None:
    audio = speech("asterisk_hello_world_16k")

    class Certain:
        def probability(self, *_: Any, **__: Any) -> float:
            return 1.0

    early, usual = (
        simulate(ReplyOnPause(answer, turn_end=turn_end, input_sample_rate=RATE_HZ), audio)
        for turn_end in (Certain(), None)
    )
    (turn,), (whole,) = early.turns, usual.turns
    assert (turn.speech_start_s, turn.speech_end_s) == (whole.speech_start_s, whole.speech_end_s)
    size = turn.audio[1].size
    assert np.array_equal(turn.audio[1], whole.audio[1][:, :size])
    assert (whole.audio[1].size - size) / RATE_HZ == pytest.approx(0.512 - 0.192, abs=0.04)

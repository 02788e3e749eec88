"""Estimates of the end of a turn: one at a time, the newest candidate, and none too late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.fake_session import FakeSession

from gradio_webrtc._turns.detector import TurnEvent
from gradio_webrtc._turns.turn_end import (
    CERTAIN_AT,
    Candidate,
    TurnEndEstimator,
    check_turn_end,
    checked_probability,
    threshold_of,
)
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Gate:
    """An async model that answers one call after the other, as it is let."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.results: asyncio.Queue[float] = asyncio.Queue()

    async def probability(
        self, _rate_hz: int, _samples: Any, *, speech_s: float, silence_s: float
    ) -> float:
        self.starts.append(speech_s + silence_s)
        return await self.results.get()


def candidate(seconds: float) -> Candidate:
    event = TurnEvent("pause_candidate", seconds, 0.0, seconds - 0.192)
    return Candidate(event, 16_000, np.zeros((1, 160), np.int16))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Scene:
    """An estimator with its model and the estimates that came in time."""

    def __init__(self) -> None:
        self.model = Gate()
        self.session = FakeSession()
        self.estimates: list[tuple[float, float, bool]] = []
        worker = Worker("turn-end")
        self.estimator = TurnEndEstimator(self.model, worker, self.session, self._note)

    def _note(self, found: Candidate, probability: float, is_certain: bool) -> None:  # noqa: FBT001
        self.estimates.append((found.event.time_s, probability, is_certain))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.estimator.close()


async def test_each_candidate_has_its_estimate(scene: Scene) -> None:
    for seconds, probability in ((1.0, 0.4), (2.0, 0.5)):
        scene.estimator.estimate(candidate(seconds))
        scene.model.results.put_nowait(probability)
        await settle()
    assert scene.estimates == [(1.0, 0.4, False), (2.0, 0.5, True)]


async def test_the_newest_of_those_that_wait_is_next(scene: Scene) -> None:
    for seconds in (1.0, 2.0, 3.0):
        scene.estimator.estimate(candidate(seconds))
        await settle()
    assert scene.model.starts == [1.0]
    scene.model.results.put_nowait(0.9)
    await settle()
    assert scene.model.starts == [1.0, 3.0]
    assert scene.estimates == []
    scene.model.results.put_nowait(0.9)
    await settle()
    assert scene.estimates == [(3.0, 0.9, True)]


async def test_a_candidate_that_was_dropped_has_no_estimate(scene: Scene) -> None:
    scene.estimator.estimate(candidate(1.0))
    await settle()
    scene.estimator.drop()
    scene.model.results.put_nowait(0.9)
    await settle()
    scene.estimator.estimate(candidate(2.0))
    scene.estimator.drop()
    await settle()
    assert scene.estimates == []
    assert scene.model.starts == [1.0]


async def test_a_candidate_in_the_moment_of_an_estimate_is_estimated(scene: Scene) -> None:
    scene.estimator.estimate(candidate(1.0))
    await settle()
    scene.model.results.put_nowait(0.1)
    for seconds in range(20):
        # In one of these steps the task before has ended, and nobody has seen that.
        await asyncio.sleep(0)
        if scene.estimates:
            scene.estimator.estimate(candidate(2.0 + seconds))
            break
    await settle()
    assert len(scene.model.starts) == 2


async def test_after_an_error_the_next_candidate_is_estimated(scene: Scene) -> None:
    scene.estimator.estimate(candidate(1.0))
    scene.model.results.put_nowait(7.0)
    await settle()
    assert [type(error) for error in scene.session.errors] == [ValueError]
    scene.estimator.estimate(candidate(2.0))
    scene.model.results.put_nowait(0.6)
    await settle()
    assert scene.estimates == [(2.0, 0.6, True)]


async def test_nothing_comes_behind_the_end(scene: Scene) -> None:
    scene.estimator.estimate(candidate(1.0))
    await settle()
    await scene.estimator.close()
    scene.model.results.put_nowait(0.9)
    await settle()
    assert scene.estimates == []


def test_the_lengths_of_speech_and_silence_are_those_of_the_turn() -> None:
    found = Candidate(
        TurnEvent("pause_candidate", 5.2, 2.0, 5.0), 16_000, np.zeros((1, 0), np.int16)
    )
    assert found.speech_s == 3.0
    assert found.silence_s == pytest.approx(0.2)


@pytest.mark.parametrize("value", [0.3, np.float32(0.3), np.array(0.3), 1, True])
def test_any_number_may_be_a_probability(value: Any) -> None:
    assert checked_probability(value) == pytest.approx(float(value))


@pytest.mark.parametrize("value", [None, "0.5", [0.5], object()])
def test_what_is_no_number_is_none(value: Any) -> None:
    with pytest.raises(TypeError, match="probability from 0 to 1"):
        checked_probability(value)


def test_a_class_is_looked_at_when_it_is_made() -> None:
    class Model:
        certain_at = 7

        def probability(self) -> None: ...

    check_turn_end(Model)
    with pytest.raises(ValueError, match="got 7"):
        check_turn_end(Model())


def test_certain_at_has_a_default() -> None:
    assert threshold_of(object()) == CERTAIN_AT

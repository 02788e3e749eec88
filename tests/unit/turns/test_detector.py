"""Turns on the clock of the session: gaps, resets and the audio of a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import RATE_HZ, WINDOW_S, WINDOW_SAMPLES, ScriptedVad, audio_at

from gradio_webrtc._turns.detector import PauseTurnDetector, TurnEvent
from gradio_webrtc._turns.options import AlgoOptions, SileroVadOptions, make_detector

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def vad() -> ScriptedVad:
    return ScriptedVad()


@pytest.fixture
def detector(vad: ScriptedVad) -> PauseTurnDetector:
    return PauseTurnDetector(
        make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions(), vad), RATE_HZ
    )


TURN = (audio_at(0.0, 10), audio_at(0.9, 20), audio_at(0.0, 20))


def feed(detector: PauseTurnDetector, *parts: NDArray[np.int16]) -> list[TurnEvent]:
    return [event for part in parts for event in detector.process(part)]


def test_the_audio_is_with_the_end_of_the_turn_alone(detector: PauseTurnDetector) -> None:
    events = feed(detector, *TURN)
    assert [event.name for event in events] == [
        "started_talking",
        "pause_candidate",
        "pause_detected",
    ]
    *open_turn, end = events
    assert [event.audio for event in open_turn] == [None, None]
    assert end.audio is not None
    assert end.audio.shape[0] == 1
    assert np.count_nonzero(end.audio) == 20 * WINDOW_SAMPLES
    assert end.speech_start_s == pytest.approx(10 * WINDOW_S)
    assert end.speech_end_s == pytest.approx(30 * WINDOW_S)


def test_time_that_was_skipped_moves_the_events_behind_it(detector: PauseTurnDetector) -> None:
    *_, before = feed(detector, *TURN)
    detector.skip(1000 * WINDOW_SAMPLES)
    *_, behind = feed(detector, *TURN)
    for name in ("time_s", "speech_start_s", "speech_end_s"):
        moved_s = getattr(behind, name) - getattr(before, name)
        assert moved_s == pytest.approx(1050 * WINDOW_S), name


def test_skipping_discards_the_open_turn_at_once_and_resets_once(
    detector: PauseTurnDetector, vad: ScriptedVad
) -> None:
    feed(detector, *TURN[:2])
    assert detector.utterance_so_far().size
    resets = vad.resets
    for _ in range(100):
        detector.skip(WINDOW_SAMPLES)
    assert detector.utterance_so_far().shape == (1, 0)
    assert detector.min_samples_until_event == 0
    assert vad.resets == resets
    assert feed(detector, audio_at(0.0, 20)) == []
    assert vad.resets == resets + 1


def test_nothing_is_certain_about_the_first_audio_after_a_gap(
    detector: PauseTurnDetector,
) -> None:
    feed(detector, audio_at(0.0, 10))
    assert detector.min_samples_until_event > 0
    detector.skip(WINDOW_SAMPLES)
    assert detector.min_samples_until_event == 0


def test_a_reset_discards_the_turn_and_keeps_the_clock(detector: PauseTurnDetector) -> None:
    feed(detector, *TURN[:2])
    detector.reset()
    assert detector.utterance_so_far().shape == (1, 0)
    started, *_ = feed(detector, *TURN)
    assert started.speech_start_s == pytest.approx(40 * WINDOW_S)


def test_an_event_takes_the_allowance_before_it_away(detector: PauseTurnDetector) -> None:
    feed(detector, audio_at(0.0, 10))
    allowed = detector.min_samples_until_event
    assert allowed > 0
    assert feed(detector, audio_at(0.9, allowed / WINDOW_SAMPLES)) == []
    feed(detector, audio_at(0.9, 20))
    assert detector.min_samples_until_event < allowed
    feed(detector, audio_at(0.0, 6))
    assert detector.min_samples_until_event == 0


@pytest.mark.parametrize(
    ("end_s", "times"),
    [
        (None, {"time_s": 2.0, "speech_start_s": 1.0}),
        (1.5, {"time_s": 2.0, "speech_start_s": 1.0, "speech_end_s": 1.5}),
    ],
)
def test_only_times_that_are_certain_have_a_name(end_s: float | None, times: Any) -> None:
    assert TurnEvent("pause_candidate", 2.0, 1.0, end_s).times() == times

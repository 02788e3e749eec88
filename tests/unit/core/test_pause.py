"""The Python interface of `PauseDetector` and `SileroVad`: turns, custom detectors, threads."""

from __future__ import annotations

import gc
import math
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc._audio import PauseDetector, PauseEvent, SileroVad
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WINDOW = 512
SOFT, LOUD = 100, 8_000


class LevelVad:
    """A detector of levels, in windows of 32 ms at 16 kHz."""

    sample_rate = 16_000
    window_samples = WINDOW

    def __init__(self) -> None:
        self.windows: list[NDArray[np.float32]] = []
        self.resets = 0
        self.before_answer: Callable[[], object] = bool

    def probability(self, window: NDArray[np.float32]) -> float:
        self.before_answer()
        self.windows.append(window)
        return float(np.abs(window).mean() > 0.1)

    def reset(self) -> None:
        self.resets += 1


def windows(*stretches: tuple[int, int]) -> NDArray[np.int16]:
    """Audio of these levels and numbers of windows; two samples in a row are never equal."""
    levels = np.concatenate([np.full(count * WINDOW, level) for level, count in stretches])
    return (levels + np.arange(len(levels)) % 100).astype(np.int16)


TURN = windows((SOFT, 20), (LOUD, 30), (SOFT, 30))


def fed(detector: PauseDetector, samples: NDArray[np.int16], cut: int) -> list[PauseEvent]:
    """All events while the samples are fed, `cut` at a time."""
    starts = range(0, len(samples), cut)
    return [event for at in starts for event in detector.process(samples[at : at + cut])]


def summary(events: list[PauseEvent]) -> list[tuple[str, int]]:
    """Kind and time in windows."""
    return [(event.kind, round(event.time_s / 0.032)) for event in events]


def test_a_turn_is_detected_and_its_utterance_returned() -> None:
    detector = PauseDetector(16_000, vad=LevelVad())
    events = fed(detector, TURN, 320)
    assert summary(events) == [("speech_started", 27), ("pause_candidate", 56), ("pause", 66)]
    assert {event.speech_start_s for event in events} == {20 * 0.032}
    assert [event.speech_end_s for event in events] == [None, 50 * 0.032, 50 * 0.032]
    utterance = detector.take_utterance()
    assert utterance.dtype == np.int16
    assert np.array_equal(utterance, TURN[np.newaxis, 20 * WINDOW - 4_800 : 66 * WINDOW])
    assert detector.take_utterance().shape == (1, 0)


@pytest.mark.parametrize("cut", [1, 160, 511, 960, 7_000, 100_000])
def test_the_cutting_of_the_audio_changes_nothing(cut: int) -> None:
    cuts = [cut, 320]
    results = []
    for size in cuts:
        detector = PauseDetector(16_000, vad=LevelVad())
        results.append((fed(detector, TURN, size), detector.take_utterance().tolist()))
    assert results[0] == results[1]


def test_the_turn_so_far_and_its_state_can_be_read() -> None:
    detector = PauseDetector(16_000, vad=LevelVad())
    assert (detector.is_speaking, detector.probability) == (False, 0.0)
    fed(detector, TURN[: 40 * WINDOW], 320)
    assert (detector.is_speaking, detector.probability) == (True, 1.0)
    so_far = detector.utterance_so_far()
    assert np.array_equal(so_far, TURN[np.newaxis, 20 * WINDOW - 4_800 : 40 * WINDOW])
    fed(detector, TURN[40 * WINDOW :], 320)
    assert (detector.is_speaking, detector.utterance_so_far().shape) == (False, (1, 0))


def test_the_turn_can_be_read_while_it_may_be_over() -> None:
    detector = PauseDetector(16_000, vad=LevelVad())
    fed(detector, TURN[: 55 * WINDOW], 320)
    assert detector.candidate() is None
    fed(detector, TURN[55 * WINDOW : 56 * WINDOW], 320)
    candidate = detector.candidate()
    assert candidate is not None
    assert np.array_equal(candidate, TURN[np.newaxis, 20 * WINDOW - 4_800 : 56 * WINDOW])
    fed(detector, TURN[30 * WINDOW : 31 * WINDOW], 320)
    assert detector.candidate() is None
    fed(detector, TURN[50 * WINDOW : 56 * WINDOW], 320)
    assert detector.candidate() is not None
    fed(detector, TURN[56 * WINDOW :], 320)
    assert detector.candidate() is None


def test_the_pause_can_be_set_while_there_is_a_turn() -> None:
    detector = PauseDetector(16_000, vad=LevelVad())
    fed(detector, TURN[: 60 * WINDOW], 320)
    detector.set_pause(0.8)
    assert summary(fed(detector, TURN[60 * WINDOW :], 320)) == [("pause", 75)]
    fed(detector, TURN[: 45 * WINDOW], 320)
    detector.set_pause(0.064)
    assert summary(fed(detector, TURN[45 * WINDOW : 60 * WINDOW], 320)) == [("pause", 132)]
    fed(detector, TURN[: 55 * WINDOW], 320)
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(AudioError, match="pause_s"):
            detector.set_pause(wrong)


def test_a_pause_that_is_over_already_when_it_is_set_ends_the_turn_with_the_next_window() -> None:
    detector = PauseDetector(16_000, vad=LevelVad(), candidate_s=math.inf)
    fed(detector, TURN[: 60 * WINDOW], 320)
    detector.set_pause(0.1)
    assert detector.min_samples_until_event < WINDOW
    assert summary(fed(detector, TURN[60 * WINDOW :], 320)) == [("pause", 61)]


def test_each_setting_has_its_effect() -> None:
    def run(**settings: Any) -> list[tuple[str, int]]:
        audio = windows((SOFT, 5), (LOUD, 10), (SOFT, 10), (LOUD, 10), (SOFT, 20))
        return summary(fed(PauseDetector(16_000, vad=LevelVad(), **settings), audio, 320))

    assert run()[-1] == ("pause", 51)
    assert run(pause_s=0.3)[2:5] == [
        ("pause", 25),
        ("speech_started", 32),
        ("pause_candidate", 41),
    ]
    assert ("pause_candidate", 17) in run(candidate_s=0.064)
    assert "pause_candidate" not in dict(run(candidate_s=math.inf))
    assert run(started_talking_s=0.032)[0] == ("speech_started", 6)
    assert run(started_talking_s=0.5, forget_s=0.1) == []
    assert run(max_speech_s=0.32)[1] == ("pause", 15)
    assert run(threshold=1.0)[0] == ("speech_started", 12)


def test_the_pre_roll_has_the_length_of_its_setting() -> None:
    for pre_roll_s, samples in ((0.0, 0), (0.1, 1_600), (30.0, 20 * WINDOW)):
        detector = PauseDetector(16_000, vad=LevelVad(), pre_roll_s=pre_roll_s)
        fed(detector, TURN, 320)
        assert detector.take_utterance().shape == (1, 46 * WINDOW + samples)


def test_events_compare_and_have_a_readable_repr() -> None:
    first, second = (fed(PauseDetector(16_000, vad=LevelVad()), TURN, 320) for _ in range(2))
    assert first == second
    assert first[0] != first[1]
    expected = "PauseEvent(kind='pause', time_s=2.112, speech_start_s=0.640, speech_end_s=1.600)"
    assert repr(first[2]).replace('"', "'") == expected
    with pytest.raises(AttributeError):
        first[0].time_s = 1.0  # type: ignore[misc]


def test_a_custom_detector_is_fed_new_windows_at_its_rate() -> None:
    vad = LevelVad()
    detector = PauseDetector(48_000, vad=vad)
    fed(detector, TURN.repeat(3), 960)
    assert len(vad.windows) == 80
    assert {(window.dtype.str, window.shape) for window in vad.windows} == {("<f4", (WINDOW,))}
    assert len({id(window) for window in vad.windows}) == 80
    detector.reset()
    assert vad.resets == 1


def test_an_exception_of_a_detector_is_raised_unchanged() -> None:
    class Broken(Exception):
        pass

    vad = LevelVad()
    error = Broken("no more")
    detector = PauseDetector(16_000, vad=vad)
    fed(detector, TURN[: 26 * WINDOW], 320)

    def fail() -> None:
        raise error

    vad.before_answer = fail
    with pytest.raises(Broken) as raised:
        detector.process(TURN[26 * WINDOW : 27 * WINDOW])
    assert raised.value is error
    vad.before_answer = bool
    # The window that failed is neither speech nor silence: the turn begins one window later.
    events = fed(detector, TURN[27 * WINDOW :], 320)
    assert summary(events) == [("speech_started", 28), ("pause_candidate", 56), ("pause", 66)]
    expected = TURN[np.newaxis, 20 * WINDOW - 4_800 : 66 * WINDOW]
    assert np.array_equal(detector.take_utterance(), expected)


def test_events_before_an_exception_are_returned_by_the_next_call() -> None:
    vad = LevelVad()
    detector = PauseDetector(16_000, vad=vad)

    def fail_late() -> None:
        if len(vad.windows) == 60:
            raise ValueError

    vad.before_answer = fail_late
    with pytest.raises(ValueError, match=r"^$"):
        detector.process(TURN)
    vad.before_answer = bool
    assert summary(detector.process(TURN[:0])) == [
        ("speech_started", 27),
        ("pause_candidate", 56),
        ("pause", 67),
    ]


@pytest.mark.parametrize("result", [math.nan, -0.1, 1.1])
def test_a_result_that_is_no_probability_is_an_error(result: float) -> None:
    class OutOfRange(LevelVad):
        def probability(self, window: NDArray[np.float32]) -> float:
            return result * len(window) / WINDOW

    vad = OutOfRange()
    with pytest.raises(AudioError, match="expected a probability from 0 to 1"):
        PauseDetector(16_000, vad=vad).process(TURN[:WINDOW])


def test_a_detector_that_calls_its_own_pause_detector_is_an_error() -> None:
    vad = LevelVad()
    detector = PauseDetector(16_000, vad=vad)
    vad.before_answer = lambda: detector.process(TURN)
    with pytest.raises(RuntimeError, match="already in use on this thread"):
        detector.process(TURN[:WINDOW])
    vad.before_answer = bool
    assert summary(fed(detector, TURN, 320))[-1] == ("pause", 67)


def test_an_object_that_is_no_detector_is_refused() -> None:
    with pytest.raises(AttributeError, match="sample_rate"):
        PauseDetector(16_000, vad=object())  # type: ignore[arg-type]
    vad = LevelVad()
    vad.sample_rate = 1
    with pytest.raises(AudioError, match="got 1 Hz"):
        PauseDetector(16_000, vad=vad)
    vad = LevelVad()
    for window_samples in (0, 2**62):
        vad.window_samples = window_samples
        with pytest.raises(AudioError, match="window_samples of 1 to a minute's"):
            PauseDetector(16_000, vad=vad)


def test_a_detector_that_refers_to_its_pause_detector_is_collected() -> None:
    class Handler(LevelVad):
        def __init__(self) -> None:
            super().__init__()
            self.detector = PauseDetector(16_000, vad=self)

    handler = weakref.ref(Handler())
    gc.collect()
    assert handler() is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, "threshold from 0 to 1, got 1.5"),
        ({"release_threshold": -1}, "release_threshold from 0 to 1, got -1"),
        ({"pause_s": 0}, "pause_s above 0, got 0"),
        ({"max_speech_s": math.nan}, "max_speech_s above 0, got NaN"),
        ({"started_talking_s": -1}, "started_talking_s of at least 0, got -1"),
        ({"pre_roll_s": 31}, "pre_roll_s from 0 to 30, got 31"),
        ({"sample_rate_hz": 4_000}, "8000 to 192000 Hz, got 4000 Hz"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        PauseDetector(**{"sample_rate_hz": 16_000, "vad": LevelVad(), **settings})


@pytest.mark.parametrize("samples", [np.zeros(512), np.zeros((2, 512), np.int16), [1, 2]])
def test_other_arrays_than_mono_int16_are_refused(samples: Any) -> None:
    with pytest.raises(AudioError, match=r"an int16 array of shape|shape \(n,\) or \(1, n\)"):
        PauseDetector(16_000, vad=LevelVad()).process(samples)


def test_threads_that_share_a_detector_take_turns() -> None:
    detector = PauseDetector(16_000, vad=LevelVad())

    def use(_: int) -> list[PauseEvent]:
        assert detector.is_speaking in {True, False}
        return detector.process(TURN[-WINDOW:])

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(use, range(500)))
    events = fed(detector, TURN, 320)
    assert summary(events)[0] == ("speech_started", 500 + 27)
    assert np.array_equal(detector.take_utterance()[0], TURN[20 * WINDOW - 4_800 : 66 * WINDOW])


def test_long_audio_in_many_threads_gives_the_result_of_one_thread() -> None:
    audio = np.tile(TURN, 3)

    def use(_: int) -> list[PauseEvent]:
        return PauseDetector(16_000).process(audio)

    alone = use(0)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(4))) == [alone] * 4


# ------------------------------------------------------------------------------------ Silero


@pytest.mark.parametrize(("rate_hz", "window"), [(16_000, 512), (8_000, 256)])
def test_silero_returns_a_probability_for_each_window(rate_hz: int, window: int) -> None:
    vad = SileroVad(rate_hz)
    assert (vad.sample_rate, vad.window_samples) == (rate_hz, window)
    noise = (np.random.default_rng(1).standard_normal(window) * 0.01).astype(np.float32)
    first = vad.probability(noise)
    assert 0.0 <= first < 0.5
    vad.probability(noise)
    vad.reset()
    assert vad.probability(noise[np.newaxis]) == first


def test_silero_refuses_other_rates_lengths_and_dtypes() -> None:
    with pytest.raises(AudioError, match="got 24000"):
        SileroVad(24_000)
    vad = SileroVad()
    with pytest.raises(AudioError, match="a window of 512 samples, got 511"):
        vad.probability(np.zeros(511, np.float32))
    with pytest.raises(AudioError, match="divide int16 samples by 32768"):
        vad.probability(np.zeros(512, np.int16))

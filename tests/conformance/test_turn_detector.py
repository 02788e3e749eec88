"""The exam of the protocol `TurnDetector`. Another implementation is one line in `DETECTORS`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pytest
from support.blocks import Model
from support.conversing import RATE_HZ, ScriptedVad, audio_at
from support.signals import speech

from gradio_webrtc._audio import InboundTurns
from gradio_webrtc._handlers import AlgoOptions, AppState, ReplyOnPause, SileroVadOptions
from gradio_webrtc._legacy.blocks import BlockTurnDetector
from gradio_webrtc._turns.detector import InboundTurnDetector, PauseTurnDetector
from gradio_webrtc._turns.options import make_detector
from gradio_webrtc._turns.stop_words import StopWordDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._turns.detector import TurnDetector, TurnEvent

FRAME: Final = RATE_HZ // 50


def spoken() -> NDArray[np.int16]:
    """Real speech of one utterance."""
    return speech("goforward_16k")[1].reshape(1, -1)


def scripted() -> NDArray[np.int16]:
    """Speech for a detector that goes by the level."""
    return audio_at(0.9, 40)


def silero() -> PauseTurnDetector:
    return PauseTurnDetector(make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions()), RATE_HZ)


def inbound() -> InboundTurnDetector:
    turns = InboundTurns(make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions()), FRAME)
    return InboundTurnDetector(turns)


def custom() -> PauseTurnDetector:
    vad = ScriptedVad()
    detector = make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions(), vad)
    return PauseTurnDetector(detector, RATE_HZ)


def in_blocks() -> BlockTurnDetector:
    """A handler's own methods, as a session calls them."""
    handler: Any = SimpleNamespace(
        state=AppState(), algo_options=AlgoOptions(), keeps_turns=False, model_options=None
    )
    handler.model = Model()
    handler.process_audio = lambda *args: ReplyOnPause.process_audio(handler, *args)
    handler.determine_pause = lambda *args: ReplyOnPause.determine_pause(handler, *args)
    return BlockTurnDetector(handler, RATE_HZ)


def behind_a_word() -> StopWordDetector:
    waiting = make_detector(RATE_HZ, AlgoOptions(), SileroVadOptions(), ScriptedVad())
    return StopWordDetector(waiting, custom(), RATE_HZ, lambda: None)


def wake(detector: Any) -> None:
    """The stop word was said just now."""
    detector.process(np.zeros((1, FRAME), np.int16))
    detector.wake(detector._received)  # noqa: SLF001 - a spotter counts samples itself


class Case(NamedTuple):
    """An implementation, what it takes for speech, and what has it detect the next turn."""

    make: Callable[[], TurnDetector]
    speech: Callable[[], NDArray[np.int16]]
    arm: Callable[[Any], None] = lambda _detector: None


DETECTORS: Final = {
    "built-in Silero": Case(silero, spoken),
    "built-in Silero, in received audio": Case(inbound, spoken),
    "a detector of the user's": Case(custom, scripted),
    "blocks": Case(in_blocks, scripted),
    "stop word": Case(behind_a_word, scripted, wake),
}


@pytest.fixture(params=DETECTORS.values(), ids=[*DETECTORS])
def case(request: pytest.FixtureRequest) -> Any:
    return request.param


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros((1, round(seconds * RATE_HZ)), np.int16)


def feed(
    detector: TurnDetector, *parts: NDArray[np.int16], samples: int = FRAME
) -> list[TurnEvent]:
    """The events of this audio, in frames."""
    audio = np.concatenate(parts, axis=1)
    frames = (audio[:, start : start + samples] for start in range(0, audio.shape[1], samples))
    return [event for frame in frames for event in detector.process(frame)]


def size_of(detector: TurnDetector) -> int:
    utterance = detector.utterance_so_far()
    assert utterance.dtype == np.int16
    assert utterance.shape[:-1] == (1,)
    return utterance.size


def test_silence_is_no_turn(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    assert feed(detector, silence(3.0)) == []
    assert size_of(detector) == 0


def test_a_turn_begins_with_speech_and_ends_with_a_pause(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    events = feed(detector, silence(0.6), case.speech(), silence(2.0))
    assert events[0].name == "started_talking"
    assert events[-1].name == "pause_detected"
    assert [event.audio is not None for event in events] == [*[False] * (len(events) - 1), True]
    end = events[-1]
    assert end.audio is not None
    assert end.audio.dtype == np.int16
    assert end.audio.shape[:-1] == (1,)
    assert end.rate_hz in (None, RATE_HZ)
    assert end.speech_end_s is not None
    assert 0 <= end.speech_start_s < end.speech_end_s <= end.time_s
    assert [event.time_s for event in events] == sorted(event.time_s for event in events)
    assert size_of(detector) == 0


def test_all_of_the_speech_is_in_the_turn(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    audio = case.speech()
    (turn,) = [
        event.audio
        for event in feed(detector, silence(0.6), audio, silence(2.0))
        if event.audio is not None
    ]
    energy = np.square(turn, dtype=np.float64).sum()
    assert energy == pytest.approx(np.square(audio, dtype=np.float64).sum(), rel=0.02)


@pytest.mark.parametrize("samples", [160, 480, 1600])
def test_frames_may_have_any_length(case: Case, samples: int) -> None:
    def events(samples: int) -> list[str]:
        detector = case.make()
        case.arm(detector)
        parts = (silence(0.6), case.speech(), silence(2.0))
        return [event.name for event in feed(detector, *parts, samples=samples)]

    assert events(samples) == events(FRAME)


def test_no_event_can_follow_from_the_samples_that_may_wait(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    feed(detector, silence(0.6))
    allowance = detector.min_samples_until_event
    assert allowance >= 0
    worst = np.tile(case.speech(), 3)[:, :allowance]
    assert feed(detector, worst) == []


def test_no_end_of_a_turn_can_follow_from_the_samples_that_may_wait(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    audio = case.speech()
    feed(detector, silence(0.6), audio[:, : round(0.8 * audio.shape[1])])
    assert size_of(detector) > 0
    allowance = detector.min_samples_until_event
    assert feed(detector, np.zeros((1, allowance), np.int16)) == []
    assert size_of(detector) > 0


def test_less_than_a_window_may_wait_while_a_turn_may_be_over(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    audio = case.speech()
    feed(detector, silence(0.6), audio[:, : round(0.8 * audio.shape[1])], silence(0.4))
    assert size_of(detector) > 0
    assert detector.min_samples_until_event < 0.032 * RATE_HZ


def test_it_is_open_while_only_audio_can_decide_about_a_turn(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    feed(detector, silence(0.6))
    assert not detector.is_open
    audio = case.speech()
    feed(detector, audio[:, : round(0.8 * audio.shape[1])])
    assert detector.is_open
    feed(detector, silence(2.0))
    assert not detector.is_open


@pytest.mark.parametrize("act", ["reset", "skip"])
def test_a_turn_that_is_discarded_is_not_open(case: Case, act: str) -> None:
    detector = case.make()
    case.arm(detector)
    feed(detector, silence(0.6), case.speech())
    if act == "skip":
        detector.skip(FRAME)
    else:
        detector.reset()
    # Skipped audio does not end a turn in blocks.
    assert detector.is_open == (size_of(detector) > 0)


def test_what_may_become_a_turn_is_open(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    audio = case.speech()
    step, first = round(0.02 * RATE_HZ), len(feed(detector, silence(0.6)))
    assert first == 0
    open_before = 0
    for start in range(0, audio.shape[1], step):
        if feed(detector, audio[:, start : start + step]):
            break
        open_before += detector.is_open
    assert open_before > 0


def test_the_open_turn_grows_and_reset_discards_it(case: Case) -> None:
    detector = case.make()
    case.arm(detector)
    audio = case.speech()
    half = audio.shape[1] // 2
    feed(detector, silence(0.6), audio[:, : half + half // 2])
    before = size_of(detector)
    feed(detector, audio[:, half + half // 2 :])
    assert size_of(detector) >= before > 0
    detector.reset()
    assert size_of(detector) == 0
    case.arm(detector)
    assert [event for event in feed(detector, silence(2.0)) if event.audio is not None] == []


def test_one_turn_follows_another(case: Case) -> None:
    detector = case.make()
    ends: list[float] = []
    for _ in range(3):
        case.arm(detector)
        events = feed(detector, silence(0.6), case.speech(), silence(2.0))
        ends += [event.time_s for event in events if event.audio is not None]
    assert len(ends) == 3
    length_s = 2.6 + case.speech().shape[1] / RATE_HZ
    assert np.diff(ends) == pytest.approx([length_s, length_s], abs=0.7)


@pytest.mark.parametrize("act", ["reset", "skip"])
def test_the_clock_goes_on(case: Case, act: str) -> None:
    detector = case.make()
    if act == "skip":
        detector.skip(round(10.0 * RATE_HZ))
    else:
        feed(detector, silence(10.2))
        detector.reset()
    case.arm(detector)
    first = feed(detector, silence(0.6), case.speech())[0]
    assert first.speech_start_s >= 10.0
    assert first.time_s == pytest.approx(10.6, abs=1.5)


def test_the_same_audio_gives_the_same_events(case: Case) -> None:
    def run() -> list[tuple[Any, ...]]:
        detector = case.make()
        case.arm(detector)
        events = feed(detector, silence(0.6), case.speech(), silence(2.0))
        return [
            (*event[:4], None if event.audio is None else event.audio.tobytes()) for event in events
        ]

    assert run() == run()


def until_candidate(detector: TurnDetector, case: Case) -> float | None:
    """Feeds a turn up to its candidate, and returns the end of speech in that."""
    feed(detector, silence(0.6))
    audio = case.speech()
    for part in (audio, silence(1.0)):
        for start in range(0, part.shape[1], 160):
            for event in detector.process(part[:, start : start + 160]):
                if event.name == "pause_candidate" and part is not audio:
                    return event.speech_end_s
    return None


def test_a_turn_may_be_ended_at_its_candidate(case: Case) -> None:
    whole = case.make()
    case.arm(whole)
    usual = feed(whole, silence(0.6), case.speech(), silence(2.0))[-1]
    detector = case.make()
    case.arm(detector)
    end_s = until_candidate(detector, case)
    if end_s is None:
        # In blocks there is no candidate.
        assert detector.end_turn(1.0) is None
        return
    assert detector.end_turn(end_s - 0.1) is None
    ended = detector.end_turn(end_s)
    assert ended is not None
    assert ended.audio is not None
    assert usual.audio is not None
    assert (ended.name, ended.is_early, usual.is_early) == ("pause_detected", True, False)
    assert (ended.speech_start_s, ended.speech_end_s) == (usual.speech_start_s, usual.speech_end_s)
    assert ended.time_s == pytest.approx(end_s + 0.192, abs=0.05)
    assert np.array_equal(ended.audio, usual.audio[:, : ended.audio.size])
    assert not detector.is_open
    assert size_of(detector) == 0
    assert detector.end_turn(end_s) is None
    assert feed(detector, silence(2.0)) == []
    case.arm(detector)
    assert feed(detector, case.speech(), silence(2.0))[-1].audio is not None


@pytest.mark.parametrize("act", ["speech", "reset", "skip"])
def test_a_turn_that_is_not_at_that_candidate_any_more_is_not_ended(case: Case, act: str) -> None:
    detector = case.make()
    case.arm(detector)
    end_s = until_candidate(detector, case) or 1.0
    if act == "speech":
        audio = case.speech()
        feed(detector, np.tile(audio, 2)[:, audio.shape[1] // 2 :][:, : audio.shape[1] // 2])
    elif act == "reset":
        detector.reset()
    else:
        detector.skip(FRAME)
    assert detector.end_turn(end_s) is None


def test_the_word_alone_wakes_a_detector_behind_a_word() -> None:
    detector = behind_a_word()
    assert feed(detector, scripted(), silence(2.0)) == []
    assert size_of(detector) == 0
    assert feed(detector, scripted(), silence(2.0)) == []
    wake(detector)
    assert feed(detector, scripted(), silence(2.0))[-1].name == "pause_detected"
    assert feed(detector, scripted(), silence(2.0)) == [], "it waits for the word again"

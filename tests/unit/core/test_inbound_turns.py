"""The Python interface of `InboundTurns`, and that its turns are those of the parts."""

from __future__ import annotations

import queue
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import speech_at_48k

from gradio_webrtc._audio import InboundAudio, InboundTurns, PauseDetector
from gradio_webrtc._turns.detector import InboundTurnDetector, PauseTurnDetector, claimed
from gradio_webrtc.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc._audio import PauseEvent
    from gradio_webrtc._turns.detector import TurnEvent

CALL_HZ = 48_000
SILENCE = np.zeros(40_000, np.int16)
SAID = np.concatenate(
    [
        *(speech_at_48k("austen_0880_16k"), SILENCE),
        *(speech_at_48k("asterisk_hello_world_16k"), SILENCE),
        *(speech_at_48k("goforward_16k"), SILENCE),
    ]
)


def made(rate_hz: int = 16_000) -> InboundTurns:
    return InboundTurns(PauseDetector(rate_hz), rate_hz // 50)


def received(turns: InboundTurns, channels: int, block: NDArray[np.int16]) -> list[TurnEvent]:
    """All events of a block."""
    found, _ = turns.process(CALL_HZ, channels, block)
    events = list(claimed(turns, found))
    while found:
        found, _ = turns.proceed()
        events += claimed(turns, found)
    return events


class Parts:
    """Frames of received audio to a detector, one by one."""

    def __init__(self, rate_hz: int) -> None:
        self.detector = PauseTurnDetector(PauseDetector(rate_hz), rate_hz)
        self.is_skipping = False
        self._rate_hz = rate_hz
        self._audio = InboundAudio(CALL_HZ, 1, rate_hz, frame_samples=rate_hz // 50)

    def receive(self, channels: int, block: NDArray[np.int16]) -> list[TurnEvent]:
        rate_hz = self._rate_hz
        self._audio.change_to(CALL_HZ, channels, rate_hz, frame_samples=rate_hz // 50)
        events: list[TurnEvent] = []
        for frame in self._audio.process(block):
            if self.is_skipping:
                self.detector.skip(frame.size)
            else:
                events += self.detector.process(frame)
        return events


def comparable(events: list[TurnEvent]) -> list[Any]:
    return [
        (*event[:4], None if event.audio is None else event.audio.tobytes()) for event in events
    ]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_any_session_has_the_turns_of_the_parts(rate_hz: int) -> None:
    chance = random.Random(rate_hz)  # noqa: S311 - the same steps in each run
    parts, turns = Parts(rate_hz), made(rate_hz)
    reading = InboundTurnDetector(turns)
    at, channels, ended = 0, 1, 0
    for _ in range(1500):
        match chance.choices("rstac", [300, 3, 1, 1, 1])[0]:
            case "r":
                count = chance.choice([120, 960, 960, 960, 2_880, 4_801])
                block = np.repeat(SAID.take(range(at, at + count), mode="wrap"), channels)
                at = (at + count) % SAID.size
                events = received(turns, channels, block)
                assert comparable(events) == comparable(parts.receive(channels, block))
                ended += sum(event.audio is not None for event in events)
            case "s":
                parts.is_skipping = chance.random() < 0.4
                turns.set_skipping(parts.is_skipping)
            case "t":
                parts.detector.reset()
                turns.reset()
            case "a":
                expected = parts.detector.utterance_so_far()
                parts.detector.reset()
                assert np.array_equal(reading.utterance_so_far(), expected)
                assert np.array_equal(reading.take_open_turn(), expected)
            case "c":
                channels = chance.choice([1, 2])
        allowed = 0 if parts.is_skipping else parts.detector.min_samples_until_event
        assert reading.min_samples_until_event == allowed
        assert turns.batch_allowance_s == allowed / rate_hz - (rate_hz // 50) / rate_hz
    assert ended >= 3


def test_the_allowance_comes_with_the_events() -> None:
    turns = made()
    for start in range(0, 96_000, 960):
        events, allowance_s = turns.process(CALL_HZ, 1, SAID[start : start + 960])
        assert allowance_s == turns.batch_allowance_s
        if events:
            assert turns.proceed() == ([], allowance_s)


def test_a_detector_is_taken_over() -> None:
    detector = PauseDetector(16_000)
    turns = InboundTurns(detector, 320)
    assert (turns.sample_rate_hz, turns.frame_samples) == (16_000, 320)
    for use in (detector.reset, detector.take_utterance, lambda: InboundTurns(detector, 320)):
        with pytest.raises(AudioError, match="taken this detector over"):
            use()


def test_a_detector_in_python_stays_there() -> None:
    class Vad:
        sample_rate = 16_000
        window_samples = 512

        def probability(self, _window: NDArray[np.float32]) -> float:
            return 0.0

        def reset(self) -> None: ...

    detector = PauseDetector(16_000, vad=Vad())
    with pytest.raises(AudioError, match="with vad"):
        InboundTurns(detector, 320)
    assert detector.process(np.zeros(512, np.int16)) == []


@pytest.mark.parametrize(
    ("rate_hz", "channels", "samples"),
    [
        (CALL_HZ, 1, np.zeros(960, np.float32)),
        (CALL_HZ, 2, np.zeros(961, np.int16)),
        (CALL_HZ, 3, np.zeros(960, np.int16)),
        (4_000, 1, np.zeros(80, np.int16)),
        (-1, 1, np.zeros(80, np.int16)),
    ],
)
def test_what_is_no_audio_of_a_session_is_refused(
    rate_hz: int, channels: int, samples: Any
) -> None:
    turns = made()
    with pytest.raises(AudioError):
        turns.process(rate_hz, channels, samples)
    assert turns.process(CALL_HZ, 1, np.zeros(960, np.int16)) == ([], turns.batch_allowance_s)


def test_threads_wait_for_each_other() -> None:
    turns = made()

    def use(_number: int) -> None:
        for start in range(0, 48_000, 960):
            turns.process(CALL_HZ, 1, SAID[start : start + 960])
            turns.take_open_turn()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(8)))


def test_an_event_is_claimed_in_its_epoch_and_the_end_of_a_turn_once() -> None:
    turns = made()
    found = [
        event for start in range(0, SAID.size, 960) for event in ahead(turns, SAID[start:][:960])
    ]
    started, *_, ended = [each for each in found if each[0].kind != "pause_candidate"]
    assert turns.claim(*started) == turns.claim(*started) == (started[0], None)
    claim = turns.claim(*ended)
    assert claim is not None
    assert claim[0] == ended[0]
    assert claim[1] is not None
    assert claim[1].size > 16_000
    assert turns.claim(*ended) is None
    assert turns.take_open_turn().size > claim[1].size, "the two other turns"
    assert turns.claim(*started) is None


def ahead(turns: InboundTurns, block: NDArray[np.int16]) -> list[tuple[PauseEvent, int]]:
    """All events of a block, none of which is claimed."""
    events, _ = turns.process(CALL_HZ, 1, block)
    found = list(events)
    while events:
        events, _ = turns.proceed()
        found += events
    return found


def test_the_turn_can_be_read_while_it_may_be_over() -> None:
    turns = made()
    seen: list[str] = []
    for block in np.split(SAID[: SAID.size // 960 * 960], SAID.size // 960):
        names = [event.name for event in received(turns, 1, block)]
        seen += names
        is_candidate = bool(seen) and seen[-1] == "pause_candidate"
        candidate = turns.candidate()
        assert (candidate is not None) is is_candidate
        if candidate is not None:
            assert np.array_equal(candidate, turns.utterance_so_far())
    assert {"pause_candidate", "pause_detected"} <= set(seen)
    turns.skip(960)
    assert turns.candidate() is None


def test_the_pause_can_be_set() -> None:
    turns = made()
    turns.set_pause(5.0)
    names = [event.name for event in received(turns, 1, SAID)]
    assert "pause_candidate" in names
    assert "pause_detected" not in names
    with pytest.raises(AudioError, match="pause_s"):
        turns.set_pause(0.0)


def test_a_turn_is_ended_by_its_pause_or_before_it_and_never_twice() -> None:
    turns = made()
    expected = len([event for event in received(made(), 1, SAID) if event.audio is not None])
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def feed() -> None:
        for start in range(0, SAID.size, 960):
            events, _ = turns.process(CALL_HZ, 1, SAID[start : start + 960])
            while events:
                found.put(events)
                events, _ = turns.proceed()
        found.put(None)

    detector = InboundTurnDetector(turns)
    ends: list[TurnEvent] = []
    with ThreadPoolExecutor(1) as pool:
        feeding = pool.submit(feed)
        while (events := found.get()) is not None:
            for event in claimed(turns, events):
                if event.name == "pause_candidate":
                    assert event.speech_end_s is not None
                    early = detector.end_turn(event.speech_end_s)
                    ends += [] if early is None else [early]
                elif event.audio is not None:
                    ends.append(event)
        feeding.result()
    assert len(ends) >= expected
    assert all(event.audio is not None and event.audio.size for event in ends)
    starts = [event.speech_start_s for event in ends]
    assert starts == sorted(set(starts))
    for one, following in pairwise(ends):
        assert one.speech_end_s is not None
        assert one.speech_end_s <= following.speech_start_s

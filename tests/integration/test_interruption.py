"""Speech over a reply that may be no interruption: real voices, and schedules of any kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from support.conversing import LOUDNESS, ScriptedVad
from support.signals import labels, speech_at_48k

from gradio_webrtc import AdditionalOutputs, ReplyOnPause
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from numpy.typing import NDArray

RATE_HZ: Final = 48_000
FRAME: Final = RATE_HZ // 50
CHUNKS: Final = 400
"""Of a reply, 20 ms each, of which every one has a level of its own: 8 s."""

REPEATED: Final = 10
"""Chunks that come once more behind a hold: 0.2 s."""

BACKCHANNELS: Final = 10


class Question:
    """An `is_interruption` with one answer, which keeps what it was given."""

    def __init__(self, answer: bool) -> None:  # noqa: FBT001 - one
        self.received: list[tuple[int, NDArray[np.int16]]] = []
        self._answer = answer

    def __call__(self, audio: tuple[int, NDArray[np.int16]]) -> bool:
        self.received.append(audio)
        return self._answer


NO: Final = Question(False)  # noqa: FBT003 - as above
YES: Final = Question(True)  # noqa: FBT003 - as above


def levels(turn: int) -> NDArray[np.int16]:
    return (np.arange(CHUNKS) + 1_000 * (turn + 1)).astype(np.int16)


def chunked(turn: int, chunks: int = CHUNKS) -> Iterator[tuple[int, NDArray[np.int16]]]:
    for begin in range(0, chunks, REPEATED):
        yield RATE_HZ, np.repeat(levels(turn)[begin : begin + REPEATED], FRAME)


def played(result: Simulation) -> list[int]:
    """The levels that were sent, in their order, without the 5 ms in which one was faded in."""
    samples = result.audio[1][0]
    changes = np.flatnonzero(np.diff(samples)) + 1
    begins, ends = np.append(0, changes), np.append(changes, samples.size)
    is_chunk = (ends - begins >= FRAME // 2) & (samples[begins] != 0)
    return [int(each) for each in samples[begins[is_chunk]]]


def converse(
    at_s: float,
    voice: NDArray[np.int16],
    is_interruption: Callable[[Any], Any] | None,
    **options: Any,
) -> Simulation:
    """A question, 8 s of reply to each turn, and somebody who speaks over it at a time."""
    question = speech_at_48k("cards_003_16k")
    user = np.zeros(round(at_s * RATE_HZ) + voice.size, np.int16)
    user[: question.size] = question
    user[round(at_s * RATE_HZ) :] += voice
    turns = iter(range(30))
    handler = ReplyOnPause(
        lambda _audio: chunked(next(turns)),
        output_sample_rate=RATE_HZ,
        is_interruption=is_interruption,
        **{"resume": True, **options},
    )
    return simulate(handler, (RATE_HZ, user))


def times_s(result: Simulation, name: str) -> list[float]:
    return [each.time_s for each in result.events if each.name == name]


def last_audio_before_s(result: Simulation, end_s: float) -> float:
    _, audio = result.audio
    return float(np.flatnonzero(audio[0][: round(end_s * RATE_HZ)])[-1] / RATE_HZ)


def utterances() -> list[NDArray[np.int16]]:
    return [
        speech_at_48k(name)[each["start_ms"] * 48 : each["end_ms"] * 48]
        for name, label in labels().items()
        for each in label["utterances"]
    ]


def backchannels() -> list[tuple[float, NDArray[np.int16]]]:
    """First syllables of ten recordings, as long as "mhm", "yeah" and "right"; and when."""
    rng = np.random.default_rng(3)
    voices = utterances()
    cut = [voices[n % len(voices)] for n in range(BACKCHANNELS)]
    lengths = np.linspace(0.3, 0.5, BACKCHANNELS)
    return [
        (float(rng.uniform(4, 8)), voice[: round(length_s * RATE_HZ)])
        for voice, length_s in zip(cut, lengths, strict=True)
    ]


@pytest.mark.parametrize("at_s_and_voice", backchannels(), ids=lambda it: f"{it[1].size // 48} ms")
def test_a_reply_goes_on_after_a_backchannel_and_no_word_of_it_is_lost(
    at_s_and_voice: tuple[float, NDArray[np.int16]],
) -> None:
    at_s, voice = at_s_and_voice
    question = Question(False)  # noqa: FBT003 - its answer
    result = converse(at_s, voice, question)
    names = [each.name for each in result.events]
    assert names.count("started_talking") == 2
    assert names.count("reply_resumed") == len(question.received) == 1
    assert "interrupted" not in names
    assert len(result.turns) == 1
    assert names[-1] == "response_finished"
    assert result.stats.interruptions == 0
    (resumed_s,) = times_s(result, "reply_resumed")
    assert resumed_s - (at_s + voice.size / RATE_HZ) <= 0.7
    assert times_s(result, "response_finished")[0] > resumed_s
    _check_contiguous(played(result), levels(0).tolist(), holds=1)
    ((rate_hz, audio),) = question.received
    assert (rate_hz, str(audio.dtype), audio.shape[0]) == (RATE_HZ, "int16", 1)
    assert audio.size / RATE_HZ == pytest.approx(voice.size / RATE_HZ + 0.7, abs=0.15)


def _check_contiguous(frames: list[int], expected: list[int], holds: int) -> None:
    """Everything is there in its order, but for what comes once more behind each hold."""
    steps = np.diff(frames)
    back = steps[steps != 1]
    assert back.tolist() == [1 - REPEATED] * holds
    assert sorted(set(frames)) == expected
    assert frames[0] == expected[0]
    assert frames[-1] == expected[-1]


@pytest.mark.parametrize("at_s_and_voice", backchannels()[3:5], ids=["short", "shorter"])
def test_a_word_that_is_an_interruption_ends_the_reply_and_is_the_next_turn(
    at_s_and_voice: tuple[float, NDArray[np.int16]],
) -> None:
    at_s, voice = at_s_and_voice
    result = converse(at_s, voice, YES)
    usual = converse(at_s, voice, None, resume=False)
    names = [each.name for each in result.events]
    assert names.count("interrupted") == 1
    assert "reply_resumed" not in names
    assert len(result.turns) == len(usual.turns) == 2
    # Its decision is as soon as ever, and the turn is the same.
    assert result.turns[1].pause_s == usual.turns[1].pause_s
    np.testing.assert_array_equal(result.turns[1].audio[1], usual.turns[1].audio[1])
    assert result.turns[1].reply_start_s == usual.turns[1].reply_start_s
    _check_contiguous([each for each in played(result) if each >= 2_000], levels(1).tolist(), 0)


def test_longer_speech_interrupts_without_a_question() -> None:
    question = Question(False)  # noqa: FBT003 - its answer
    for voice in utterances():
        if voice.size > 0.9 * RATE_HZ:
            result = converse(5.0, voice, question)
            (interrupted_s,) = times_s(result, "interrupted")
            assert interrupted_s - times_s(result, "started_talking")[1] < 0.65
    assert question.received == []


def test_the_reply_falls_silent_as_soon_as_ever() -> None:
    delays = []
    for n, voice in enumerate(utterances()):
        at_s = 4.0 + 0.137 * n
        result = converse(at_s, voice, NO)
        usual = converse(at_s, voice, None, resume=False)
        began_s = times_s(result, "started_talking")[1]
        assert began_s == times_s(usual, "started_talking")[1]
        silent_s = last_audio_before_s(result, began_s + 0.3)
        assert silent_s == last_audio_before_s(usual, began_s + 0.3)
        delays.append(silent_s - at_s)
    assert np.percentile(delays, 50) <= 0.30
    assert np.percentile(delays, 90) <= 0.36


@pytest.mark.parametrize("seconds", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("answer", [False, True])
def test_a_question_may_take_its_time(seconds: float, *, answer: bool) -> None:
    async def is_interruption(_audio: Any) -> bool:
        await asyncio.sleep(seconds)
        return answer

    at_s, voice = backchannels()[4]
    result = converse(at_s, voice, is_interruption)
    end_s = at_s + voice.size / RATE_HZ
    (decided_s,) = times_s(result, "interrupted" if answer else "reply_resumed")
    assert decided_s == pytest.approx(end_s + 0.42 + seconds, abs=0.06)
    assert len(result.turns) == (2 if answer else 1)
    if answer:
        assert result.turns[1].pause_s == pytest.approx(end_s + max(0.53, 0.42 + seconds), abs=0.06)
    else:
        _check_contiguous(played(result), levels(0).tolist(), holds=1)


def held_s(result: Simulation) -> float:
    """The time of the first hold."""
    return next(time_s for time_s, each in result.messages if each["type"] == "hold")


def test_the_last_second_of_a_reply_goes_on_as_well() -> None:
    at_s, voice = backchannels()[4]
    # The function is done a second before its last audio is played.
    end_s = converse(at_s, voice, None, resume=False).turns[0].reply_start_s
    assert end_s is not None
    end_s += CHUNKS * 0.02
    result = converse(end_s - 0.6, voice, NO)
    ((finished_s,), (resumed_s,)) = (
        times_s(result, name) for name in ("response_finished", "reply_resumed")
    )
    # The user has its end when the rest of it was played, 0.2 s of it once more.
    assert finished_s == pytest.approx(resumed_s + 0.2 + end_s - held_s(result), abs=0.05)
    _check_contiguous(played(result), levels(0).tolist(), holds=1)
    logged = [each["data"] for _, each in result.messages if each["type"] == "log"]
    assert logged[-2:] == ["reply_resumed", "response_finished"]


def test_the_page_is_to_play_nothing_during_a_hold() -> None:
    at_s, voice = backchannels()[4]
    for answer in (False, True):
        result = converse(at_s, voice, YES if answer else NO)
        kinds = [(each["type"], round(time_s, 2)) for time_s, each in result.messages]
        kinds = [each for each in kinds if each[0] in ("hold", "resume")]
        (held_s,) = [round(each, 2) for each in times_s(result, "started_talking")[1:]]
        decided = "interrupted" if answer else "reply_resumed"
        assert kinds == [("hold", held_s), ("resume", round(times_s(result, decided)[0], 2))]


# Schedules of any kind, on a detector whose windows are written down beforehand

SCHEDULES: Final = 520
SPOKEN: Final = 150
"""Chunks of each reply: 3 s."""

VAD_HZ: Final = 16_000


class Schedule:
    """A user who speaks at random over replies, and a program with random answers.

    Attributes:
        begun: The replies that were begun.
        closed: Those whose ``finally`` ran.
        asked: The questions.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.begun = self.closed = 0
        self.asked: list[int] = []

    def run(self) -> Simulation:
        is_speculative = bool(self.rng.random() < 0.3)
        handler = ReplyOnPause(
            self.fn,
            vad=ScriptedVad,
            input_sample_rate=VAD_HZ,
            output_sample_rate=RATE_HZ,
            echo_guard=False,
            speculative=is_speculative,
            resume=True,
            is_interruption=self.is_interruption if self.rng.random() < 0.5 else self.answer,
            interrupt_after_s=float(self.rng.uniform(0.3, 0.8)),
        )
        return simulate(handler, (VAD_HZ, self.user()))

    def user(self) -> NDArray[np.int16]:
        level = np.full(VAD_HZ, round(0.9 * LOUDNESS), np.int16)
        parts = [np.zeros(VAD_HZ // 5, np.int16), level[: VAD_HZ // 2]]
        for _ in range(self.rng.integers(2, 5)):
            parts.append(
                np.zeros(round(self.rng.choice([0.15, 0.3, 0.5, 0.7, 1.5, 3.0]) * VAD_HZ), np.int16)
            )
            parts.append(level[: round(self.rng.uniform(0.1, 0.9) * VAD_HZ)])
        return np.concatenate(parts)

    async def fn(self, _audio: Any) -> AsyncIterator[Any]:
        number = self.begun
        self.begun += 1
        try:
            await asyncio.sleep(float(self.rng.choice([0.0, 0.2])))
            for chunk in chunked(number % 25, SPOKEN):
                yield chunk
                if self.rng.random() < 0.1:
                    await asyncio.sleep(0.1)
            yield AdditionalOutputs(number)
        finally:
            self.closed += 1

    async def is_interruption(self, audio: tuple[int, NDArray[np.int16]]) -> bool:
        await asyncio.sleep(float(self.rng.choice([0.0, 0.05, 0.3, 1.5])))
        return self.answer(audio)

    def answer(self, audio: tuple[int, NDArray[np.int16]]) -> bool:
        self.asked.append(audio[1].size)
        if self.rng.random() < 0.1:
            raise ValueError("no idea")
        return bool(self.rng.random() < 0.4)


@pytest.mark.parametrize("batch", range(13))
def test_whatever_is_said_when_and_answered_how_nothing_is_lost_or_stuck(batch: int) -> None:
    for seed in range(batch * SCHEDULES // 13, (batch + 1) * SCHEDULES // 13):
        schedule = Schedule(seed)
        result = schedule.run()
        assert schedule.closed == schedule.begun, seed
        assert result.end_reason == "the recording is over", seed
        kinds = [each["type"] for _, each in result.messages if each["type"] in ("hold", "resume")]
        assert kinds == ["hold", "resume"] * (len(kinds) // 2), seed
        _check_replies(result, seed)


def _check_replies(result: Simulation, seed: int) -> None:
    names = [each.name for each in result.events]
    ends = names.count("interrupted") + names.count("response_finished")
    # One that was interrupted before its function was called began for nobody.
    assert ends >= names.count("response_starting"), seed
    frames = played(result)
    for number in {each // 1_000 for each in frames}:
        own = [each for each in frames if each // 1_000 == number]
        steps = np.diff(own)
        assert all(1 - REPEATED <= each <= 1 for each in steps), (seed, number)
        assert own[0] == 1_000 * number, (seed, number)
    order = [each // 1_000 for each in frames]
    assert order == sorted(order), seed
    if names and names[-1] == "response_finished":
        assert frames[-1] % 1_000 == SPOKEN - 1, seed

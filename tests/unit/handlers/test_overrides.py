"""Every set of methods that a subclass of ReplyOnPause may override, in a whole session."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import LOUDNESS, RATE_HZ
from support.overrides import ADDED, NAMES, REWRITTEN, Noted, overriding

from gradio_webrtc import AdditionalOutputs
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

SETS = [names for count in range(1, 7) for names in combinations(NAMES, count)]
REWRITABLE = [names for names in SETS if not {"emit", "receive"} <= set(names)]
"""A program that rewrites both has nothing of ours in it: it steps its generator in one thread and
drops it in another, without a lock, as that of fastrtc does: the machine decides who is first."""

FN_KINDS = ("sync", "asynchronous")
SPEECH_S, SILENCE_S = 1.2, 1.8


class Model:
    """A PauseDetectionModel: the level of the audio is the share of speech in it."""

    def vad(self, audio: tuple[int, Any], _options: Any) -> tuple[float, list[Any]]:
        rate_hz, samples = audio
        return float(samples.mean() / LOUDNESS * samples.size / rate_hz), []

    def warmup(self) -> None: ...


def script() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Four turns; the third begins while the answer to the second goes on for ever."""
    turn = [
        np.full(round(SPEECH_S * RATE_HZ), round(0.9 * LOUDNESS), np.int16),
        np.zeros(round(SILENCE_S * RATE_HZ), np.int16),
    ]
    return np.concatenate([np.zeros(9600, np.int16), *turn * 4])


class Answers:
    """Two things said to each turn, but to the second no end of them, and the fourth fails."""

    def __init__(self) -> None:
        self.spoken_s: list[float] = []
        self.texts: list[str] = []
        self.closed: list[int] = []

    def sync(self, audio: tuple[int, Any], text: str) -> Generator[Any]:
        assert audio[1].shape[0] == 1
        self.spoken_s.append(np.count_nonzero(audio[1]) / audio[0])
        self.texts.append(text)
        turn = len(self.spoken_s)
        try:
            for step in range(2 if turn != 2 else 10_000):
                yield (24000, np.full((1, 2400), 8000, np.int16))
                if step < 2:
                    yield AdditionalOutputs(turn, step)
            if turn == 4:
                raise ValueError("of the fourth turn")
        finally:
            self.closed.append(turn)

    async def asynchronous(self, audio: tuple[int, Any], text: str) -> AsyncIterator[Any]:
        answer = self.sync(audio, text)
        try:
            for item in answer:
                yield item
        finally:
            answer.close()


def program(kind: type[Noted], fn: Any, **options: Any) -> Any:
    return kind(fn, model=Model(), input_sample_rate=RATE_HZ, **options)


def hold_a_session(kind: type[Noted], names: tuple[str, ...], fn_kind: str) -> None:
    answers = Answers()
    handler = program(kind, getattr(answers, fn_kind))
    result = simulate(handler, (RATE_HZ, script()), ("text",), tail_s=0.5, max_duration_s=60)
    assert len(answers.spoken_s) == 4
    assert answers.spoken_s == pytest.approx([SPEECH_S] * 4, abs=0.1)
    assert answers.texts == ["text"] * 4
    assert answers.closed == [1, 2, 3, 4]
    outputs = [each.args for each in result.outputs]
    assert outputs == [(turn, step) for turn in (1, 2, 3, 4) for step in (0, 1)]
    errors = [event.data["error"] for event in result.events if event.name == "error"]
    assert [str(error) for error in errors] == ["of the fourth turn"]
    requests = [message for _, message in result.messages if message["type"] == "send_input"]
    assert len(requests) == 4
    assert result.end_reason == "the recording is over"
    assert set(names) - {"copy"} <= set(result.handler.diary)  # type: ignore[union-attr]


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_what_calls_ours_and_adds_to_it(names: tuple[str, ...]) -> None:
    kind = overriding(*(ADDED[name] for name in names))
    hold_a_session(kind, names, FN_KINDS[SETS.index(names) % 2])


@pytest.mark.parametrize("names", REWRITABLE, ids="+".join)
def test_what_does_it_all_again(names: tuple[str, ...]) -> None:
    kind = overriding(*(REWRITTEN[name] for name in names))
    hold_a_session(kind, names, FN_KINDS[SETS.index(names) % 2 - 1])

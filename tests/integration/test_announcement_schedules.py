"""Announcements, interruptions and speech at any time: nothing is lost, doubled or left open."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from support.signals import speech_at_48k

from gradio_webrtc import AdditionalOutputs, ReplyOnPause, get_current_context
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

RATE_HZ: Final = 48_000
FRAME: Final = RATE_HZ // 50

FIRST_REPLY, FIRST_ANNOUNCED = 1_000, 20_000
"""Levels of the first chunk of either kind: each chunk of 20 ms has one of its own."""

REPLY_LEVELS, ANNOUNCED_LEVELS = 400, 100
"""The distance between the first chunks of two of a kind."""

REPEATED: Final = 12
"""Chunks that come once more behind a hold, at most."""

SCHEDULES: Final = 60


def chunks(first: int, number: int, together: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
    levels = np.arange(first, first + number).astype(np.int16)
    for begin in range(0, number, together):
        yield RATE_HZ, np.repeat(levels[begin : begin + together], FRAME)[np.newaxis]


class Schedule:
    """A program that announces and interrupts at random times, among turns of any kind."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.replies: dict[int, int] = {}
        self.announced: list[tuple[int, int, Future[float]]] = []
        self.options = self.choose_options()

    def choose_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"can_interrupt": self.random.random() > 0.2}
        if self.random.random() < 0.4:
            options["speculative"] = True
        if self.random.random() < 0.4:
            answer = self.random.random() < 0.5
            options |= {"resume": True, "is_interruption": lambda _audio: answer}
        return options

    def user(self) -> NDArray[np.int16]:
        speech = speech_at_48k("cards_003_16k")
        parts = []
        for _ in range(self.random.randint(1, 4)):
            parts.append(np.zeros(round(self.random.uniform(0.3, 4) * RATE_HZ), np.int16))
            is_short = self.random.random() < 0.4
            length_s = self.random.uniform(0.3, 1.0) if is_short else 60.0
            parts.append(speech[: round(length_s * RATE_HZ)])
        return np.concatenate(parts)

    def reply_chunks(self) -> Iterator[Any]:
        first = FIRST_REPLY + REPLY_LEVELS * len(self.replies)
        self.replies[first] = self.random.randint(0, 300)
        return chunks(first, self.replies[first], self.random.randint(1, 20))

    def answer_sync(self, _audio: object) -> Iterator[Any]:
        if self.random.random() < 0.3:
            self.announce(get_current_context().session)
        for chunk in self.reply_chunks():
            yield chunk
            if self.random.random() < 0.01:
                self.announce(get_current_context().session)

    async def answer_async(self, _audio: object) -> AsyncIterator[Any]:
        await asyncio.sleep(self.random.choice([0, 0.1, 0.65]))
        for chunk in self.reply_chunks():
            yield chunk
            if self.random.random() < 0.05:
                await asyncio.sleep(self.random.choice([0, 0.05, 0.3]))

    async def greet(self) -> AsyncIterator[Any]:
        session, loop = get_current_context().session, asyncio.get_running_loop()
        assert session is not None
        for _ in range(self.random.randint(0, 6)):
            loop.call_later(self.random.uniform(0, 12), self.announce, session)
        for _ in range(self.random.choice([0, 0, 1, 2])):
            loop.call_later(self.random.uniform(0, 12), session.interrupt)
        yield AdditionalOutputs(1)

    def announce(self, session: Any) -> None:
        first = FIRST_ANNOUNCED + ANNOUNCED_LEVELS * len(self.announced)
        number = self.random.randint(1, 60)
        make: Callable[[int, int], Any] = self.random.choice(
            [lambda first, number: next(chunks(first, number, number)), self.sync, self.slow]
        )
        when = self.random.choice(["now", "silence"])
        outcome = session.say(make(first, number), when=when)
        self.announced.append((first, number, outcome))

    def sync(self, first: int, number: int) -> Iterator[Any]:
        return chunks(first, number, self.random.randint(1, 9))

    async def slow(self, first: int, number: int) -> AsyncIterator[Any]:
        await asyncio.sleep(self.random.choice([0, 0.2, 1.0]))
        for chunk in self.sync(first, number):
            yield chunk
            if self.random.random() < 0.1:
                await asyncio.sleep(0.05)

    def run(self) -> Simulation:
        answer = self.random.choice([self.answer_sync, self.answer_async])
        handler = ReplyOnPause(
            answer,
            startup_fn=self.greet,
            input_sample_rate=16_000,
            output_sample_rate=RATE_HZ,
            **self.options,
        )
        return simulate(handler, (RATE_HZ, self.user()), max_duration_s=120.0)


def played(result: Simulation) -> list[int]:
    """The level of each frame that was sent, in their order."""
    samples = result.audio[1][0]
    frames = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
    loud = (frame[frame > 0] for frame in frames)
    return [int(np.bincount(frame).argmax()) for frame in loud if frame.size > FRAME // 3]


def check_contiguous(levels: list[int], repeats: int) -> None:
    """Raises if a level is left out, or comes once more than a hold explains."""
    last = -1
    for level in levels:
        assert last - repeats <= level <= last + 1, levels
        last = level


def ends_and_starts(result: Simulation) -> tuple[Counter[Any], Counter[Any]]:
    keys = [
        (event.name, (event.data.get("turn"), event.data.get("announcement", False)))
        for event in result.events
    ]
    ends = Counter(key for name, key in keys if name in {"response_finished", "interrupted"})
    return ends, Counter(key for name, key in keys if name == "response_starting")


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_whatever_comes_when_nothing_is_lost_or_left_open(seed: int) -> None:
    schedule = Schedule(seed)
    result = schedule.run()
    assert result.end_reason == "the recording is over"
    assert result.duration_s < 100
    assert "error" not in [event.name for event in result.events]
    levels, repeats = played(result), REPEATED if "resume" in schedule.options else 0
    numbers = schedule.replies | {first: number for first, number, _ in schedule.announced}
    for first, number in numbers.items():
        mine = [level - first for level in levels if first <= level < first + number]
        check_contiguous(mine, repeats)
    ends, starts = ends_and_starts(result)
    assert ends[0, True] == starts[0, True]
    assert all(ends[key] >= number for key, number in starts.items())
    for first, number, outcome in schedule.announced:
        frames = {level for level in levels if first <= level < first + number}
        tolerance_s = 0.021 + 0.02 * repeats
        assert outcome.result(0) == pytest.approx(0.02 * len(frames), abs=tolerance_s)

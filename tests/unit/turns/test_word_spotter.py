"""The search for a word: one segment after the other, and the place at which the word ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.fake_session import FakeSession

from gradio_webrtc._turns.stop_words import SpeechSegment
from gradio_webrtc._turns.word_spotter import RESOLUTION_S, SpotterCallbacks, WordSpotter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

RATE_HZ = 16_000


class Model:
    """A model that recognises the word in audio of at least so many seconds.

    Args:
        word_ends_s: The end of the word in a segment, in seconds.

    Attributes:
        lengths_s: The seconds of audio of each transcription.
        threads: The threads of the transcriptions.
    """

    def __init__(self, word_ends_s: float, rest: str = "") -> None:
        self.lengths_s: list[float] = []
        self.threads: set[int] = set()
        self._word_ends_s = word_ends_s
        self._rest = rest

    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        rate_hz, samples = audio
        self.lengths_s.append(samples.size / rate_hz)
        self.threads.add(threading.get_ident())
        return f"computer{self._rest}" if self.lengths_s[-1] >= self._word_ends_s else "com"


def segment(
    seconds: float, *, begin: int = 0, new: int = 0, is_over: bool = False
) -> SpeechSegment:
    samples = np.zeros(round(seconds * RATE_HZ), np.int16)
    return SpeechSegment(begin, new, samples, RATE_HZ, is_over, 1)


class Search:
    """A spotter for the word "computer", with the segments that it is to search.

    Attributes:
        spotted: The texts in which the word was.
        located: The positions at which turns begin.
    """

    def __init__(self, model: Any, *, may_begin: bool = True) -> None:
        self.session = FakeSession()
        self.segments: list[SpeechSegment] = []
        self.spotted: list[str] = []
        self.located: list[int] = []
        self._may_begin = may_begin
        self._taken = asyncio.Event()
        self.spotter = WordSpotter(
            self.session,
            model,
            SpotterCallbacks(
                lambda text: "computer" in text,
                lambda text: text.endswith("computer"),
                self._take,
                self._on_spotted,
                lambda _segment, begin: self.located.append(begin),
            ),
        )

    async def run(self, *segments: SpeechSegment) -> None:
        """Returns once there is no segment left."""
        self.segments += segments
        self._taken.clear()
        self.spotter.start()
        await self._taken.wait()
        await asyncio.sleep(0)

    def _take(self) -> SpeechSegment | None:
        if not self.segments:
            self._taken.set()
            return None
        return self.segments.pop(0)

    def _on_spotted(self, _segment: SpeechSegment, text: str) -> bool:
        self.spotted.append(text)
        return self._may_begin


@pytest.fixture
async def searching() -> AsyncIterator[Callable[..., Search]]:
    made: list[Search] = []

    def make(model: Any, **options: Any) -> Search:
        made.append(Search(model, **options))
        return made[-1]

    yield make
    for each in made:
        await each.spotter.close()


@pytest.mark.parametrize("word_ends_s", [0.3, 0.95, 1.6])
async def test_the_end_of_the_word_is_located_within_the_resolution(
    searching: Callable[..., Search], word_ends_s: float
) -> None:
    model = Model(word_ends_s, ", what time is it")
    search = searching(model)
    await search.run(segment(2.0, begin=5 * RATE_HZ, new=5 * RATE_HZ))
    [begin] = search.located
    assert 0 <= begin / RATE_HZ - 5.0 - word_ends_s <= RESOLUTION_S
    assert threading.get_ident() not in model.threads
    assert len(model.threads) == 1


async def test_the_part_that_was_transcribed_before_is_not_searched_again(
    searching: Callable[..., Search],
) -> None:
    model = Model(1.7)
    search = searching(model)
    await search.run(segment(2.0, new=round(1.5 * RATE_HZ)))
    assert min(model.lengths_s) >= 1.5
    assert 1.7 <= search.located[0] / RATE_HZ <= 1.7 + RESOLUTION_S


async def test_a_word_that_ends_the_speech_needs_no_search(
    searching: Callable[..., Search],
) -> None:
    model = Model(0.5)
    search = searching(model)
    await search.run(segment(2.0, is_over=True))
    assert model.lengths_s == [2.0]
    assert search.located == [round((2.0 - RESOLUTION_S) * RATE_HZ)]


async def test_segments_without_the_word_are_passed_over(
    searching: Callable[..., Search],
) -> None:
    model = Model(1.0)
    search = searching(model)
    await search.run(segment(0.5), segment(0.9), segment(1.0, is_over=True))
    assert model.lengths_s == [0.5, 0.9, 1.0]
    assert search.spotted == ["computer"]


async def test_no_turn_begins_where_none_may(searching: Callable[..., Search]) -> None:
    search = searching(Model(0.5), may_begin=False)
    await search.run(segment(1.0))
    assert search.spotted == ["computer"]
    assert search.located == []


async def test_an_error_of_the_model_is_reported_and_the_next_segment_is_searched(
    searching: Callable[..., Search],
) -> None:
    class Failing(Model):
        def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
            text = super().stt(audio)
            if len(self.lengths_s) == 1:
                raise ValueError("no model")
            return text

    search = searching(Failing(0.5))
    await search.run(segment(1.0), segment(1.0, is_over=True))
    assert [str(error) for error in search.session.errors] == ["no model"]
    assert len(search.located) == 1
    await search.run(segment(1.0, is_over=True))
    assert len(search.located) == 2


async def test_two_starts_are_one_search(searching: Callable[..., Search]) -> None:
    model = Model(9.0)
    search = searching(model)
    search.segments += [segment(0.5), segment(0.6)]
    search.spotter.start()
    await search.run()
    assert model.lengths_s == [0.5, 0.6]


async def test_the_result_of_a_transcription_under_way_is_dropped_at_the_end(
    searching: Callable[..., Search],
) -> None:
    entered, left, gate = asyncio.Event(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow(Model):
        def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
            loop.call_soon_threadsafe(entered.set)
            gate.wait()
            loop.call_soon_threadsafe(left.set)
            return super().stt(audio)

    search = searching(Slow(0.5))
    search.segments.append(segment(1.0, is_over=True))
    before = asyncio.all_tasks()
    search.spotter.start()
    await entered.wait()
    await search.spotter.close()
    assert asyncio.all_tasks() == before
    gate.set()
    await left.wait()
    async with asyncio.timeout(10):
        while any(each.name.startswith("stt-") for each in threading.enumerate()):  # noqa: ASYNC110 - the end of a thread has no event
            await asyncio.sleep(0.005)
    assert search.spotted == []
    assert search.located == []
    assert search.session.errors == []

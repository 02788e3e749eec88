"""Answers that are begun before the end of a turn: when they are, and what becomes of them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_session import FakeSession
from support.user_function import Function

from gradio_webrtc._turns.current_turn import MAX_HELD, get_turn
from gradio_webrtc._turns.options import Speculation
from gradio_webrtc._turns.replies import Turn
from gradio_webrtc._turns.runner import FINISHED
from gradio_webrtc._turns.speculation import (
    MAX_WAITS,
    Act,
    SpeculativeReply,
    TurnProgress,
    seconds_of,
)
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import TurnDiscarded
from gradio_webrtc.types import AdditionalOutputs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TERMS = Speculation()
RATE_HZ = 24_000
SECOND = (RATE_HZ, np.ones((1, RATE_HZ), np.int16))

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("candidate"), st.floats(0.1, 30), st.booleans()),
        st.tuples(st.sampled_from(["resumed", "dropped", "pause"])),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 4))
def test_each_answer_that_is_begun_is_committed_or_discarded_once(
    steps: list[tuple[Any, ...]], max_starts: int
) -> None:
    terms = Speculation(max_starts=max_starts)
    progress = TurnProgress(terms)
    held = starts = waits = 0
    for name, *values in steps:
        if name == "candidate":
            speech_s, must_wait = values
            act = progress.candidate(speech_s, must_wait=must_wait)
            assert act in (Act.START, Act.NOTHING)
            if act is Act.START:
                assert not held
                assert speech_s <= terms.max_speech_s
                held, starts, waits = 1, starts + 1, waits + must_wait
            assert starts <= max_starts
            assert waits <= MAX_WAITS
        else:
            act = getattr(progress, name)()
            was_held, held = held, 0
            expected = Act.COMMIT if name == "pause" else Act.DISCARD
            missing = Act.ANSWER if name == "pause" else Act.NOTHING
            assert act is (expected if was_held else missing)
            if name != "resumed":
                starts = waits = 0
        assert progress.is_holding == bool(held)


def test_a_turn_has_so_many_starts_and_the_next_one_has_its_own() -> None:
    progress = TurnProgress(TERMS)
    for _ in range(TERMS.max_starts):
        assert progress.candidate(1.0, must_wait=False) is Act.START
        assert progress.resumed() is Act.DISCARD
    assert progress.candidate(1.0, must_wait=False) is Act.NOTHING
    assert progress.pause() is Act.ANSWER
    assert progress.candidate(1.0, must_wait=False) is Act.START


def test_no_answer_is_queued_up_a_third_time_behind_one_that_does_not_return() -> None:
    progress = TurnProgress(Speculation(max_starts=10))
    for _ in range(MAX_WAITS):
        assert progress.candidate(1.0, must_wait=True) is Act.START
        progress.resumed()
    assert progress.candidate(1.0, must_wait=True) is Act.NOTHING
    assert progress.candidate(1.0, must_wait=False) is Act.START


class Held:
    """One answer that is held back.

    Attributes:
        begun: The numbers of the turns that have been announced.
    """

    def __init__(self, fn: Callable[..., Any], max_held_s: float = 5.0) -> None:
        self.session = FakeSession()
        self.begun: list[int] = []
        self.worker = Worker("held")
        turn = Turn(7, RATE_HZ, np.ones((1, RATE_HZ), np.int16))
        self.reply = SpeculativeReply(
            turn,
            Function(fn),
            lambda turn: ((turn.rate_hz, turn.audio),),
            lambda turn: self.begun.append(turn.number),
            self.session,
            self.worker,
        )
        self._max_held_s = max_held_s

    def begin(self, earlier: Held | None) -> None:
        before = None if earlier is None else earlier.reply
        self.reply.start(before, self._max_held_s)

    async def __aenter__(self) -> Self:
        self.begin(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reply.interrupt()
        await self.reply.close()
        self.worker.close()

    async def all(self) -> list[Any]:
        items = []
        while (item := await self.reply.step()) is not FINISHED:
            items.append(item)
        return items


async def settle() -> None:
    """Lets everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_was_held_comes_in_its_order_once_it_is_certain(is_late: bool) -> None:  # noqa: FBT001
    resumed = asyncio.Event()

    async def fn(_audio: object) -> AsyncIterator[Any]:
        yield "first"
        yield AdditionalOutputs("second")
        await resumed.wait()
        yield "third"

    async with Held(fn) as held:
        await settle()
        assert held.begun == []
        if is_late:
            resumed.set()
            await settle()
        held.reply.commit()
        assert held.begun == [7]
        resumed.set()
        first, second, third = await held.all()
        assert (first, second.args, third) == ("first", ("second",), "third")
        assert held.session.errors == []


async def test_a_full_hold_asks_for_no_more_until_it_is_certain() -> None:
    asked = 0

    async def fn(_audio: object) -> AsyncIterator[Any]:
        nonlocal asked
        while True:
            asked += 1
            yield SECOND

    async with Held(fn, max_held_s=2.5) as held:
        await settle()
        assert asked == 3
        held.reply.commit()
        for count in range(4, 9):
            item: Any = await held.reply.step()
            assert np.array_equal(item[1], SECOND[1])
            await settle()
            assert asked <= max(4, count)


async def test_outputs_without_audio_are_bounded_as_well() -> None:
    asked = 0

    async def fn(_audio: object) -> AsyncIterator[Any]:
        nonlocal asked
        while True:
            asked += 1
            yield AdditionalOutputs(asked)

    async with Held(fn):
        await asyncio.sleep(0.05)
        assert asked == MAX_HELD


async def test_an_error_is_reported_in_its_order_and_never_if_it_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fn(_audio: object) -> AsyncIterator[Any]:
        yield "first"
        raise ValueError("in the second")

    async with Held(fn) as held:
        await settle()
        held.reply.commit()
        assert await held.reply.step() == "first"
        assert held.session.errors == []
        assert await held.reply.step() is FINISHED
        assert [str(error) for error in held.session.errors] == ["in the second"]
        assert held.reply.has_failed
    async with Held(fn) as held:
        await settle()
    assert held.session.errors == []
    assert "in the second" not in caplog.text


async def test_an_answer_that_is_dropped_gives_nothing_and_cleans_up() -> None:
    closed = []

    async def fn(_audio: object) -> AsyncIterator[Any]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            closed.append(get_turn().is_certain)

    async with Held(fn) as held:
        await settle()
        held.reply.interrupt()
        assert await held.reply.step() is FINISHED
    assert closed == [False]
    assert held.begun == []


async def test_async_code_waits_until_it_is_certain_or_ends_there() -> None:
    happened: list[str] = []

    async def fn(_audio: object) -> AsyncIterator[Any]:
        turn = get_turn()
        assert (turn.number, turn.is_certain) == (7, False)
        try:
            await turn.certain()
        except TurnDiscarded as discarded:
            happened.append(str(discarded))
            raise
        happened.append("booked")
        yield "done"

    async with Held(fn) as held:
        await settle()
        assert happened == []
        held.reply.commit()
        assert await held.all() == ["done"]
    async with Held(fn) as held:
        await settle()
    assert happened == ["booked", "turn 7 goes on: what was begun for it is dropped"]
    assert held.session.errors == []


async def test_sync_code_waits_until_it_is_certain_or_ends_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    waits, happened = threading.Event(), []

    def fn(_audio: object) -> Iterator[Any]:
        waits.set()
        try:
            get_turn().wait_until_certain()
        except TurnDiscarded:
            happened.append("discarded")
            raise
        happened.append("booked")
        yield "done"

    async with Held(fn) as held:
        await asyncio.to_thread(waits.wait)
        held.reply.commit()
        assert await held.all() == ["done"]
    waits.clear()
    async with Held(fn) as held:
        await asyncio.to_thread(waits.wait)
    assert happened == ["booked", "discarded"]
    assert held.session.errors == []
    assert caplog.text == ""


async def test_an_error_of_sync_code_whose_turn_was_dropped_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs, goes_on = threading.Event(), threading.Event()

    def fn(_audio: object) -> Iterator[Any]:
        runs.set()
        goes_on.wait()
        raise ValueError("nobody takes the answer")
        yield

    async with Held(fn) as held:
        await asyncio.to_thread(runs.wait)
        held.reply.interrupt()
        goes_on.set()
    assert held.session.errors == []
    assert caplog.text == ""


async def test_the_next_answer_begins_behind_the_clean_up_of_the_one_before() -> None:
    happened: list[str] = []
    may_end = asyncio.Event()

    async def slow(_audio: object) -> AsyncIterator[Any]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            await may_end.wait()
            happened.append("cleaned up")

    async def quick(_audio: object) -> AsyncIterator[Any]:
        happened.append("begun")
        yield "second"

    before, after = Held(slow), Held(quick)
    before.begin(None)
    await settle()
    before.reply.interrupt()
    closing = asyncio.get_running_loop().create_task(before.reply.close())
    after.begin(before)
    await settle()
    assert happened == []
    may_end.set()
    after.reply.commit()
    assert await after.all() == ["second"]
    await closing
    await after.reply.close()
    assert happened == ["cleaned up", "begun"]
    before.worker.close()
    after.worker.close()


@pytest.mark.parametrize(
    ("item", "seconds"),
    [
        (SECOND, 1.0),
        ((SECOND, AdditionalOutputs()), 1.0),
        ((RATE_HZ, np.ones(12_000, np.int16)), 0.5),
        (AdditionalOutputs(SECOND), 0.0),
        (("a", "b"), 0.0),
        ((0, np.ones(3)), 0.0),
        ((RATE_HZ, np.ones(())), 0.0),
        (None, 0.0),
        ("text", 0.0),
    ],
)
def test_the_length_of_an_item_is_that_of_its_audio(item: object, seconds: float) -> None:
    assert seconds_of(item) == seconds

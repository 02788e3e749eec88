"""Answers that are begun at a short silence: what the function gets, and what the user does."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.conversing import (
    CHUNK,
    RATE_HZ,
    WINDOW_S,
    Dialogue,
    Endless,
    conversing,
    replying,
    spoken_windows,
)

from gradio_webrtc import AlgoOptions, ReplyOnPause, Speculation, TurnDiscarded, get_turn
from gradio_webrtc.types import AdditionalOutputs, WebRTCData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CANDIDATE = 7
"""Windows of silence behind which the answer has begun: six and one that is not complete."""

CERTAIN = 27
"""Windows of silence that end a turn, and one more."""


class Answers:
    """A function that gives one chunk for each window of speech that it got, slowly.

    Attributes:
        received: The windows of speech that each run got.
        ended: The runs whose clean-up has run.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self.ended = 0

    async def asynchronous(self, audio: Any) -> AsyncIterator[Any]:
        self.received.append(spoken_windows(audio))
        try:
            for _ in range(3):
                await asyncio.sleep(0)
                yield CHUNK
            yield AdditionalOutputs(spoken_windows(audio))
        finally:
            self.ended += 1

    def sync(self, audio: Any) -> Iterator[Any]:
        self.received.append(spoken_windows(audio))
        try:
            for _ in range(3):
                yield CHUNK
            yield AdditionalOutputs(spoken_windows(audio))
        finally:
            self.ended += 1


async def settle(talk: Dialogue) -> None:
    """Lets everything happen that needs no time, in the worker too."""
    for _ in range(5):
        await talk.handler._rtc_worker.run(lambda: None)  # noqa: SLF001
        for _ in range(20):
            await asyncio.sleep(0)


def outputs(talk: Dialogue) -> list[Any]:
    return [item.args for item in talk.items if isinstance(item, AdditionalOutputs)]


KINDS = pytest.mark.parametrize("kind", ["sync", "asynchronous"])


@KINDS
async def test_the_function_runs_once_and_is_played_when_the_pause_is_certain(kind: str) -> None:
    fn = Answers()
    async with conversing(replying(getattr(fn, kind), speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        assert fn.received == [10]
        assert talk.items == []
        assert "response_starting" not in talk.session.names
        talk.pause(CERTAIN - CANDIDATE)
        await talk.until_said(4)
        assert outputs(talk) == [(10,)]
        assert fn.received == [10]
        assert talk.session.names == [
            "started_talking",
            "pause_candidate",
            "pause_detected",
            "turn_committed",
            "response_starting",
        ]
        await talk.until_event("response_finished")
        assert talk.session.data("response_finished") == {"turn": 1, "failed": False}
        audio: Any = talk.session.data("pause_detected")["audio"]
        assert audio[1].size / RATE_HZ / WINDOW_S >= 36


@KINDS
async def test_a_turn_that_goes_on_is_answered_whole_and_once(kind: str) -> None:
    fn = Answers()
    async with conversing(replying(getattr(fn, kind), speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.speak(5)
        await settle(talk)
        assert fn.ended == 1
        assert talk.session.data("reply_discarded") == {"turn": 1}
        talk.pause(CERTAIN)
        await talk.until_said(4)
        assert outputs(talk) == [(15,)]
        assert fn.received == [10, 15]
        assert talk.session.names.count("response_starting") == 1
        assert talk.session.data("turn_committed") == {"turn": 1}


async def test_nothing_begins_more_often_than_allowed_and_the_turn_is_answered() -> None:
    fn = Answers()
    terms = Speculation(max_starts=2)
    async with conversing(replying(fn.asynchronous, speculative=terms)) as talk:
        for _ in range(4):
            talk.speak(8)
            talk.pause(CANDIDATE)
            await settle(talk)
        assert fn.received == [8, 16]
        talk.pause(CERTAIN)
        await talk.until_said(4)
        assert outputs(talk) == [(32,)]
        assert "turn_committed" not in talk.session.names


async def test_a_long_turn_is_answered_at_its_end_alone() -> None:
    fn = Answers()
    terms = Speculation(max_speech_s=1.0)
    async with conversing(replying(fn.asynchronous, speculative=terms)) as talk:
        talk.speak(40)
        talk.pause(CANDIDATE)
        await settle(talk)
        assert fn.received == []
        talk.pause(CERTAIN)
        await talk.until_said(4)
        assert fn.received == [40]


async def test_the_longer_one_of_the_two_pauses_counts() -> None:
    for options, windows in (
        ({"speculative": True}, 26),
        ({"speculative": Speculation(pause_s=0.64)}, 20),
        ({"speculative": True, "algo_options": AlgoOptions(pause_s=1.28)}, 40),
    ):
        handler = replying(Answers().sync, **options)
        assert handler.pause_s == pytest.approx(windows * WINDOW_S)
        async with conversing(handler) as talk:
            talk.speak(10)
            talk.pause(windows - 1)
            assert "pause_detected" not in talk.session.names
            talk.pause(1)
            assert "pause_detected" in talk.session.names


async def test_speech_over_the_answer_interrupts_it_as_ever() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous, speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CERTAIN)
        await talk.until_said(3)
        talk.speak(7)
        assert talk.session.names[-2:] == ["started_talking", "interrupted"]
        await talk.until_idle()
        assert fn.closed == 1
        talk.pause(CERTAIN)
        await talk.until_event("response_starting", 2)
        assert fn.received == [10, 7]


async def test_where_nobody_may_interrupt_the_next_turn_begins_behind_the_answer() -> None:
    fn = Answers()
    handler = replying(fn.asynchronous, speculative=True, can_interrupt=False)
    async with conversing(handler) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.speak(2)
        talk.pause(CERTAIN)
        talk.speak(30)
        await talk.until_idle()
        assert outputs(talk) == [(12,)]
        talk.speak(9)
        talk.pause(CERTAIN)
        await talk.until_event("response_finished", 2)
        assert outputs(talk) == [(12,), (9,)]


async def test_a_turn_that_is_ignored_from_now_on_is_dropped_with_its_answer() -> None:
    fn = Answers()
    handler = replying(fn.asynchronous, speculative=True, can_interrupt=False)
    async with conversing(handler) as talk:
        # As in a session whose core detects by itself.
        talk.handler._rtc_is_direct = True  # noqa: SLF001
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.handler.state.responding = True
        await settle(talk)
        assert talk.session.names[-1] == "reply_discarded"
        assert talk.items == []


async def test_a_requested_answer_takes_the_place_of_the_held_one() -> None:
    fn = Answers()
    async with conversing(replying(fn.asynchronous, speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.handler.trigger_response()
        await talk.until_said(4)
        assert fn.received == [10, 10]
        assert outputs(talk) == [(10,)]
        talk.pause(CERTAIN)
        await talk.until_idle()
        assert outputs(talk) == [(10,)]


async def test_a_turn_that_is_ended_for_its_length_is_answered() -> None:
    fn = Answers()
    handler = replying(
        fn.asynchronous, speculative=True, algo_options=AlgoOptions(max_continuous_speech_s=0.64)
    )
    async with conversing(handler) as talk:
        talk.speak(21)
        await talk.until_said(4)
        assert outputs(talk) == [(20,)]


async def test_the_inputs_are_asked_for_again_and_the_text_is_kept() -> None:
    received: list[Any] = []

    async def fn(data: WebRTCData, volume: int) -> AsyncIterator[Any]:
        assert data.audio is not None
        received.append((data.textbox, volume, spoken_windows(data.audio)))
        yield CHUNK

    async with conversing(replying(fn, speculative=True)) as talk:
        talk.session.answer_requests(talk.handler, WebRTCData("client", textbox="written"), 3)
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.session.answer_requests(talk.handler, WebRTCData("client"), 4)
        talk.speak(5)
        talk.pause(CERTAIN)
        await talk.until_said(1)
        assert received == [("written", 3, 10), ("written", 4, 15)]
        await talk.until_idle()
        talk.speak(8)
        talk.pause(CERTAIN)
        await talk.until_said(2)
        assert received[2] == ("", 4, 8)


async def test_a_text_that_comes_while_an_answer_is_held_belongs_to_the_turn() -> None:
    received: list[Any] = []

    async def fn(data: WebRTCData) -> AsyncIterator[Any]:
        received.append((data.textbox, spoken_windows(data.audio or (0, np.zeros(0)))))
        yield CHUNK

    async with conversing(replying(fn, speculative=True, needs_args=True)) as talk:
        talk.session.answer_requests(talk.handler, WebRTCData("client"))
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
        talk.handler.set_args([WebRTCData("client", textbox="written")])
        talk.pause(CERTAIN)
        await talk.until_said(1)
        assert received == [("", 10), ("written", 10)]
        assert talk.session.names.count("response_starting") == 1


async def test_the_pause_can_be_set_during_a_turn() -> None:
    async with conversing(replying(Answers().asynchronous)) as talk:
        talk.speak(10)
        talk.pause(8)
        talk.handler.pause_s = 1.6
        talk.pause(20)
        assert "pause_detected" not in talk.session.names
        talk.pause(23)
        assert "pause_detected" in talk.session.names
        talk.handler.pause_s = 0.32
        talk.speak(10)
        talk.pause(10)
        assert talk.session.names.count("pause_detected") == 2
        with pytest.raises(ValueError, match="more than 0 s"):
            talk.handler.pause_s = 0
        with pytest.raises(TypeError, match="pause_s is a number of seconds, got '1'"):
            talk.handler.pause_s = "1"
        assert talk.handler.pause_s == 0.32


@pytest.mark.parametrize("request_by", ["a turn", "a trigger", "a generator"])
async def test_what_comes_while_an_interrupted_answer_still_ends_is_answered(
    request_by: str,
) -> None:
    received: list[int] = []
    may_end = threading.Event()

    def fn(audio: Any) -> Iterator[Any]:
        received.append(spoken_windows(audio))
        if len(received) == 1:
            may_end.wait()
        yield AdditionalOutputs(spoken_windows(audio))

    terms = Speculation(max_speech_s=1.2)
    async with conversing(replying(fn, speculative=terms)) as talk:
        talk.speak(10)
        talk.pause(CERTAIN)
        await talk.until_event("response_starting")
        talk.speak(11)
        talk.pause(CERTAIN)
        assert talk.session.names[-1] == "turn_committed"
        if request_by == "a turn":
            talk.speak(40)
            talk.pause(CERTAIN)
        elif request_by == "a trigger":
            talk.speak(12)
            talk.handler.trigger_response()
        else:
            talk.handler.generator = iter([AdditionalOutputs("set")])
            talk.handler.event.set()
        for _ in range(20):
            await asyncio.sleep(0)
        may_end.set()
        await talk.until_said(1)
        assert len(outputs(talk)) == 1
        talk.pause(CERTAIN)
        await talk.until_idle()
        talk.speak(9)
        talk.pause(CERTAIN)
        await talk.until_said(2)
        assert len(outputs(talk)) == 2


async def test_the_end_of_the_session_drops_the_held_answer() -> None:
    fn = Endless()
    async with conversing(replying(fn.asynchronous, speculative=True)) as talk:
        talk.speak(10)
        talk.pause(CANDIDATE)
        await settle(talk)
    assert fn.closed == 1
    assert talk.items == []


class Scheme:
    """A function that does at random all that one may do, and notes what became of its runs.

    Attributes:
        begun: Every run, in order.
        ended: The runs whose clean-up has run.
        booked: The runs that were certain.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.booked: list[int] = []
        self._rng = rng

    async def asynchronous(self, audio: Any) -> AsyncIterator[Any]:
        run = self._begin()
        try:
            await self._dawdle()
            yield self._first(run, audio)
            self._raise(run)
            await get_turn().certain()
            self.booked.append(run)
            yield AdditionalOutputs(run)
        finally:
            self.ended.append(run)
            await self._dawdle()

    def sync(self, audio: Any) -> Iterator[Any]:
        run = self._begin()
        try:
            yield self._first(run, audio)
            self._raise(run)
            try:
                get_turn().wait_until_certain()
            except TurnDiscarded:
                return
            self.booked.append(run)
            yield AdditionalOutputs(run)
        finally:
            self.ended.append(run)

    def _begin(self) -> int:
        self.begun.append(len(self.begun))
        return self.begun[-1]

    def _first(self, run: int, audio: Any) -> AdditionalOutputs:
        return AdditionalOutputs(run, spoken_windows(audio))

    def _raise(self, run: int) -> None:
        if self._rng.random() < 0.3:
            raise ValueError(run)

    async def _dawdle(self) -> None:
        for _ in range(self._rng.integers(4)):
            await asyncio.sleep(0)


async def converse(talk: Dialogue, rng: np.random.Generator) -> None:
    """Speaks, pauses and asks for answers, each at a moment that nobody has planned."""
    for _ in range(rng.integers(1, 4)):
        for _ in range(rng.integers(1, 5)):
            talk.speak(int(rng.integers(7, 12)))
            talk.pause(int(rng.integers(1, 25)))
            for _ in range(int(rng.choice([0, 1, 2, 5, 30]))):
                await asyncio.sleep(0)
            if rng.random() < 0.2:
                talk.handler.trigger_response()
        talk.pause(CERTAIN)
        await talk.until_idle()


@KINDS
@pytest.mark.parametrize("seed", range(500))
async def test_nothing_of_a_dropped_answer_is_ever_seen(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scheme = Scheme(rng)
    terms = Speculation(max_starts=20)
    async with conversing(replying(getattr(scheme, kind), speculative=terms)) as talk:
        await converse(talk, rng)
        names = talk.session.names
        over = [data["turn"] for name, data in talk.session.events if name == "response_finished"]
    assert sorted(scheme.ended) == scheme.begun
    heard = {args[0] for args in outputs(talk)}
    failed = {error.args[0] for error in talk.session.errors}
    assert scheme.booked == sorted(set(scheme.booked))
    assert set(scheme.booked) | failed <= heard
    assert len(heard) <= names.count("response_starting")
    assert len(over) == len(set(over))
    assert names.count("response_starting") - names.count("interrupted") <= len(over)


def test_what_has_no_effect_is_refused_or_warned_of() -> None:
    class OwnEmit(ReplyOnPause):
        def emit(self) -> Any:
            return None

    class OwnRule(ReplyOnPause):
        def determine_pause(self, *_: Any) -> bool:
            return False

    wrong: Any = 0.2
    with pytest.warns(UserWarning, match="its own emit"):
        assert OwnEmit(lambda audio: audio, speculative=True).pause_s == 0.5
    with pytest.raises(ValueError, match="detected in blocks"):
        OwnRule(lambda audio: audio, speculative=True)
    with pytest.raises(TypeError, match="speculative is True, False or a Speculation"):
        ReplyOnPause(lambda audio: audio, speculative=wrong)
    assert ReplyOnPause(lambda audio: audio, speculative=None).speculative is None
    assert ReplyOnPause(lambda audio: audio, speculative=True).copy().speculative == Speculation()


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"after_s": 0.0}, "after_s is more than 0 s, got 0.0"),
        ({"pause_s": 0.1}, "pause_s is longer than after_s, got 0.1 and 0.192"),
        ({"max_starts": 0}, "max_starts is 1 or more, got 0"),
        ({"max_speech_s": float("nan")}, "max_speech_s is more than 0 s, got nan"),
        ({"max_held_s": -1.0}, "max_held_s is more than 0 s"),
        ({"after_s": "1"}, "after_s is a number, got '1'"),
        ({"max_starts": None}, "max_starts is a number, got None"),
    ],
)
def test_terms_out_of_range_are_refused(terms: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Speculation(**terms)


async def test_a_detector_of_the_users_own_and_stereo_are_served_as_well() -> None:
    fn = Answers()
    handler = replying(fn.sync, speculative=True, expected_layout="stereo")
    async with conversing(handler) as talk:
        stereo = np.repeat(np.full((1, 5120), 15000, np.int16), 2, axis=1)
        talk.feed(stereo)
        talk.feed(np.zeros((1, 2 * 512 * CERTAIN), np.int16))
        await talk.until_said(4)
        assert "turn_committed" in talk.session.names

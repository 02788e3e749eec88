"""Announcements among replies, and the part of both that the user has heard."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import soxr
from support.signals import speech_at_48k
from support.spliced import RATE_HZ as SPLICED_HZ
from support.spliced import hesitate

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncStreamHandler,
    ReplyOnPause,
    StreamHandler,
    get_current_context,
    get_turn,
)
from gradio_webrtc.errors import HandlerError
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

RATE_HZ: Final = 48_000
REPLY: Final = 1_000
ANNOUNCED: Final = 9_000
"""Levels, by which what is played is recognised."""


def tone(level: int, seconds: float, rate_hz: int = RATE_HZ) -> tuple[int, NDArray[np.int16]]:
    return rate_hz, np.full((1, round(seconds * rate_hz)), level, np.int16)


def question(at_s: float = 0.5, tail_s: float = 0.0) -> tuple[int, NDArray[np.int16]]:
    speech = speech_at_48k("cards_003_16k")
    silence = [np.zeros(round(each * RATE_HZ), np.int16) for each in (at_s, tail_s)]
    return RATE_HZ, np.concatenate([silence[0], speech, silence[1]])


@functools.cache
def reply_start_s() -> float:
    """The time at which the reply to `question` begins."""
    result = simulate(ReplyOnPause(lambda _audio: tone(REPLY, 0.5)), question())
    return result.turns[0].reply_start_s or 0.0


def twice(later_s: float) -> tuple[int, NDArray[np.int16]]:
    """A question, and another one so much after it has begun."""
    rate_hz, samples = question()
    user = np.zeros(samples.size + round(later_s * rate_hz), np.int16)
    user[: samples.size] = samples
    user[-samples.size :] += samples
    return rate_hz, user


def runs(result: Simulation) -> list[tuple[int, float, float]]:
    """What was played: each level with its start and its length, in seconds."""
    samples = result.audio[1][0]
    edges = np.flatnonzero(np.diff(samples)) + 1
    begins, ends = np.append(0, edges), np.append(edges, samples.size)
    found = []
    for begin, end in zip(begins, ends, strict=True):
        if samples[begin] and end - begin > RATE_HZ // 50:
            found.append((int(samples[begin]), begin / RATE_HZ, (end - begin) / RATE_HZ))
    return found


def lengths(result: Simulation) -> list[tuple[int, float]]:
    return [(level, round(seconds, 2)) for level, _, seconds in runs(result)]


def events(result: Simulation, *names: str) -> list[tuple[str, int, float]]:
    return [
        (event.name, event.data["turn"], event.time_s)
        for event in result.events
        if event.name in names
    ]


def after(seconds: float, act: Callable[[Any], object]) -> Callable[[], Any]:
    """A greeting that plays nothing, and does something so much later."""

    async def greet() -> AsyncIterator[Any]:
        session = get_current_context().session
        asyncio.get_running_loop().call_later(seconds, act, session)
        yield AdditionalOutputs("greeted")

    return greet


def test_a_reply_goes_on_behind_what_is_said_now_with_nothing_lost() -> None:
    heard: list[Future[float]] = []

    def look_up(_audio: object) -> Iterator[Any]:
        yield tone(REPLY, 3.0)

    def remind(session: Any) -> None:
        heard.append(session.say(tone(ANNOUNCED, 0.5, 16_000)))

    at_s = reply_start_s() + 1.0
    result = simulate(ReplyOnPause(look_up, startup_fn=after(at_s, remind)), question())
    (_, begin_s, first_s), (_, said_s, said), (_, _, rest_s) = runs(result)
    assert said == pytest.approx(0.5, abs=0.01)
    assert first_s + rest_s == pytest.approx(3.0, abs=0.001)
    assert said_s == pytest.approx(at_s, abs=0.03)
    assert begin_s + first_s == pytest.approx(said_s, abs=0.01)
    assert heard[0].result(0) == pytest.approx(0.5, abs=0.01)
    finished = [event for event in result.events if event.name == "response_finished"]
    assert [event.data.get("announcement", False) for event in finished] == [False, True, False]


def test_a_function_announces_something_while_it_works() -> None:
    async def look_up(_audio: object) -> AsyncIterator[Any]:
        session = get_current_context().session
        assert session is not None
        session.say(tone(ANNOUNCED, 0.4))
        await asyncio.sleep(0.1)
        yield tone(REPLY, 0.6)

    result = simulate(ReplyOnPause(look_up), question())
    assert lengths(result) == [(ANNOUNCED, 0.4), (REPLY, 0.6)]


def test_sync_code_waits_for_its_end() -> None:
    heard = []

    def look_up(_audio: object) -> Iterator[Any]:
        session = get_current_context().session
        assert session is not None
        heard.append(session.say(tone(ANNOUNCED, 0.4)).result())
        yield tone(REPLY, 0.6)

    result = simulate(ReplyOnPause(look_up), question())
    assert lengths(result) == [(ANNOUNCED, 0.4), (REPLY, 0.6)]
    assert heard == [pytest.approx(0.4)]


def test_of_an_answer_that_is_dropped_nothing_is_said_and_nobody_waits() -> None:
    outcomes: list[Future[float]] = []

    def look_up(_audio: object) -> Iterator[Any]:
        session = get_current_context().session
        assert session is not None
        outcomes.append(session.say(tone(ANNOUNCED, 0.3)))
        # In a thread that would never return.
        outcomes[-1].result()
        yield tone(REPLY, 0.6)

    spliced = hesitate(np.random.default_rng(5), 0.45, 0.45)
    user = soxr.resample(spliced.samples, SPLICED_HZ, RATE_HZ)
    result = simulate(ReplyOnPause(look_up, speculative=True), (RATE_HZ, user))
    assert lengths(result) == [(ANNOUNCED, 0.3), (REPLY, 0.6)]
    assert len(outcomes) >= 2
    assert [outcome.result(0) for outcome in outcomes[:-1]] == [0.0] * (len(outcomes) - 1)
    assert outcomes[-1].result(0) == pytest.approx(0.3)


@pytest.mark.parametrize("when", ["now", "silence"])
def test_the_user_interrupts_what_is_said(when: str) -> None:
    heard: list[Future[float]] = []

    def remind(session: Any) -> None:
        heard.append(session.say((tone(ANNOUNCED, 0.1) for _ in range(80)), when=when))

    handler = ReplyOnPause(lambda _audio: tone(REPLY, 0.5), startup_fn=after(0.2, remind))
    result = simulate(handler, question(at_s=2.0))
    (_, begin_s, said_s), (level, _, _) = runs(result)
    speech_s = next(event for event in result.events if event.name == "started_talking").time_s
    assert begin_s + said_s == pytest.approx(speech_s, abs=0.05)
    assert level == REPLY
    (interrupted,) = (event for event in result.events if event.name == "interrupted")
    assert interrupted.data["heard_s"] == pytest.approx(said_s, abs=0.001)
    assert heard[0].result(0) == pytest.approx(said_s, abs=0.001)


def test_silence_is_when_nobody_speaks_and_no_answer_is_due() -> None:
    def look_up(_audio: object) -> Iterator[Any]:
        yield tone(REPLY, 1.5)

    def remind(session: Any) -> None:
        session.say(tone(ANNOUNCED, 0.3), when="silence")

    begin_s = reply_start_s()
    for at_s in (0.9, begin_s - 1.0, begin_s - 0.2, begin_s + 0.4, begin_s + 1.4):
        handler = ReplyOnPause(look_up, startup_fn=after(at_s, remind))
        result = simulate(handler, question(tail_s=1.0))
        assert lengths(result) == [(REPLY, 1.5), (ANNOUNCED, 0.3)], at_s
        turn = result.turns[0]
        assert turn.reply_start_s == pytest.approx(turn.pause_s, abs=0.05), at_s


def test_what_is_said_comes_in_its_order_and_now_before_silence() -> None:
    def remind(session: Any) -> None:
        session.say(tone(1, 0.2), when="silence")
        session.say(tone(2, 0.2))
        session.say(iter([tone(3, 0.1), tone(3, 0.1)]))

    handler = ReplyOnPause(lambda _audio: tone(REPLY, 0.5), startup_fn=after(0.1, remind))
    result = simulate(handler, (RATE_HZ, np.zeros(RATE_HZ, np.int16)))
    assert lengths(result) == [(2, 0.2), (3, 0.2), (1, 0.2)]


def test_an_interruption_by_the_program_ends_the_reply_and_what_waits() -> None:
    heard: list[Future[float]] = []
    closed = []

    def look_up(_audio: object) -> Iterator[Any]:
        try:
            for _ in range(50):
                yield tone(REPLY, 0.1)
        finally:
            closed.append(get_turn().heard_s)

    def stop(session: Any) -> None:
        heard.append(session.say(tone(ANNOUNCED, 0.3), when="silence"))
        session.interrupt()

    at_s = reply_start_s() + 1.0
    handler = ReplyOnPause(look_up, can_interrupt=False, startup_fn=after(at_s, stop))
    result = simulate(handler, question())
    ((_, begin_s, seconds),) = runs(result)
    assert begin_s + seconds == pytest.approx(at_s, abs=0.03)
    (interrupted,) = (event for event in result.events if event.name == "interrupted")
    assert interrupted.data["heard_s"] == pytest.approx(seconds, abs=0.001)
    assert closed == [pytest.approx(seconds, abs=0.001)]
    assert heard[0].result(0) == 0.0


def test_a_reply_is_finished_when_the_user_has_heard_its_end() -> None:
    def look_up(_audio: object) -> Iterator[Any]:
        yield tone(REPLY, 0.7)
        yield tone(REPLY, 1.2)

    result = simulate(ReplyOnPause(look_up), question())
    ((_, begin_s, seconds),) = runs(result)
    ((_, turn, time_s),) = events(result, "response_finished")
    assert turn == 1
    assert time_s == pytest.approx(begin_s + seconds, abs=0.025)


def test_an_interruption_behind_the_end_of_the_code_has_its_heard_part() -> None:
    heard: list[float] = []

    def look_up(_audio: object) -> Iterator[Any]:
        try:
            yield tone(REPLY, 0.9)
        finally:
            heard.append(get_turn().heard_s)

    # The second question comes while the last of the first reply is in the queue.
    first = simulate(ReplyOnPause(look_up), question())
    pause_s = first.turns[0].pause_s
    result = simulate(ReplyOnPause(look_up), twice(pause_s - 0.2))
    (_, _, first_s), (_, _, second_s) = runs(result)
    ends = [event for event in result.events if event.name in {"interrupted", "response_finished"}]
    assert [(event.name, event.data["turn"]) for event in ends] == [
        ("interrupted", 1),
        ("response_finished", 2),
    ]
    assert ends[0].data["heard_s"] == pytest.approx(first_s, abs=0.001)
    assert second_s == pytest.approx(0.9, abs=0.01)
    assert first_s < 0.9


def test_a_live_source_is_as_early_behind_it_as_before() -> None:
    class Echo(AsyncStreamHandler):
        def __init__(self) -> None:
            super().__init__(input_sample_rate=RATE_HZ, output_sample_rate=RATE_HZ)
            self.queue: asyncio.Queue[Any] = asyncio.Queue()

        def copy(self) -> Echo:
            return Echo()

        async def start_up(self) -> None:
            session = get_current_context().session
            assert session is not None
            asyncio.get_running_loop().call_later(6.0, session.say, tone(20_000, 2.0))

        async def receive(self, frame: Any) -> None:
            self.queue.put_nowait(frame)

        async def emit(self) -> Any:
            return await self.queue.get()

    # A click each second.
    user = np.ones(14 * RATE_HZ, np.int16)
    user[::RATE_HZ] = 10_000
    result = simulate(Echo(), (RATE_HZ, user))
    clicks = np.flatnonzero(result.audio[1][0] == 10_000) / RATE_HZ
    before, later = clicks[(clicks > 3) & (clicks < 6)], clicks[clicks > 9]
    assert later.size >= 4
    assert later % 1 == pytest.approx(before[0] % 1, abs=0.041)


def test_threads_announce_and_so_do_plain_handlers() -> None:
    class Silent(StreamHandler):
        def copy(self) -> Silent:
            return Silent()

        def start_up(self) -> None:
            session = get_current_context().session
            assert session is not None
            thread = threading.Thread(target=session.say, args=(tone(ANNOUNCED, 0.5),))
            thread.start()
            thread.join()

        def receive(self, frame: Any) -> None:
            pass

        def emit(self) -> None:
            pass

    result = simulate(Silent(), (RATE_HZ, np.zeros(RATE_HZ, np.int16)))
    assert lengths(result) == [(ANNOUNCED, 0.5)]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Hello", "got text"),
        (np.zeros(10, np.int16), "got an array alone"),
        (lambda: None, r"say\(<lambda>\(\)\)|a function"),
        (17, "got int"),
        ((24_000, "Hello"), "expected an array"),
        ((24_000, np.zeros((3, 3, 3), np.int16)), "shape"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_audio_is_refused_where_it_is_said(said: Any, words: str) -> None:
    refused: list[Exception] = []

    def remind(session: Any) -> None:
        try:
            session.say(said)
        except Exception as error:  # noqa: BLE001 - looked at below
            refused.append(error)

    handler = ReplyOnPause(lambda _audio: tone(REPLY, 0.5), startup_fn=after(0.1, remind))
    simulate(handler, (RATE_HZ, np.zeros(RATE_HZ, np.int16)))
    with pytest.raises(Exception, match=words):
        raise refused[0]


@pytest.mark.parametrize("is_one", [False, True])
def test_speech_over_it_is_an_interruption_only_if_the_program_takes_it_for_one(
    is_one: bool,  # noqa: FBT001 - a parameter
) -> None:
    def remind(session: Any) -> None:
        session.say(tone(ANNOUNCED, 0.1) for _ in range(60))

    handler = ReplyOnPause(
        lambda _audio: tone(REPLY, 0.5),
        startup_fn=after(0.2, remind),
        resume=True,
        is_interruption=lambda _audio: is_one,
        interrupt_after_s=30.0,
    )
    result = simulate(handler, question(at_s=1.5))
    said_s = sum(seconds for level, _, seconds in runs(result) if level == ANNOUNCED)
    if is_one:
        assert said_s < 2.5
        assert runs(result)[-1][0] == REPLY
    else:
        # 0.2 s come once more, but for the frames that were faded in.
        assert said_s == pytest.approx(6.2, abs=0.03)
        assert {level for level, _, _ in runs(result)} == {ANNOUNCED}


def test_a_generator_that_fails_is_reported_and_the_reply_goes_on() -> None:
    def failing() -> Iterator[Any]:
        yield tone(ANNOUNCED, 0.3)
        raise ValueError("no voice")

    def remind(session: Any) -> None:
        session.say(failing())

    at_s = reply_start_s() + 1.0
    handler = ReplyOnPause(lambda _audio: tone(REPLY, 3.0), startup_fn=after(at_s, remind))
    result = simulate(handler, question())
    assert sum(seconds for level, _, seconds in runs(result) if level == REPLY) == pytest.approx(
        3.0, abs=0.001
    )
    assert [event.data["error"].args for event in result.events if event.name == "error"] == [
        ("no voice",)
    ]


def test_more_than_can_wait_is_refused() -> None:
    refused = []

    def remind(session: Any) -> None:
        for _ in range(30):
            try:
                session.say(tone(ANNOUNCED, 0.05), when="silence")
            except HandlerError as error:
                refused.append(str(error))

    handler = ReplyOnPause(lambda _audio: tone(REPLY, 0.5), startup_fn=after(0.1, remind))
    result = simulate(handler, (RATE_HZ, np.zeros(RATE_HZ, np.int16)))
    said_s = sum(seconds for _, _, seconds in runs(result))
    assert said_s == pytest.approx(16 * 0.05, abs=0.01)
    assert len(refused) == 14
    assert "wait already" in refused[0]

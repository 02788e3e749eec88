"""The moments of simulated turns: each is right within a frame, since the times are known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.signals import labels, speech

from gradio_webrtc import (
    AdditionalOutputs,
    AlgoOptions,
    ReplyOnPause,
    StreamHandler,
    TurnTimings,
    get_current_context,
    get_turn,
)
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

NAME = "asterisk_hello_world_16k"
RATE_HZ, SAMPLES = speech(NAME)
LEAD_S = 0.5
END_S = LEAD_S + labels()[NAME]["utterances"][-1]["end_ms"] / 1000

FRAME_S = 0.02
PAUSE_S = 0.5
WINDOW_S = 0.032
"""Of the detector of speech: no event is more exact."""

SECOND = (24_000, np.full((1, 24_000), 1000, np.int16))


def recording(turns: int = 1, gap_s: float = 4.0) -> tuple[int, NDArray[np.int16]]:
    lead, gap = (np.zeros(round(each * RATE_HZ), np.int16) for each in (LEAD_S, gap_s))
    return RATE_HZ, np.concatenate([lead, *[SAMPLES, gap] * turns])


def answering(wait_s: float, *items: object) -> Callable[[Any], AsyncIterator[Any]]:
    async def answer(_audio: object) -> AsyncIterator[Any]:
        yield AdditionalOutputs("what was said")
        await asyncio.sleep(wait_s)
        for item in items or (SECOND,):
            yield item

    return answer


def only(simulation: Simulation) -> TurnTimings:
    (turn,) = simulation.turns
    assert simulation.stats.turns == (turn.timings,)
    return turn.timings


def near(moment_s: float) -> Any:
    return pytest.approx(moment_s, abs=FRAME_S)


@pytest.mark.parametrize("wait_s", [0.0, 0.15, 1.0])
def test_each_part_of_a_turn_is_right(wait_s: float) -> None:
    simulation = simulate(ReplyOnPause(answering(wait_s)), recording())
    turn = only(simulation)
    assert turn.number == 1
    assert turn.last_speech_s == pytest.approx(END_S, abs=0.15)
    assert turn.last_speech_s == near(simulation.turns[0].speech_end_s)
    assert turn.candidate_s is not None
    assert turn.decision_s == near(simulation.turns[0].pause_s)
    assert turn.pause_s == pytest.approx(PAUSE_S, abs=FRAME_S + WINDOW_S)
    assert turn.function_start_s == near(simulation.turns[0].pause_s)
    assert turn.function_s == near(wait_s)
    assert turn.wait_s == near(wait_s)
    assert turn.sending_s == near(0.0)
    assert turn.first_packet_s == near(simulation.turns[0].reply_start_s or 0.0)
    assert turn.heard_s == turn.first_packet_s
    assert turn.response_s == near((turn.pause_s or 0.0) + wait_s)
    assert (turn.discarded_starts, turn.was_interrupted) == (0, False)


def test_a_function_in_a_thread_takes_no_time_on_the_virtual_clock() -> None:
    turn = only(simulate(ReplyOnPause(lambda _audio: SECOND), recording()))
    assert (turn.function_s, turn.wait_s) == (near(0.0), near(0.0))


def test_a_speculative_function_begins_at_the_candidate() -> None:
    simulation = simulate(ReplyOnPause(answering(0.4), speculative=True), recording())
    turn = only(simulation)
    assert turn.function_start_s == turn.candidate_s
    assert turn.function_s == near(0.4)
    assert (turn.wait_s, turn.sending_s) == (0.0, near(0.0))
    assert turn.response_s == turn.pause_s == pytest.approx(0.832, abs=FRAME_S + WINDOW_S)


def test_a_speculative_function_that_takes_longer_is_waited_for() -> None:
    turn = only(simulate(ReplyOnPause(answering(1.0), speculative=True), recording()))
    assert turn.function_s == near(1.0)
    assert turn.wait_s == near(1.0 - (turn.pause_s or 0.0) + 0.192 + WINDOW_S / 2)


def test_starts_that_were_discarded_are_counted() -> None:
    gap = np.zeros(round(0.45 * RATE_HZ), np.int16)
    audio = np.concatenate(
        [np.zeros(RATE_HZ // 2, np.int16), SAMPLES[: RATE_HZ // 2], gap, SAMPLES]
    )
    simulation = simulate(ReplyOnPause(answering(0.1), speculative=True), (RATE_HZ, audio))
    turn = only(simulation)
    assert turn.discarded_starts == simulation.stats.events["reply_discarded"] > 0
    assert turn.function_start_s == turn.candidate_s
    assert turn.function_s == near(0.1)


def test_a_certain_turn_ends_at_the_estimate_of_a_model() -> None:
    class Certain:
        async def probability(self, *_: object, **__: object) -> float:
            await asyncio.sleep(0.05)
            return 1.0

    turn = only(simulate(ReplyOnPause(answering(0.2), turn_end=Certain()), recording()))
    assert (turn.decision_s or 0.0) - (turn.candidate_s or 0.0) == near(0.05)
    assert turn.function_s == near(0.2)


def test_a_turn_that_is_talked_over_before_its_audio_has_none() -> None:
    simulation = simulate(ReplyOnPause(answering(3.0)), recording(2, gap_s=1.0))
    first, second = (turn.timings for turn in simulation.turns)
    assert first.was_interrupted
    assert first.function_start_s is not None
    assert (first.first_item_s, first.first_packet_s, first.heard_s) == (None, None, None)
    assert not second.was_interrupted
    assert second.function_s == near(3.0)


def test_an_answer_that_is_talked_over_was_interrupted() -> None:
    simulation = simulate(ReplyOnPause(answering(0.1, *[SECOND] * 4)), recording(2, gap_s=2.0))
    first, second = (turn.timings for turn in simulation.turns)
    assert (first.was_interrupted, second.was_interrupted) == (True, False)
    assert first.function_s == near(0.1)
    assert [each.was_interrupted for each in simulation.stats.turns] == [True, False]


@pytest.mark.parametrize("items", [(AdditionalOutputs("nothing to add"),), ("no audio",)])
def test_a_turn_without_a_reply(items: tuple[object, ...]) -> None:
    turn = only(simulate(ReplyOnPause(answering(0.2, *items)), recording()))
    assert turn.function_start_s == near(turn.decision_s or 0.0)
    assert (turn.first_item_s, turn.response_s, turn.total_s) == (None, None, None)


class Writing(ReplyOnPause):
    def on_message(self, _data: object) -> None:
        self.trigger_response()


def test_a_written_turn_has_no_speech() -> None:
    silence = (16_000, np.zeros(32_000, np.int16))
    simulation = simulate(Writing(answering(0.3)), silence, messages=[(1.0, "Hello")])
    (turn,) = simulation.stats.turns
    assert (turn.last_speech_s, turn.candidate_s, turn.pause_s) == (None, None, None)
    assert turn.decision_s == near(1.0)
    assert turn.response_s == near(0.3)
    assert simulation.stats.reply_delays_s == (), "it counts detected pauses"


def test_an_answer_behind_the_end_of_another_is_sent_when_its_turn_has_come() -> None:
    async def answer(_audio: object) -> AsyncIterator[Any]:
        await asyncio.sleep(0.0 if get_turn().number == 1 else 0.3)
        yield 24_000, np.full((1, 48_000), 1000, np.int16)

    # The second turn is written while the last half second of the first reply waits to be sent.
    silence = (16_000, np.zeros(64_000, np.int16))
    simulation = simulate(Writing(answer), silence, messages=[(1.0, "One"), (2.5, "Two")])
    first, second = simulation.stats.turns
    assert first.response_s == near(0.0)
    assert second.wait_s == near(0.3)
    assert second.sending_s == pytest.approx(0.2, abs=2 * FRAME_S)
    assert second.first_packet_s == pytest.approx(3.0, abs=2 * FRAME_S)


def answering_behind_words(words_s: float, wait_s: float) -> Callable[[Any], AsyncIterator[Any]]:
    async def answer(_audio: object) -> AsyncIterator[Any]:
        words = 24_000, np.full((1, round(words_s * 24_000)), -1000, np.int16)
        session = get_current_context().session
        assert session is not None
        session.say(words)
        await asyncio.sleep(wait_s)
        yield SECOND

    return answer


@pytest.mark.parametrize("is_speculative", [False, True])
@pytest.mark.parametrize(("words_s", "wait_s"), [(0.3, 1.0), (3.0, 0.5), (0.3, 0.0), (3.0, 0.0)])
def test_words_while_the_function_works_are_not_its_answer(
    words_s: float,
    wait_s: float,
    is_speculative: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    answer = answering_behind_words(words_s, wait_s)
    simulation = simulate(ReplyOnPause(answer, speculative=is_speculative), recording(gap_s=8.0))
    rate_hz, samples = simulation.audio
    sent_s = int(np.argmax(samples[0] > 500)) / rate_hz
    assert only(simulation).first_packet_s == pytest.approx(sent_s, abs=2 * FRAME_S)


@pytest.mark.parametrize("what", ["clear", "interrupt"])
def test_an_answer_that_is_dropped_before_its_turn_has_come_was_not_heard(what: str) -> None:
    class Dropping(Writing):
        def on_message(self, data: object) -> None:
            if data == "clear":
                self.clear_queue()
            elif data == "interrupt":
                session = get_current_context().session
                assert session is not None
                session.interrupt()
            else:
                super().on_message(data)

    async def answer(_audio: object) -> AsyncIterator[Any]:
        await asyncio.sleep(0.0 if get_turn().number == 1 else 0.3)
        yield 24_000, np.full((1, 48_000), 1000, np.int16)

    silence = (16_000, np.zeros(64_000, np.int16))
    messages = [(1.0, "One"), (2.5, "Two"), (2.9, what)]
    simulation = simulate(Dropping(answer), silence, messages=messages)
    _, second = simulation.stats.turns
    assert second.first_item_s == near(2.8)
    assert (second.first_packet_s, second.heard_s) == (None, None)
    assert second.was_interrupted == (what == "interrupt")


class OwnEmit(StreamHandler):
    """Has no turns."""

    def receive(self, _frame: object) -> None: ...

    def emit(self) -> None: ...

    def copy(self) -> OwnEmit:
        return OwnEmit()


def test_a_handler_without_turns_has_no_timings() -> None:
    assert simulate(OwnEmit(), recording()).stats.turns == ()


def test_a_greeting_is_no_turn() -> None:
    handler = ReplyOnPause(answering(0.2), startup_fn=lambda: SECOND)
    assert only(simulate(handler, recording())).function_s == near(0.2)


def test_a_pause_of_any_length_is_that_of_the_timings() -> None:
    options = AlgoOptions(pause_s=1.2)
    turn = only(simulate(ReplyOnPause(answering(0.0), algo_options=options), recording()))
    assert turn.pause_s == pytest.approx(1.2, abs=FRAME_S + WINDOW_S)


def test_a_session_that_ends_meanwhile_has_what_came_until_then() -> None:
    limit_s = END_S + 1.0
    simulation = simulate(ReplyOnPause(answering(5.0)), recording(), time_limit_s=limit_s)
    turn = only(simulation)
    assert turn.function_start_s is not None
    assert (turn.first_item_s, turn.was_interrupted) == (None, False)


def test_an_item_without_audio_is_no_beginning_of_the_answer() -> None:
    async def answer(_audio: object) -> AsyncIterator[Any]:
        yield 24_000, np.zeros((1, 0), np.int16)
        await asyncio.sleep(1.0)
        yield SECOND

    turn = only(simulate(ReplyOnPause(answer), recording()))
    assert turn.sending_s == near(0.0)
    assert turn.wait_s == near(1.0)

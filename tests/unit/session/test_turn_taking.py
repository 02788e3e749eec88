"""Who speaks, or is about to: derived from the events of a session."""

from __future__ import annotations

import asyncio
import math

import pytest

from gradio_webrtc._session.turn_taking import MAX_AWAITED_S, TurnTaking


def talk(*events: tuple[str, int]) -> TurnTaking:
    taking = TurnTaking()
    for at_s, (name, turn) in enumerate(events):
        taking.note_event(name, {"turn": turn}, float(at_s))
    return taking


def test_silence_is_where_nothing_has_begun() -> None:
    assert TurnTaking().silent_in_s(3.0) == 0.0
    assert talk(("echo_ignored", 0), ("error", 0)).silent_in_s(2.0) == 0.0


@pytest.mark.parametrize(
    "events",
    [
        [("started_talking", 0)],
        [("response_starting", 1)],
        [("response_starting", 1), ("response_starting", 2), ("response_finished", 1)],
        [("pause_detected", 1), ("started_talking", 0)],
    ],
)
def test_it_is_not_silent_while_anybody_speaks(events: list[tuple[str, int]]) -> None:
    assert talk(*events).silent_in_s(1e9) == math.inf


@pytest.mark.parametrize("end", ["response_finished", "interrupted"])
def test_it_is_silent_once_the_answer_has_ended_or_was_cut_short(end: str) -> None:
    taking = talk(("started_talking", 0), ("pause_detected", 1), ("response_starting", 1), (end, 1))
    assert taking.silent_in_s(4.0) == 0.0
    assert not taking.is_replying


@pytest.mark.parametrize("decision", ["pause_detected", "response_triggered"])
def test_an_answer_is_due_for_a_time(decision: str) -> None:
    taking = talk(("started_talking", 0), (decision, 1))
    assert taking.silent_in_s(1.0) == MAX_AWAITED_S
    assert taking.silent_in_s(1.0 + MAX_AWAITED_S) == 0.0


def test_an_answer_that_never_began_is_due_no_more_once_it_was_cut_short() -> None:
    assert talk(("pause_detected", 1), ("interrupted", 1)).silent_in_s(1.0) == 0.0


def test_speech_that_was_no_interruption_is_over() -> None:
    taking = talk(("response_starting", 1), ("started_talking", 0), ("reply_resumed", 1))
    assert taking.silent_in_s(3.0) == math.inf
    taking.note_event("response_finished", {"turn": 1}, 3.0)
    assert taking.silent_in_s(3.0) == 0.0


def test_an_announcement_is_no_end_of_a_reply_to_no_turn() -> None:
    taking = talk(("response_starting", 0))
    taking.note_event("response_starting", {"turn": 0, "announcement": True}, 1.0)
    taking.note_event("response_finished", {"turn": 0, "announcement": True}, 2.0)
    assert taking.is_replying


async def test_whoever_waits_for_the_end_is_woken() -> None:
    taking = talk(("response_starting", 1))
    waiting = asyncio.get_running_loop().create_task(taking.until_replied())
    await asyncio.sleep(0)
    assert not waiting.done()
    taking.note_event("response_finished", {"turn": 1}, 1.0)
    await waiting

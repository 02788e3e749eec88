"""What an answer gives before it is certain: its order, its bound, and its end."""

from __future__ import annotations

from typing import Any

import pytest
from support.fake_session import FakeSession

from gradio_webrtc import get_turn
from gradio_webrtc._turns.current_turn import (
    MAX_HELD,
    CurrentTurn,
    Hold,
    current_turn,
    deferred,
)
from gradio_webrtc.errors import TurnDiscarded


class Log(list[Any]):
    """Keeps what was done, in order."""

    def note(self, what: object) -> Any:
        return lambda: self.append(what)


async def test_acts_and_items_keep_their_order() -> None:
    hold, log = Hold(FakeSession()), Log()
    for number in range(3):
        assert hold.defer(log.note(number))
        hold.put(f"item {number}")
    assert log == []
    hold.release()
    for number in range(3):
        assert hold.take() == (f"item {number}",)
        assert log == list(range(number + 1))
    assert hold.take() is None


async def test_acts_are_done_at_once_when_nothing_is_held_any_more() -> None:
    hold, log = Hold(FakeSession()), Log()
    hold.put("item")
    hold.release()
    assert hold.defer(log.note("behind the item"))
    assert hold.take() == ("item",)
    assert hold.take() is None
    assert log == ["behind the item"]
    assert not hold.defer(log.note("now"))


async def test_the_oldest_messages_are_dropped_where_there_are_too_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hold, log = Hold(FakeSession()), Log()
    hold.put("item")
    for number in range(MAX_HELD + 10):
        assert hold.defer(log.note(number))
    assert len(hold) == MAX_HELD
    assert "the oldest are dropped" in caplog.text
    hold.release()
    assert hold.take() == ("item",)
    assert hold.take() is None
    assert log == list(range(11, MAX_HELD + 10))


async def test_nothing_is_left_of_what_was_dropped(caplog: pytest.LogCaptureFixture) -> None:
    session, log = FakeSession(), Log()
    hold = Hold(session, 3)
    hold.put("item")
    hold.defer(log.note("early"))
    hold.drop()
    hold.put("late item")
    assert hold.defer(log.note("late"))
    with caplog.at_level("DEBUG"):
        hold.report(ValueError("nobody is shown this"))
    assert hold.take() is None
    assert (log, session.errors) == ([], [])
    assert "turn 3 was not over" in caplog.text


async def test_messages_that_were_on_their_way_survive_a_barge_in() -> None:
    session, log = FakeSession(), Log()
    hold = Hold(session)
    hold.put("item")
    hold.defer(log.note("message"))
    hold.release()
    hold.drop()
    assert log == ["message"]
    assert hold.take() is None
    hold.report(error := ValueError("in its clean-up"))
    assert session.errors == [error]


def test_without_speculation_a_turn_is_certain_from_the_start() -> None:
    turn = CurrentTurn(1)
    assert turn.is_certain
    turn.wait_until_certain()
    assert not turn.defer(lambda: None)


async def test_sync_waits_are_refused_where_they_could_never_return() -> None:
    turn = CurrentTurn(1, Hold(FakeSession()))
    with pytest.raises(RuntimeError, match="await get_turn"):
        turn.wait_until_certain()
    turn.decide(is_over=False)
    turn.decide(is_over=True)
    with pytest.raises(TurnDiscarded, match="turn 1"):
        turn.wait_until_certain()
    with pytest.raises(TurnDiscarded, match="turn 1"):
        await turn.certain()


def test_code_that_answers_no_turn_has_none() -> None:
    with pytest.raises(RuntimeError, match="no turn is answered here"):
        get_turn()
    assert not deferred(lambda: None)
    token = current_turn.set(turn := CurrentTurn(4))
    try:
        assert get_turn() is turn
    finally:
        current_turn.reset(token)

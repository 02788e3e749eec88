"""The moments of turns, from the events of a conversation and the frames that are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gradio_webrtc._session.turn_times import MAX_TURNS, TurnTimes

if TYPE_CHECKING:
    from gradio_webrtc import TurnTimings

CONNECTED_S = 100.0
DELAY_S = 0.125


class Talk:
    """A conversation on a clock that is set by hand; audio began when the session connected.

    Attributes:
        now_s: Seconds since then.
        lag_s: The time by which the loop is behind the audio.
        queued_s: The audio that waits to be sent.
        completed: The turns, as they were completed.
        changed: The same, and those that were interrupted later.
    """

    def __init__(self) -> None:
        self.now_s = self.lag_s = self.queued_s = 0.0
        self.completed: list[TurnTimings] = []
        self.changed: list[TurnTimings] = []
        self.times = TurnTimes(12.0)
        self.times.begin(CONNECTED_S, lambda: DELAY_S)
        self.times.on_complete = self.completed.append
        self.times.on_change = self.changed.append

    def event(self, name: str, at_s: float, **data: Any) -> bool:
        now_s = CONNECTED_S + at_s + self.lag_s
        return self.times.note_event(name, data, now_s, self.queued_s)

    def detect(self, name: str, at_s: float, **data: Any) -> bool:
        return self.event(name, at_s, time_s=at_s, speech_start_s=1.0, **data)

    def speak(self, number: int = 1, *, until_s: float = 2.0) -> bool:
        """A turn with its candidate 0.2 s and its decision 0.5 s behind the speech."""
        self.detect("started_talking", until_s - 0.8)
        self.detect("pause_candidate", until_s + 0.2, speech_end_s=until_s)
        return self.detect("pause_detected", until_s + 0.5, speech_end_s=until_s, turn=number)

    def begin(self, at_s: float, number: int = 1) -> bool:
        return self.times.note_moment("function_start_s", number, CONNECTED_S + at_s, self.queued_s)

    def give(self, at_s: float, number: int = 1) -> bool:
        return self.times.note_moment("first_item_s", number, CONNECTED_S + at_s, self.queued_s)

    def send(self, at_s: float) -> None:
        self.times.note_packet(CONNECTED_S + at_s)

    @property
    def turn(self) -> TurnTimings:
        (turn,) = self.completed
        return turn


def moments(turn: TurnTimings) -> tuple[float | None, ...]:
    found = (
        turn.last_speech_s,
        turn.candidate_s,
        turn.decision_s,
        turn.function_start_s,
        turn.first_item_s,
        turn.first_packet_s,
        turn.heard_s,
    )
    return tuple(None if each is None else round(each, 6) for each in found)


def test_a_turn_has_all_its_moments_since_the_session_connected() -> None:
    talk = Talk()
    assert talk.speak()
    assert not talk.event("response_starting", 2.5, turn=1)
    assert not talk.begin(2.51)
    assert not talk.give(2.91)
    assert talk.completed == []
    talk.send(2.93)
    assert moments(talk.turn) == (2.0, 2.2, 2.5, 2.51, 2.91, 2.93, 3.055)
    assert talk.turn.number == 1
    assert not talk.turn.was_interrupted
    talk.event("response_finished", 5.0, turn=1)
    assert talk.changed == talk.completed == [*talk.times.latest]


def test_what_a_blocked_loop_takes_is_no_part_of_the_speech() -> None:
    talk = Talk()
    talk.detect("started_talking", 1.2)
    talk.lag_s = 0.7
    talk.detect("pause_candidate", 2.2, speech_end_s=2.0)
    talk.detect("pause_detected", 2.5, speech_end_s=2.0, turn=1)
    talk.times.complete()
    assert moments(talk.turn)[:3] == (2.0, 2.9, 3.2)


def test_the_lag_of_one_turn_is_not_that_of_the_next() -> None:
    talk = Talk()
    talk.speak()
    # Its audio came 0.3 s later than that of the first turn, for good.
    talk.lag_s = 0.3
    talk.speak(2, until_s=6.0)
    talk.times.complete()
    assert moments(talk.completed[1])[:3] == (6.3, 6.5, 6.8)


def test_the_function_may_begin_before_the_decision_and_begin_again() -> None:
    talk = Talk()
    talk.detect("started_talking", 0.8)
    talk.detect("pause_candidate", 1.2, speech_end_s=1.0)
    talk.begin(1.2)
    talk.give(1.3)
    talk.detect("pause_cancelled", 1.4)
    talk.event("reply_discarded", 1.4, turn=1)
    talk.detect("pause_candidate", 2.2, speech_end_s=2.0)
    talk.begin(2.2)
    talk.give(2.6)
    assert talk.detect("pause_detected", 2.83, speech_end_s=2.0, turn=1)
    talk.event("response_starting", 2.83, turn=1)
    talk.send(2.84)
    assert moments(talk.turn) == (2.0, 2.2, 2.83, 2.2, 2.6, 2.84, 2.965)
    assert talk.turn.discarded_starts == 1
    assert talk.turn.wait_s == 0
    assert talk.turn.function_s == pytest.approx(0.4)
    assert talk.turn.sending_s == pytest.approx(0.01)


def test_an_answer_that_was_dropped_leaves_nothing_in_its_turn() -> None:
    talk = Talk()
    talk.detect("started_talking", 0.8)
    talk.detect("pause_candidate", 1.2, speech_end_s=1.0)
    talk.begin(1.2)
    talk.event("reply_discarded", 1.4, turn=1)
    talk.event("response_triggered", 1.5, turn=1)
    talk.times.complete()
    assert moments(talk.turn) == (None, None, 1.5, None, None, None, None)
    assert talk.turn.discarded_starts == 1


def test_a_written_turn_counts_from_its_decision() -> None:
    talk = Talk()
    assert talk.event("response_triggered", 3.0, turn=1)
    talk.begin(3.0)
    talk.give(3.25)
    talk.send(3.25)
    assert moments(talk.turn) == (None, None, 3.0, 3.0, 3.25, 3.25, 3.375)
    assert (talk.turn.response_s, talk.turn.pause_s) == (0.25, None)


def test_a_turn_without_an_answer_is_complete_at_its_end() -> None:
    talk = Talk()
    talk.speak()
    talk.begin(2.5)
    talk.event("response_finished", 2.7, turn=1)
    assert moments(talk.turn) == (2.0, 2.2, 2.5, 2.5, None, None, None)
    talk.send(9.0)
    assert talk.turn.first_packet_s is None


def test_the_end_of_the_function_may_come_before_the_first_packet() -> None:
    talk = Talk()
    talk.speak()
    talk.begin(2.5)
    talk.give(2.6)
    talk.event("response_finished", 2.6, turn=1)
    assert talk.completed == []
    talk.send(2.61)
    assert talk.turn.first_packet_s == pytest.approx(2.61)


def test_where_nothing_is_sent_the_end_of_the_function_completes_a_turn() -> None:
    talk = Talk()
    talk.times.plays = False
    talk.speak()
    talk.begin(2.5)
    talk.give(2.6)
    talk.event("response_finished", 2.7, turn=1)
    assert moments(talk.turn) == (2.0, 2.2, 2.5, 2.5, 2.6, None, None)


def test_an_interruption_before_the_audio_completes_a_turn() -> None:
    talk = Talk()
    talk.speak()
    talk.begin(2.5)
    talk.detect("started_talking", 2.8)
    talk.event("interrupted", 2.8, turn=1)
    assert talk.turn.was_interrupted
    assert talk.turn.first_item_s is None
    talk.send(2.81)
    assert len(talk.completed) == 1


def test_an_interruption_behind_the_first_audio_is_noted_and_completes_nothing_twice() -> None:
    talk = Talk()
    talk.speak()
    talk.begin(2.5)
    talk.give(2.6)
    talk.send(2.6)
    talk.event("interrupted", 4.0, turn=1)
    assert [each.was_interrupted for each in talk.completed] == [False]
    assert [each.was_interrupted for each in talk.changed] == [False, True]
    assert [each.was_interrupted for each in talk.times.latest] == [True]
    talk.event("interrupted", 4.0, turn=7)
    assert len(talk.changed) == 2


def test_the_next_decision_and_the_end_complete_a_turn_that_is_open() -> None:
    talk = Talk()
    talk.speak()
    talk.speak(2, until_s=6.0)
    assert [each.number for each in talk.completed] == [1]
    talk.times.end()
    assert [each.number for each in talk.completed] == [1, 2]
    talk.speak(3, until_s=9.0)
    talk.times.complete()
    assert len(talk.completed) == 2, "a session that is over has no more turns"


def test_frames_of_something_else_are_not_the_answer() -> None:
    talk = Talk()
    talk.queued_s = 0.4
    assert not talk.speak(), "what is sent next is the end of another reply"
    talk.begin(2.5)
    talk.send(2.51)
    assert talk.completed == []
    talk.queued_s = 0.0
    assert talk.give(3.0), "from now on it is the answer"
    talk.send(3.01)
    assert talk.turn.first_packet_s == pytest.approx(3.01)


def test_the_answer_is_sent_behind_what_is_queued() -> None:
    talk = Talk()
    talk.queued_s = 0.4
    talk.speak()
    talk.begin(2.5)
    talk.queued_s = 0.3
    assert not talk.give(2.6)
    talk.send(2.7)
    assert talk.completed == [], "that was of something else"
    assert talk.times.note_next()
    talk.send(2.9)
    assert moments(talk.turn)[4:] == (2.6, 2.9, 3.025)
    assert not talk.times.note_next()
    assert len(talk.completed) == 1


@pytest.mark.parametrize("name", ["interrupted", "response_finished"])
def test_an_answer_behind_what_is_queued_that_ends_before_its_place_was_never_sent(
    name: str,
) -> None:
    talk = Talk()
    talk.queued_s = 0.4
    talk.speak()
    talk.begin(2.5)
    talk.give(2.6)
    talk.event(name, 2.7, turn=1)
    assert not talk.times.note_next()
    assert moments(talk.turn)[4:] == (2.6, None, None)
    assert talk.turn.was_interrupted == (name == "interrupted")


def test_audio_that_comes_while_the_function_runs_is_none_of_it() -> None:
    talk = Talk()
    talk.speak()
    talk.begin(2.5)
    talk.send(2.6)
    assert talk.completed == []
    assert talk.give(2.9)
    talk.send(2.9)
    assert talk.turn.first_packet_s == pytest.approx(2.9)


def test_audio_without_a_function_is_the_answer_of_an_emit_of_ones_own() -> None:
    talk = Talk()
    talk.speak()
    talk.send(2.7)
    assert moments(talk.turn) == (2.0, 2.2, 2.5, None, None, 2.7, 2.825)


def test_a_service_that_detects_turns_has_a_clock_of_its_own() -> None:
    talk = Talk()
    talk.event("started_talking", 1.0, speech_start_s=0.7)
    talk.event("pause_detected", 2.6, turn=1, speech_start_s=0.7, speech_end_s=1.7)
    talk.event("response_starting", 2.8, turn=1)
    talk.send(2.8)
    assert moments(talk.turn) == (None, None, 2.6, 2.8, None, 2.8, 2.925)


def test_an_answer_to_no_turn_has_no_timings() -> None:
    talk = Talk()
    talk.begin(0.1, 0)
    talk.give(0.2, 0)
    talk.send(0.2)
    talk.event("response_finished", 1.0, turn=0)
    assert talk.completed == []
    talk.speak()
    talk.times.complete()
    assert talk.turn.function_start_s is None


def test_moments_of_a_turn_that_is_over_change_nothing() -> None:
    talk = Talk()
    talk.speak()
    talk.send(2.7)
    talk.begin(5.2, 2)
    talk.begin(5.3, 1)
    talk.give(5.4, 1)
    talk.speak(2, until_s=5.0)
    talk.times.complete()
    assert moments(talk.completed[1])[3:5] == (5.2, None)


def test_the_latest_turns_are_kept() -> None:
    talk = Talk()
    for number in range(1, MAX_TURNS + 20):
        talk.event("response_triggered", number, turn=number)
    assert [each.number for each in talk.times.latest] == list(range(19, MAX_TURNS + 19))

"""The moments of the user's turns in one session, collected as they come.

Runs on the event loop. Decides nothing, and sends nothing: `turn_reports` passes on what is
complete.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from gradio_webrtc._turn_timings import TurnTimings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_TURNS: Final = 100
"""Turns that are kept, the latest: some ten minutes of a conversation."""


class TurnTimes:
    """Collects the moments of a session's turns, and completes each turn once.

    A turn is complete when its first audio is on its way to the user, when it ended without any, or
    when the next one is decided. Moments that come before its decision, such as the start of an
    answer that is held back, are kept for it.

    Audio is counted by another clock than that of the event loop. The two differ by the least lag
    with which an event of the turn came: what comes later, since the loop was blocked, is part of
    the delay, and not of the user's speech.

    Args:
        now_s: The time of the event loop, in seconds.

    Attributes:
        latest: The turns that are complete, the latest `MAX_TURNS`.
        on_complete: Called once with each turn, when it is complete.
        on_change: Called with each turn that is complete, and again when it was interrupted after
            that.
        on_behind: Called when the answer to a turn is next, behind what is queued or announced:
            `note_next` is to be called when that was sent. With True if the answer's beginning is
            queued already, and all that waits is of it.
        plays: False if nothing is sent to the client: the first packet is not waited for.
    """

    def __init__(self, now_s: float) -> None:
        self.latest: deque[TurnTimings] = deque(maxlen=MAX_TURNS)
        self.on_complete: Callable[[TurnTimings], object] = _ignore
        self.on_change: Callable[[TurnTimings], object] = _ignore
        self.on_behind: Callable[[bool], object] = _do_nothing
        self.plays = True
        self._origin_s = now_s
        # The time of the loop at which the audio of the turn began to be counted.
        self._audio_origin_s = math.inf
        self._current: TurnTimings | None = None
        self._next = TurnTimings(0)
        self._last_number = 0
        self._function_turn = 0
        # The frames that are sent are those of something else.
        self._is_behind = False
        self._waits_for_place = False
        self._delay_s: Callable[[], float] = _no_delay

    @property
    def origin_s(self) -> float:
        """The time of the event loop from which moments are counted, in seconds."""
        return self._origin_s

    def begin(self, now_s: float, delay_s: Callable[[], float]) -> None:
        """Counts the moments from now on: the session is connected.

        Args:
            now_s: The time of the event loop, in seconds.
            delay_s: Returns the time from a packet to the moment at which the client has played it,
                in seconds.
        """
        self._origin_s = now_s
        self._delay_s = delay_s

    def end(self) -> None:
        """Completes the turn that is open, and drops the callbacks."""
        self.complete()
        self.on_complete = self.on_change = _ignore
        self.on_behind = _do_nothing
        self._delay_s = _no_delay

    def note_event(self, name: str, data: Mapping[str, Any], now_s: float, queued_s: float) -> bool:
        """Takes an event of the conversation.

        Args:
            name: Its name.
            data: Its data, of which a turn's number and the times of the audio count.
            now_s: The time of the event loop, in seconds.
            queued_s: The audio that waits to be sent, in seconds; infinite during an announcement.

        Returns:
            True if the next frame that is sent is the first of the answer to a turn.
        """
        if name == "started_talking":
            self._audio_origin_s = math.inf
            self._next = replace(self._next, candidate_s=None)
        if (time_s := data.get("time_s")) is not None:
            self._audio_origin_s = min(self._audio_origin_s, now_s - time_s)
        match name, data.get("turn", 0):
            case "pause_candidate", _:
                self._next = replace(self._next, candidate_s=now_s - self._origin_s)
            case "pause_cancelled", _:
                self._next = replace(self._next, candidate_s=None)
            case "pause_detected" | "response_triggered", int(number) if number > 0:
                return self._decide(name, number, data, now_s, queued_s)
            case (
                ("reply_discarded" | "response_starting" | "interrupted" | "response_finished"),
                n,
            ):
                self._note_reply(name, n, now_s)
        return False

    def note_moment(
        self,
        moment: Literal["function_start_s", "first_item_s"],
        number: int,
        now_s: float,
        queued_s: float,
    ) -> bool:
        """Takes a moment in an answer, also in one that is held back; see `note_event`."""
        if number <= self._last_number:
            return False
        if moment == "function_start_s":
            self._function_turn = number
        times: dict[str, Any] = {moment: now_s - self._origin_s}
        if self._current is None or self._current.number != number:
            self._next = replace(self._next, number=number, **times)
            return False
        self._current = replace(self._current, **times)
        is_item = moment == "first_item_s" and self._is_behind
        return is_item and self._follow(queued_s)

    def note_next(self) -> bool:
        """What was before the answer was sent; returns True if the next frame is its first."""
        was_waiting, self._waits_for_place = self._waits_for_place, False
        if was_waiting:
            self._is_behind = False
        return was_waiting

    def note_packet(self, time_s: float, *, is_announced: bool = False) -> None:
        """Takes the first frame that was sent after it was expected.

        Args:
            time_s: The time of the event loop at which it was passed on, in seconds.
            is_announced: True if it may be one of an announcement.
        """
        turn = self._current
        if turn is None:
            return
        if turn.number == self._function_turn and turn.first_item_s is None:
            self._is_behind = True
        elif is_announced and not self._is_behind:
            self._follow(math.inf, is_queued=True)
        if not self._is_behind:
            sent_s = time_s - self._origin_s
            self._current = replace(turn, first_packet_s=sent_s, heard_s=sent_s + self._delay_s())
            self.complete()

    def complete(self) -> None:
        """Completes the turn that is open, if any, with what is there."""
        turn, self._current = self._current, None
        self._waits_for_place = False
        if turn is not None:
            self._last_number = turn.number
            self.latest.append(turn)
            self.on_change(turn)
            self.on_complete(turn)

    def _decide(
        self, name: str, number: int, data: Mapping[str, Any], now_s: float, queued_s: float
    ) -> bool:
        self.complete()
        turn, self._next = self._next, TurnTimings(0)
        if turn.number != number:
            # What was begun was for a turn that never came.
            turn = TurnTimings(number, candidate_s=turn.candidate_s)
        decision_s = now_s - self._origin_s
        last_s = None if name == "response_triggered" else self._last_speech_s(data, decision_s)
        if last_s is None:
            turn = replace(turn, candidate_s=None)
        self._current = replace(turn, decision_s=decision_s, last_speech_s=last_s)
        self._is_behind = queued_s > 0
        if self._is_behind and turn.first_item_s is not None:
            return self._follow(queued_s)
        return not self._is_behind

    def _last_speech_s(self, data: Mapping[str, Any], decision_s: float) -> float | None:
        end_s = data.get("speech_end_s", data.get("time_s"))
        if end_s is None or self._audio_origin_s == math.inf:
            # A service has detected the turn, on a clock of its own.
            return None
        last_s = self._audio_origin_s + end_s - self._origin_s
        return float(min(max(last_s, 0.0), decision_s))

    def _follow(self, queued_s: float, *, is_queued: bool = False) -> bool:
        """The answer is next, behind what is queued; see `note_event`."""
        self._is_behind = self._waits_for_place = queued_s > 0
        if self._is_behind:
            # It takes no known time: what is queued may be held, dropped, or put aside.
            self.on_behind(is_queued)
        return not self._is_behind

    def _note_reply(self, name: str, number: int, now_s: float) -> None:
        if name == "reply_discarded":
            if number == self._next.number:
                starts = self._next.discarded_starts + 1
                self._next = replace(
                    self._next, function_start_s=None, first_item_s=None, discarded_starts=starts
                )
            return
        turn = self._current
        if turn is None or turn.number != number:
            if name == "interrupted":
                self._note_late_interruption(number)
        elif name == "response_starting" and turn.function_start_s is None:
            self._current = replace(turn, function_start_s=now_s - self._origin_s)
        elif name == "interrupted":
            self._current = replace(turn, was_interrupted=True)
            self.complete()
        elif name == "response_finished" and (
            turn.first_item_s is None or self._waits_for_place or not self.plays
        ):
            self.complete()

    def _note_late_interruption(self, number: int) -> None:
        for at in range(len(self.latest) - 1, -1, -1):
            if self.latest[at].number == number:
                self.latest[at] = turn = replace(self.latest[at], was_interrupted=True)
                self.on_change(turn)
                return


def _ignore(_turn: TurnTimings) -> None: ...


def _do_nothing(_is_queued: bool) -> None: ...  # noqa: FBT001 - the form of a callback


def _no_delay() -> float:
    return 0.0

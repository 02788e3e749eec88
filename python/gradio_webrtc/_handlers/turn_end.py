"""Turns that end before their pause, where a model is certain that the user has finished.

Runs on the event loop.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from gradio_webrtc._turns.options import own_instance
from gradio_webrtc._turns.turn_end import (
    Candidate,
    TurnEndEstimator,
    check_turn_end,
    threshold_of,
)
from gradio_webrtc._workers.workers import Worker

from .speculative import SpeculativeTurnHandler

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._turns.detector import TurnDetector, TurnEvent
    from gradio_webrtc.types import SessionHandle, TurnEndModel


class TurnEndHandler(SpeculativeTurnHandler):
    """A `SpeculativeTurnHandler` whose turns may end at their candidate.

    A subclass calls `_rtc_set_turn_end` once it is set up, and `_rtc_estimate` at each candidate.

    Attributes:
        turn_end: As given, or ``None``.
    """

    turn_end: TurnEndModel | type | None = None

    _rtc_detector: TurnDetector | None = None
    _rtc_detector_lock: threading.Lock
    _rtc_detector_rate_hz: int

    def _rtc_set_turn_end(self, turn_end: Any, *, in_blocks: bool) -> None:
        """Takes the argument ``turn_end``."""
        if turn_end is None:
            return
        check_turn_end(turn_end)
        if in_blocks:
            raise ValueError("turn_end has no effect with turns that are detected in blocks")
        if self._rtc_emit_is_overridden:
            warnings.warn(
                f"turn_end has no effect in {type(self).__name__}: its own emit() answers turns",
                UserWarning,
                stacklevel=4,
            )
            return
        self.turn_end = turn_end

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_turn_ends: TurnEndEstimator | None = None

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        if self.turn_end is not None and not self._rtc_emit_is_overridden:
            model = own_instance(self.turn_end)
            threshold_of(model)
            worker = Worker(f"turn-end-{session.webrtc_id[:8]}", type(model).__name__)
            self._rtc_turn_ends = TurnEndEstimator(model, worker, session, self._rtc_note_estimate)

    async def release(self) -> None:
        """Ends the estimate and the reply under way; see `TurnHandler.release`."""
        # First: an estimate of now would begin an answer.
        estimator, self._rtc_turn_ends = self._rtc_turn_ends, None
        if estimator is not None:
            await estimator.close()
        await super().release()

    def _rtc_estimate(self, event: TurnEvent, audio: NDArray[np.int16]) -> None:
        """Has the model estimate a candidate."""
        if self._rtc_turn_ends is not None:
            candidate = Candidate(event, self._rtc_detector_rate_hz, audio)
            self._rtc_turn_ends.estimate(candidate)

    def _rtc_note_estimate(
        self,
        candidate: Candidate,
        probability: float,
        is_certain: bool,  # noqa: FBT001 - a callback's
    ) -> None:
        event, detector = candidate.event, self._rtc_detector
        self._rtc_bound_session.event(
            "turn_end_estimated",
            turn=self._rtc_turns + 1,
            probability=probability,
            is_certain=is_certain,
            **event.times(),
        )
        if not is_certain or detector is None or event.speech_end_s is None:
            return
        with self._rtc_detector_lock:
            ended = detector.end_turn(event.speech_end_s)
        # The user may have gone on, or the pause be over: those events come next.
        if ended is not None:
            self._rtc_take_events([ended])

    def _rtc_decision(self, event: TurnEvent) -> dict[str, object]:
        """Returns the data of the end of a turn: its times, and what has decided."""
        if self.turn_end is None:
            return {**event.times()}
        return {**event.times(), "decided_by": "turn_end" if event.is_early else "pause"}

    def _rtc_drop_estimate(self) -> None:
        if self._rtc_turn_ends is not None:
            self._rtc_turn_ends.drop()

    def _rtc_note_resumed(self) -> None:
        self._rtc_drop_estimate()
        super()._rtc_note_resumed()

    def _rtc_drop_held(self) -> None:
        self._rtc_drop_estimate()
        super()._rtc_drop_held()

    def _rtc_commit(self) -> None:
        self._rtc_drop_estimate()
        super()._rtc_commit()

    def _rtc_take_events(self, events: Iterable[TurnEvent]) -> None:
        """Acts on what was found; of a subclass that detects."""
        raise NotImplementedError

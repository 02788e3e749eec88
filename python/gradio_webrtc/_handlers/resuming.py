"""Speech over an answer that may be no interruption: the answer waits, and goes on or ends.

Runs on the event loop.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from gradio_webrtc._turns.detector import InboundTurnDetector, PauseTurnDetector
from gradio_webrtc._turns.interruption import INTERRUPT_AFTER_S, HandlerActs, Interrupter
from gradio_webrtc._turns.options import candidate_silence_s
from gradio_webrtc._workers.workers import UserFunction, Worker

from .detection import DetectingTurnHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._legacy.argument_orders import ReplyOptions
    from gradio_webrtc._turns.detector import TurnEvent
    from gradio_webrtc.types import AudioFrame, SessionHandle


class ResumingTurnHandler(DetectingTurnHandler):
    """A `DetectingTurnHandler` whose answers may go on after speech over them.

    A subclass passes the events of a turn to `_rtc_interrupter`, if there is one.
    """

    _rtc_interrupter: Interrupter | None = None
    _rtc_is_interruption: Callable[[AudioFrame], Any] | None = None
    _rtc_interrupt_after_s = INTERRUPT_AFTER_S
    _rtc_hook_worker: Worker | None = None

    _rtc_word_interrupts = False
    """Nothing else does: speech over an answer is ignored."""

    def _rtc_set_resuming(self, options: ReplyOptions) -> None:
        """Takes the arguments that concern it.

        Raises:
            ValueError: They contradict others.
        """
        if not options.resume:
            return
        if self._rtc_emit_is_overridden or self._rtc_word_interrupts:
            reason = "the word alone interrupts"
            if self._rtc_emit_is_overridden:
                reason = "its own emit() answers turns"
            name = type(self).__name__
            message = f"resume has no effect in {name}: {reason}"
            warnings.warn(message, UserWarning, stacklevel=3 + self._rtc_word_interrupts)
            return
        if self._rtc_detects_in_blocks:
            raise ValueError("resume has no effect with turns that are detected in blocks")
        least_s = self.algo_options.started_talking_threshold
        if not least_s < options.interrupt_after_s < math.inf:
            raise ValueError(
                f"interrupt_after_s is longer than started_talking_threshold, {least_s:g} s, "
                f"got {options.interrupt_after_s!r}"
            )
        self._rtc_is_interruption = options.is_interruption
        self._rtc_interrupt_after_s = options.interrupt_after_s

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_interrupter, self._rtc_hook_worker = None, None

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        if self._rtc_is_interruption is None:
            return
        session.allow_holds()
        name = f"interruption-{session.webrtc_id[:8]}"
        self._rtc_hook_worker = Worker(name, type(self).__name__)
        self._rtc_interrupter = Interrupter(
            session,
            self._rtc_reply_queue,
            self._rtc_acts,
            UserFunction(self._rtc_is_interruption, self._rtc_hook_worker),
            self._rtc_interrupt_after_s,
            candidate_silence_s(self.algo_options, self.speculative),
        )

    async def release(self) -> None:
        """Ends the reply under way; see `TurnHandler.release`."""
        if self._rtc_interrupter is not None and self._rtc_hook_worker is not None:
            await self._rtc_interrupter.close()
            self._rtc_hook_worker.close()
            # It refers back to the handler, which is to be freed with its session.
            self._rtc_interrupter = None
        await super().release()

    @property
    def _rtc_is_held(self) -> bool:
        """True while an answer waits for the decision about speech over it."""
        return self._rtc_interrupter is not None and self._rtc_interrupter.is_held

    def _rtc_note_responding(self) -> None:
        super()._rtc_note_responding()
        if self._rtc_interrupter is not None and not self.can_interrupt:
            self._rtc_on_loop(self._rtc_give_way)

    def _rtc_give_way(self) -> None:
        if self._rtc_interrupter is not None and not self.can_interrupt:
            self._rtc_interrupter.give_way()

    @property
    def _rtc_acts(self) -> HandlerActs:
        return HandlerActs(
            utterance=self._rtc_utterance,
            may_interrupt=lambda: self.can_interrupt,
            interrupt=self._rtc_interrupt,
            answer=self._rtc_answer_withheld,
            disregard=self._rtc_disregard,
            note_resumed=self._rtc_note_no_turn,
            note_candidate=self._rtc_note_candidate,
        )

    def _rtc_note_candidate(self, event: TurnEvent) -> None:
        """Begins an answer if the open turn may be over; a subclass does."""

    def _rtc_answer_withheld(self, event: TurnEvent) -> None:
        """Has a turn answered that is over; a subclass does."""

    def _rtc_utterance(self) -> AudioFrame:
        with self._rtc_detector_lock:
            return self._rtc_detector_rate_hz, self._rtc_bound_detector.utterance_so_far()

    def _rtc_disregard(self) -> None:
        with self._rtc_detector_lock:
            detector = self._rtc_bound_detector
            if isinstance(detector, InboundTurnDetector | PauseTurnDetector):
                detector.disregard()

    def _rtc_note_no_turn(self) -> None:
        self.state.started_talking = False
        if not (self._rtc_reply_queue.is_responding or self._rtc_event.is_asked):
            # Its end may have set it.
            self._rtc_event.clear()

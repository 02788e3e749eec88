"""Answers that are begun before it is certain that the turn is over.

Runs on the event loop.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from gradio_webrtc._turns.options import as_speculation
from gradio_webrtc._turns.speculation import SpeculativeReply, Speculator
from gradio_webrtc.types import WebRTCData

from .turn_handler import TurnHandler

if TYPE_CHECKING:
    from gradio_webrtc._legacy.argument_orders import ReplyOptions
    from gradio_webrtc._turns.replies import Turn
    from gradio_webrtc.types import AudioFrame, SessionHandle


class SpeculativeTurnHandler(TurnHandler):
    """A `TurnHandler` whose turns may be answered before they are certain to be over.

    A subclass calls `_rtc_speculate` and `_rtc_note_resumed` as its detector finds, and at the end
    of the turn `_rtc_commit`, if an answer is held.

    Attributes:
        speculative: The terms, or ``None`` without speculation.
    """

    def __init__(self, fn: Any, options: ReplyOptions) -> None:
        super().__init__(fn, options)
        self.speculative = as_speculation(options.speculative)
        if self.speculative is not None and self._rtc_emit_is_overridden:
            warnings.warn(
                f"speculative has no effect in {type(self).__name__}: its own emit() answers turns",
                UserWarning,
                stacklevel=4,
            )
            self.speculative = None

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_speculator: Speculator | None = None
        self._rtc_spent_text = ""

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        if self.speculative is not None and not self._rtc_emit_is_overridden:
            make_reply = partial(self._rtc_make_reply, kind=SpeculativeReply)
            self._rtc_speculator = Speculator(
                self.speculative, self._rtc_reply_queue, make_reply, self._rtc_note_discarded
            )

    async def release(self) -> None:
        """Ends the reply under way; see `TurnHandler.release`."""
        await super().release()
        # It refers back to the handler, which is to be freed with its session.
        self._rtc_speculator = None

    def set_args(self, args: list[Any]) -> None:
        """Takes the client's input values and its written text; see `TurnHandler.set_args`."""
        super().set_args(args)
        head = self.latest_args[0]
        if isinstance(head, WebRTCData) and head.textbox:
            self._rtc_on_loop(self._rtc_note_text)

    def _rtc_note_text(self) -> None:
        """Drops the answer that is held, and has begun without a text that belongs to its turn."""
        if self._rtc_speculator is not None and self._rtc_reply_queue.has_begun_early:
            self._rtc_speculator.resumed()

    @property
    def _rtc_is_holding(self) -> bool:
        """True while an answer is held that is to be played if the turn is over.

        Not the one in whose place a subclass has set another.
        """
        speculator = self._rtc_speculator
        return speculator is not None and speculator.is_holding and self._rtc_set_generator is None

    def _rtc_speculate(self, turn: Turn) -> None:
        """Has the answer begun to a turn that may be over."""
        if self._rtc_speculator is not None and self._rtc_set_generator is None:
            self._rtc_spent_text = ""
            self._rtc_speculator.candidate(turn)

    def _rtc_note_resumed(self) -> None:
        """Drops the answer that is held: the user talks on."""
        if self._rtc_speculator is not None:
            self._rtc_speculator.resumed()

    def _rtc_drop_held(self) -> None:
        """Drops the answer that is held: the turn is answered otherwise, or ignored."""
        if self._rtc_speculator is not None:
            self._rtc_speculator.dropped()

    def _rtc_commit(self) -> None:
        """Makes the answer that is held the one under way: the turn is over."""
        self._rtc_missed = None
        if self._rtc_speculator is not None:
            self._rtc_speculator.pause()
        self._rtc_event.mark()

    def _rtc_note_discarded(self) -> None:
        """Takes back what an answer that was dropped has used up."""
        self._rtc_text = self._rtc_text or self._rtc_spent_text
        if not self.phone_mode:
            self.args_set.clear()

    def _rtc_component_value(self, turn: Turn) -> WebRTCData | AudioFrame:
        self._rtc_spent_text = self._rtc_text
        return super()._rtc_component_value(turn)

    def _rtc_take(self, turn: Turn) -> Turn:
        self._rtc_drop_held()
        return super()._rtc_take(turn)

    def _rtc_enqueue(self, turn: Turn) -> None:
        self._rtc_drop_held()
        super()._rtc_enqueue(turn)

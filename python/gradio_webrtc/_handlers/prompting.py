"""Answers that a subclass asks for itself, by ``event`` and ``generator``.

With the predecessors, ``emit`` looked at both all the time: once ``event`` was set it played
``generator``, or what ``fn`` gave for ``state.stream``. Here nobody looks: whoever sets them tells
the handler, which heeds it on the call's loop. Only a subclass with an ``emit`` of its own looks as
ever, so for such a one a turn is kept in ``state`` until its ``emit`` takes it or asks ours to.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradio_webrtc._legacy.blocks import AppState
from gradio_webrtc._turns.reply import Turn
from gradio_webrtc._turns.runner import as_playable

from .reply_signal import ReplySignal
from .stream_handler import StreamHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    from gradio_webrtc._turns.replies import ReplyQueue
    from gradio_webrtc._turns.runner import Playable
    from gradio_webrtc.types import AudioFrame

SECOND_HALF_S: Final = 0.02
"""How long an ``event`` that was set in silence waits for the ``generator`` that may be meant. The
two are set one after the other, in any order and any thread; the predecessors' ``emit`` was asked
as seldom as this."""

LONGEST_RECEIVE_S: Final = 2.0
"""How long a ``receive`` that has not returned keeps back what it asked for: one that waits for the
answer itself would never return. The predecessor's waits 1 s for a generator to close."""

_logger = logging.getLogger(__name__)


class Prompting(StreamHandler):
    """What answers when it is told to. See `TurnHandler`, the only subclass."""

    is_async: bool
    can_interrupt: bool

    def _forget_call(self) -> None:
        super()._forget_call()
        self._event = ReplySignal(self._on_asked)
        self.state: AppState = self.state.new() if "state" in vars(self) else AppState()
        self._replies: ReplyQueue | None = None
        self._turns = 0
        self._asks_us = self._is_settling = self._has_waited = False
        # Set from outside, and not played yet.
        self._held: Any = None
        # What was said when `event` was set over a reply that has ended by itself since.
        self._missed: tuple[int, NDArray[Any]] | None = None
        # The sound in `state` of which a turn was made already.
        self._mirrored: NDArray[Any] | None = None
        # What a `receive` asked for that has not returned yet, and the thread that it runs in.
        self._postponed: deque[Callable[[], None]] = deque()
        self._receiving: int | None = None
        # Found, and left in this state for a subclass's own emit.
        self._kept: tuple[Turn, AppState] | None = None

    @property
    def event(self) -> threading.Event:
        """Set while there is something to answer, or an answer under way.

        A subclass that sets it, in any thread, has ``state.stream`` answered by ``fn``, or
        ``generator`` played if it has set that one, before or after. While an answer is under way
        nothing comes of it, unless the subclass ends that one by ``generator = None``.
        """
        return self._event

    @event.setter
    def event(self, event: threading.Event) -> None:
        # One that tells nobody would never be heeded.
        if event.is_set():
            self._event.set()
        else:
            self._event.clear()

    @property
    def generator(self) -> Any:
        """The answer under way, or ``None``.

        Setting a generator, sync or async, or any other iterator has it played, in place of
        ``fn``'s answer, as soon as ``event`` is set; at once if an answer is under way. Setting
        ``None`` ends the answer under way. From any thread.

        Raises:
            TypeError: It was set to something that cannot be iterated.
        """
        if self._held is not None or self._replies is None:
            return self._held
        return self._replies.generator

    @generator.setter
    def generator(self, generator: Any) -> None:
        if self.emits_by_itself:
            self._held = generator
        elif generator is not None or not self._is_settling:
            self._held = None if generator is None else as_playable(generator)
            self._soon(self._end_answer if generator is None else self._heed)

    async def async_iterate(self, generator: AsyncIterator[Any]) -> Any:
        """The next item of an async generator, for an ``emit`` of one's own."""
        return await anext(generator)

    def _close_generator(self) -> None:
        """Ends the answer under way; subclasses of old call it before ``generator = None``."""
        if not self.emits_by_itself:
            self._soon(self._end_answer)
            return
        close = getattr(self._held, "aclose" if self.is_async else "close", None)
        try:
            if close is not None and self.is_async:
                asyncio.run_coroutine_threadsafe(close(), self.loop)
            elif close is not None:
                close()
        except (RuntimeError, ValueError):
            # It is in the middle of a step; dropping it closes it behind that.
            _logger.debug("the generator of %s is in use", type(self).__name__, exc_info=True)

    @property
    def emits_by_itself(self) -> bool:
        """Whether a subclass's ``emit`` does all of it, without ever having asked ours.

        Such an ``emit`` waits for ``event``, answers ``state.stream`` and ends with `reset`.
        """
        return self._emit_is_overridden and not self._asks_us

    @property
    def keeps_turns(self) -> bool:
        """Whether a turn stays in ``state`` until a subclass's own ``emit`` takes it."""
        return self._emit_is_overridden

    @property
    @abstractmethod
    def _emit_is_overridden(self) -> bool: ...

    @property
    @abstractmethod
    def _reply_queue(self) -> ReplyQueue: ...

    @abstractmethod
    def _collected(self, *, is_kept: bool) -> NDArray[Any]:
        """What was said and not answered, ``(1, n)``; the next turn begins afresh."""

    @abstractmethod
    def _tell_of(self, turn: Turn) -> None:
        """Notes that a turn was found by a subclass."""

    def _on_asked(self) -> None:
        self._soon(self._heed)

    def _soon(self, callback: Callable[[], None]) -> None:
        """Runs ``callback`` on the call's loop, behind what this thread does in the same breath."""
        if self._call is None:
            return
        if threading.get_ident() == self._receiving:
            self._postponed.append(callback)
            callback = self._guard_postponed
        try:
            self._call.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            _logger.debug("%s was told something after its call", type(self).__name__)

    def _receive_whole(self, frame: AudioFrame) -> None:
        """An overridden ``receive``, of which nothing is heeded before it has returned.

        As the predecessors' does, it sets ``event`` first and ends the answer under way then: that
        must not be the one that it has just asked for.
        """
        self._receiving = threading.get_ident()
        try:
            type(self).receive(self, frame)
        finally:
            self._receiving = None
            if self._postponed:
                self._soon(self._heed_postponed)

    # On the event loop

    def _guard_postponed(self) -> None:
        self.loop.call_later(LONGEST_RECEIVE_S, self._heed_postponed)

    def _heed_postponed(self) -> None:
        while self._postponed:
            self._postponed.popleft()()

    def _heed(self) -> None:
        """Answers what was asked for, unless a subclass's own ``emit`` is to see to it."""
        if not self._emit_is_overridden:
            self._answer_what_is_asked()

    def _answer_what_is_asked(self) -> None:
        if self._held is not None:
            if self.event.is_set():
                self._play()
        elif self._is_wanted and not self._reply_queue.is_engaged and self._is_ripe():
            self._answer_what_was_said()

    @property
    def _is_wanted(self) -> bool:
        return self._event.is_asked or self._find_kept() is not None

    def _play(self) -> None:
        """Lets the generator that was set be the next answer; what is queued is still heard."""
        kept = self._find_kept()
        if self._reply_queue.is_engaged:
            self._reply_queue.interrupt(is_silenced=False)
        if kept is not None:
            self._collected(is_kept=True)
        turn = kept or Turn(0, self.input_sample_rate, np.zeros((1, 0), np.int16))
        self._give(dataclasses.replace(turn, generator=self._take_held()))

    def _take_held(self) -> Playable | None:
        held, self._held = self._held, None
        # What was set before ours was asked for anything has not been looked at.
        return None if held is None else as_playable(held)

    def _answer_what_was_said(self) -> None:
        kept = self._find_kept()
        # Before what is collected, for that begins a new state.
        rate_hz = self.state.sampling_rate or self.input_sample_rate
        audio = self._collected(is_kept=kept is not None)
        if kept is None:
            self._answer_found(rate_hz, audio)
        else:
            self._give(dataclasses.replace(kept, rate_hz=rate_hz, audio=audio))

    def _answer_found(self, rate_hz: int, audio: NDArray[Any]) -> None:
        self._turns += 1
        turn = Turn(self._turns, rate_hz, audio)
        self._tell_of(turn)
        self._give(turn)

    def _give(self, turn: Turn) -> None:
        self._kept = self._missed = None
        self._event.is_asked = self._has_waited = False
        self._reply_queue.take(turn)
        self._event.mark()

    @property
    def _said(self) -> NDArray[Any] | None:
        """What a subclass has collected in ``state`` for a turn, ``(1, n)``."""
        stream = self.state.stream
        if stream is None or stream is self._mirrored:
            return None
        return np.reshape(stream, (1, -1))

    def _is_ripe(self) -> bool:
        """Whether nothing more is to come: an event set in silence may not be all of it."""
        if self._said is not None or self._has_waited:
            return True
        self._has_waited = True
        self.loop.call_later(SECOND_HALF_S, self._heed)
        return False

    def _end_answer(self) -> None:
        """Ends the answer under way; an event set meanwhile is heeded then."""
        if self._held is not None:
            return
        if self._reply_queue.is_speaking:
            self._reply_queue.interrupt()
        missed, self._missed = self._missed, None
        if missed is not None and not self._reply_queue.is_engaged:
            self._answer_found(*missed)
        elif self._event.is_asked:
            self._heed()

    # Turns for an emit of a subclass's own

    def _keep(self, turn: Turn) -> None:
        """Leaves a turn to a subclass's own ``emit``, and ends the answer before it."""
        if self._reply_queue.is_responding:
            if self._reply_queue.is_engaged:
                self._reply_queue.interrupt()
        elif self.can_interrupt and self.state.responding:
            # Dropping the last reference closes a generator, after the step it may be in.
            self._held = None
            self._bound_session.interrupt()
            self._bound_session.event("interrupted", turn=turn.number)
        self.state.responding = False
        self._kept = (turn, self.state)

    def _find_kept(self) -> Turn | None:
        """The turn that nobody has taken: who takes it begins a new state, or clears the event."""
        if self._kept is None:
            return None
        turn, state = self._kept
        is_there = state is self.state and self.event.is_set() and not state.responding
        return turn if is_there else None

    # Around the end of a reply

    def _note_reply_over(self, was_interrupted: bool) -> None:  # noqa: FBT001 - a callback's
        """Makes the next turn ask anew; a subclass's `reset` is for replies that have ended."""
        is_asked, has_turn = self._event.is_asked, self._find_kept() is not None
        said = self._said
        if is_asked and not was_interrupted and said is not None:
            self._missed = (self.state.sampling_rate or self.input_sample_rate, said)
            self.state = self.state.new()
        self._clear_up()
        self._is_settling = True
        try:
            if not was_interrupted:
                self.reset()
        finally:
            self._is_settling = False
            self._event.is_asked |= was_interrupted and is_asked
            is_left = self._event.is_asked or has_turn or self._held is not None
            if is_left or self._reply_queue.is_responding:
                self._event.mark()

    @abstractmethod
    def _clear_up(self) -> None:
        """What every reply leaves to be cleared up, however `reset` is overridden."""

"""Answers to turns with a user's function, however the turns are detected.

A subclass may also ask for answers by itself, with ``event`` and ``generator``. The ``emit`` of
gradio_webrtc 0.0.31 and fastrtc polled the two: once ``event`` was set it played ``generator``, or
the result of ``fn`` for ``state.stream``. Here nobody polls: setting one of them notifies the
handler, which acts on the session's loop. Only a subclass with an ``emit`` of its own still polls,
so for such a one a turn is kept in ``state`` until its ``emit`` takes it or calls ours.
"""

from __future__ import annotations

import copy
import logging
import threading
from abc import abstractmethod
from collections import deque
from dataclasses import replace
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from gradio_webrtc._legacy.blocks import AppState, renewed
from gradio_webrtc._mistakes import advise_on_function
from gradio_webrtc._turns.replies import Reply, ReplyQueue, ReplySignal, Turn
from gradio_webrtc._turns.runner import FINISHED, as_generator, as_playable, close_async, close_sync
from gradio_webrtc._workers.user_code import call_user_code, guard, is_async_callable, never_blocks
from gradio_webrtc._workers.workers import UserFunction, Worker
from gradio_webrtc.types import AdditionalOutputs, WebRTCData

from .signatures import Callee, max_positionals, requires_positional
from .stream_handler import NOTHING_TO_AWAIT, StreamHandler, StreamHandlerBase, inputs_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Self

    from numpy.typing import NDArray

    from gradio_webrtc._legacy.argument_orders import ReplyOptions
    from gradio_webrtc._turns.replies import Arguments
    from gradio_webrtc._turns.runner import Playable
    from gradio_webrtc.types import AudioFrame, EmitType, SessionHandle

TURN_INPUTS_TIMEOUT_S: Final = 10.0
"""Seconds that a turn waits for the client's input values: as long as fastrtc did. The next turn
requests them again."""

SECOND_HALF_S: Final = 0.02
"""Seconds that an ``event`` set in silence waits for the ``generator`` that may be meant. The two
are set one after the other, in any order and any thread; the ``emit`` of fastrtc was called as
seldom as this."""

LONGEST_RECEIVE_S: Final = 2.0
"""Seconds that a ``receive`` which has not returned holds its requests back: one that waits for the
answer itself would never return. That of fastrtc waits 1 s for a generator to close."""

_logger = logging.getLogger(__name__)


class TurnHandler(StreamHandler):
    """Answers turns with a user's function; a subclass detects the turns and calls `_rtc_answer`.

    `ReplyOnPause` documents the arguments and attributes.
    """

    def __init__(self, fn: Any, options: ReplyOptions) -> None:
        if not callable(fn):
            raise TypeError(f"fn is a function, got {advise_on_function(fn)}")
        super().__init__(
            options.expected_layout,
            options.output_sample_rate,
            options.output_frame_size,
            options.input_sample_rate,
        )
        self.fn = fn
        self.startup_fn = options.startup_fn
        self.is_async = is_async_callable(fn)
        self.can_interrupt = options.can_interrupt
        self.needs_args = options.needs_args
        self._rtc_fn_takes = max_positionals(fn)

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_event = ReplySignal(self._rtc_request_answer)
        self.state: AppState = self.state.new() if hasattr(self, "state") else AppState()
        self._rtc_replies: ReplyQueue | None = None
        self._rtc_worker: Worker | None = None
        self._rtc_turns = 0
        self._rtc_text = ""
        self._rtc_asks_us = self._rtc_is_settling = False
        self._rtc_has_waited = self._rtc_has_emitted = False
        # Set from outside, and not played yet.
        self._rtc_set_generator: Any = None
        # The audio of a turn asked for over a reply that has ended by itself since.
        self._rtc_missed: tuple[int, NDArray[Any]] | None = None
        # The audio in `state` of which a turn was made already.
        self._rtc_mirrored: NDArray[Any] | None = None
        # The requests of a `receive` that has not returned yet, and the thread that it runs in.
        self._rtc_postponed: deque[Callable[[], object]] = deque()
        self._rtc_receiving: int | None = None
        # Detected, and left in this state for a subclass's own emit.
        self._rtc_kept: tuple[Turn, AppState] | None = None
        # A copy's emit is that of its class, whatever a program has set on the template.
        vars(self).pop("emit", None)

    # Life of a session

    @never_blocks
    def copy(self) -> Self:
        """Returns a handler with the same attributes for one session, and no state of any session.

        Attributes of a subclass are shared with the template unless it overrides this.
        """
        clone = copy.copy(self)
        for name in ("fn", "startup_fn", "_rtc_is_interruption"):
            method = getattr(self, name, None)
            if isinstance(method, MethodType) and method.__self__ is self:
                setattr(clone, name, MethodType(method.__func__, clone))
        clone._rtc_forget_session()  # noqa: SLF001 - it is one of us
        return clone

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        self._rtc_worker = Worker(f"reply-{session.webrtc_id[:8]}", type(self).__name__)
        self._rtc_replies = ReplyQueue(
            session, self._rtc_make_reply, self._rtc_note_reply_over, self._rtc_silence
        )
        if not self._rtc_emit_is_overridden:
            vars(self).pop("emit", None)
        if self._rtc_event.is_asked:
            self._rtc_soon(self._rtc_act_on_request)

    @never_blocks
    def start_up(self) -> Any:
        """Lets ``startup_fn`` speak first."""
        if self.startup_fn is not None:
            turn = Turn(0, self.input_sample_rate, np.zeros((1, 0), np.int16))
            self._rtc_on_loop(self._rtc_greet, turn)
        return NOTHING_TO_AWAIT

    def reset(self) -> None:
        """Ends the reply under way, and makes the next turn ask for the client's inputs again.

        Runs after every reply that was not interrupted. Speech that arrives meanwhile is kept.
        """
        super().reset()
        ends_reply = self.state.responding
        self._rtc_clear_up()
        if not self._rtc_is_settling:
            self._rtc_set_generator = None
        if self.emits_by_itself:
            # An emit that has begun with a new state has its turn already: the audio in that state
            # is the beginning of the next one.
            is_renewed = self._rtc_kept is not None and self._rtc_kept[1] is not self.state
            self.state = renewed(self.state, keeps_audio=ends_reply and is_renewed)
        if self._rtc_session is not None:
            self._rtc_on_loop(self._rtc_end_reply)

    def _rtc_clear_up(self) -> None:
        """Clears the traces of a reply, however `reset` is overridden."""
        self.args_set.clear()
        if self.phone_mode:
            self.args_set.set()
        self.state.responding = self.state.responded_audio = self.state.pause_detected = False
        self.state.interrupted.clear()
        self._rtc_event.clear()

    async def release(self) -> None:
        """Ends the reply under way; waits no longer than a second for code that blocks."""
        await super().release()
        if self._rtc_replies is None or self._rtc_worker is None:
            return
        await self._rtc_replies.close()
        self._rtc_worker.close()
        # The queue refers back to the handler, which is to be freed with its session.
        self._rtc_replies.detach()

    # Input values

    def set_args(self, args: list[Any]) -> None:
        """Takes the client's input values and its written text; from any thread.

        The text is kept for the next turn, whatever else the client sends before that.
        """
        super().set_args(args)
        if isinstance(self.latest_args[0], WebRTCData):
            self._rtc_text = self.latest_args[0].textbox or self._rtc_text

    @property
    def _rtc_takes_inputs(self) -> tuple[bool, bool]:
        """Two answers: is ``fn`` called with the client's inputs, and is ``startup_fn``."""
        for_start = self.startup_fn is not None and self._rtc_startup_takes_inputs(self.startup_fn)
        return self._needs_additional_inputs, for_start

    @property
    def _needs_additional_inputs(self) -> bool:
        """True if ``fn`` is called with the client's inputs; subclasses of fastrtc's read it."""
        return self.needs_args or self._rtc_fn_takes > 1

    def _rtc_startup_takes_inputs(self, fn: Any) -> bool:
        can_take = max_positionals(fn) > 0
        return can_take and (self._needs_additional_inputs or requires_positional(fn))

    def _rtc_arguments_for(self, turn: Turn) -> Arguments | Coroutine[Any, Any, Arguments]:
        """Returns the arguments of the function; a coroutine if the client must send them first."""
        if not self._rtc_takes_inputs[turn.number == 0]:
            return ((turn.rate_hz, turn.audio),) if turn.number else ()
        return self._rtc_with_inputs(turn) if self.args_set.is_set() else self._rtc_ask_inputs(turn)

    async def _rtc_ask_inputs(self, turn: Turn) -> Arguments:
        async with inputs_within(TURN_INPUTS_TIMEOUT_S):
            await self.wait_for_args()
        return self._rtc_with_inputs(turn)

    def _rtc_with_inputs(self, turn: Turn) -> Arguments:
        inputs = self.latest_args[1:]
        if not turn.number:
            return tuple(inputs)
        self.latest_args = [self._rtc_component_value(turn), *inputs]
        return tuple(self.latest_args)

    def _rtc_component_value(self, turn: Turn) -> WebRTCData | AudioFrame:
        """Returns the value of the component: the turn's audio, with the text if it has a field."""
        audio = (turn.rate_hz, turn.audio)
        # A client on the phone has sent nothing yet.
        head = next(iter(self.latest_args), None)
        if not isinstance(head, WebRTCData):
            return audio
        text, self._rtc_text = self._rtc_text, ""
        return WebRTCData(head.webrtc_id, text, audio)

    # Sending

    async def wait_until_ready(self) -> None:
        """Returns when there is a reply to play; costs nothing meanwhile."""
        self._rtc_has_emitted = False
        if not self._rtc_emit_is_overridden:
            await self._rtc_reply_queue.wait_until_ready()

    @property
    def session_emit(self) -> Callable[..., Any]:
        """`emit_async`, which a session awaits on its loop, unless a program has its own ``emit``.

        A coroutine function needs no thread: two switches fewer for each item of a reply.
        """
        is_own = self._rtc_emit_is_overridden or "emit" in vars(self)
        return self.emit if is_own else self.emit_async

    def emit(self) -> EmitType:
        """Returns the next item of the answer, or ``None``; blocks until it is there.

        For a subclass's ``emit`` to call, in its own thread. A session awaits `emit_async` unless
        this is overridden.
        """
        return self._rtc_block_on(self.emit_async)

    @never_blocks
    async def emit_async(self) -> EmitType:
        """Returns the next item of the answer, or ``None``; call on the event loop."""
        if self._rtc_emit_is_overridden:
            self._rtc_asks_us = True
            self._rtc_answer_request()
        item = await self._rtc_reply_queue.step()
        self._rtc_has_emitted = item is not FINISHED
        if item is FINISHED:
            return None
        parts = item if isinstance(item, tuple) else (item,)
        self.state.responded_audio |= isinstance(item, tuple)
        if self.phone_mode and isinstance(parts[-1], AdditionalOutputs):
            # A telephone has no other components for the values, so they return with the next turn.
            self.set_args(list(parts[-1].args))
        return cast("EmitType", item)

    @property
    def _rtc_emit_is_overridden(self) -> bool:
        return type(self).emit is not TurnHandler.emit

    @property
    def emits_by_itself(self) -> bool:
        """True if a subclass's ``emit`` does all of it, without ever having called ours.

        Such an ``emit`` waits for ``event``, answers ``state.stream`` and ends with `reset`.
        """
        return self._rtc_emit_is_overridden and not self._rtc_asks_us

    @property
    def keeps_turns(self) -> bool:
        """True if a turn stays in ``state`` until a subclass's own ``emit`` takes it."""
        return self._rtc_emit_is_overridden

    @property
    def _rtc_is_responding(self) -> bool:
        return self.state.responding or self._rtc_reply_queue.is_responding

    @property
    def _rtc_reply_queue(self) -> ReplyQueue:
        if self._rtc_replies is None:
            raise RuntimeError(f"{type(self).__name__} is in no session; a stream binds its copies")
        return self._rtc_replies

    # Answers that a subclass asks for, from any thread

    @property
    def event(self) -> threading.Event:
        """Set while there is a turn to answer, or an answer under way.

        A subclass that sets it, in any thread, has ``state.stream`` answered by ``fn``, or
        ``generator`` played if it has set that one, before or after. While an answer is under way
        that has no effect, unless the subclass ends that one by ``generator = None``.
        """
        return self._rtc_event

    @event.setter
    def event(self, event: threading.Event) -> None:
        # An event of another class would notify nobody.
        if event.is_set():
            self._rtc_event.set()
        else:
            self._rtc_event.clear()

    @property
    def generator(self) -> Any:
        """The answer under way, or ``None``.

        Setting a generator, sync or async, or any other iterator has it played, in place of
        ``fn``'s answer, as soon as ``event`` is set; at once if an answer is under way. Setting
        ``None`` ends the answer under way. From any thread.

        Raises:
            TypeError: It was set to something that cannot be iterated.
        """
        if self._rtc_set_generator is not None or self._rtc_replies is None:
            return self._rtc_set_generator
        return self._rtc_replies.generator

    @generator.setter
    def generator(self, generator: Any) -> None:
        if self.emits_by_itself:
            self._rtc_set_generator = generator
        elif generator is not None or not self._rtc_is_settling:
            self._rtc_set_generator = None if generator is None else as_playable(generator)
            self._rtc_soon(self._rtc_end_answer if generator is None else self._rtc_act_on_request)

    async def async_iterate(self, generator: AsyncIterator[Any]) -> Any:
        """Returns the next item of an async generator, for an ``emit`` of one's own."""
        return await anext(generator)

    def _close_generator(self) -> None:
        """Ends the answer; subclasses of fastrtc's call it before ``generator = None``."""
        generator = self._rtc_set_generator
        if not self.emits_by_itself:
            self._rtc_soon(self._rtc_end_answer)
        elif self.is_async:
            self._rtc_soon(lambda: self._rtc_tasks.start(self._rtc_close_async(generator)))
        else:
            close_sync(generator)

    async def _rtc_close_async(self, generator: Any) -> None:
        with guard(self._rtc_bound_session.report):
            await close_async(generator)

    def _rtc_request_answer(self) -> None:
        self._rtc_soon(self._rtc_act_on_request)

    def _rtc_soon(self, callback: Callable[[], object]) -> None:
        """Runs ``callback`` on the session's loop, behind the rest of this call."""
        if self._rtc_session is None:
            return
        if threading.get_ident() == self._rtc_receiving:
            self._rtc_postponed.append(callback)
            callback = partial(self.loop.call_later, LONGEST_RECEIVE_S, self._rtc_run_postponed)
        try:
            self._rtc_session.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            _logger.debug("%s requested an answer after its session", type(self).__name__)

    def _rtc_receive_whole(self, frame: AudioFrame) -> None:
        """Calls an overridden ``receive``, and acts on its requests once it has returned.

        As that of fastrtc does, it sets ``event`` first and ends the answer under way then: that
        must not be the one that it has just asked for.
        """
        self._rtc_receiving = threading.get_ident()
        try:
            type(self).receive(self, frame)
        finally:
            self._rtc_receiving = None
            if self._rtc_postponed:
                self._rtc_soon(self._rtc_run_postponed)

    # On the event loop

    def _rtc_answer(self, rate_hz: int, audio: NDArray[np.int16]) -> Turn:
        """Has a turn answered: int16 ``(1, n)``, behind the audio that was never answered."""
        self._rtc_turns += 1
        return self._rtc_take(Turn(self._rtc_turns, rate_hz, audio))

    def _rtc_take(self, turn: Turn) -> Turn:
        self._rtc_missed = None
        if self._rtc_emit_is_overridden:
            self._rtc_keep(turn)
        else:
            generator = self._rtc_take_set_generator()
            turn = turn if generator is None else replace(turn, generator=generator)
            turn = self._rtc_reply_queue.take(turn)
        self._rtc_event.mark()
        return turn

    def _rtc_interrupt(self) -> None:
        """Ends the reply (barge-in), unless a subclass's ``emit`` does that at the turn's end."""
        if not self.emits_by_itself and self._rtc_reply_queue.interrupt() is not None:
            self.state.interrupted.set()

    def _rtc_silence(self) -> None:
        """Drops what the user has not heard of a reply, and nothing that is a subclass's own.

        A subclass's ``emit`` that holds an item of ours may still return it; an item that it
        returns without one is its own.
        """
        if self._rtc_emit_is_overridden and not self._rtc_has_emitted:
            self._rtc_bound_session.clear()
        else:
            self._rtc_bound_session.drop_reply()
        # A program may have something of its own to drop with the queue.
        is_replaced = self._clear_queue != self._rtc_bound_session.clear
        if is_replaced or type(self).clear_queue is not StreamHandlerBase.clear_queue:
            with guard(self._rtc_bound_session.report):
                call_user_code(self.clear_queue)

    def _rtc_greet(self, turn: Turn) -> None:
        if self._rtc_emit_is_overridden:
            self._rtc_tasks.start(self._rtc_prepare_greeting(turn))
        else:
            self._rtc_take(turn)

    async def _rtc_prepare_greeting(self, turn: Turn) -> None:
        """Sets ``generator`` and ``event``, which is where an ``emit`` of one's own looks."""
        with guard(self._rtc_bound_session.report):
            arguments = self._rtc_arguments_for(turn)
            arguments = arguments if isinstance(arguments, tuple) else await arguments
            callee = Callee(cast("Any", self.startup_fn), self._rtc_bound_session.webrtc_id)
            fn, args = callee.bind(*arguments)
            run = UserFunction(fn, cast("Worker", self._rtc_worker), self.startup_fn)
            self._rtc_set_generator = as_generator(await run(*args))
            self._rtc_event.set()

    def _rtc_end_reply(self) -> None:
        if self._rtc_reply_queue.is_speaking:
            self._rtc_reply_queue.interrupt()
        if self._rtc_reply_queue.is_responding:
            self._rtc_event.mark()

    def _rtc_make_reply(self, turn: Turn, kind: Callable[..., Any] = Reply) -> Any:
        fn = self.fn if turn.number else self.startup_fn
        session, worker = self._rtc_bound_session, cast("Worker", self._rtc_worker)
        callee = Callee(cast("Any", fn), session.webrtc_id)
        return kind(turn, callee, self._rtc_arguments_for, self._rtc_note_begin, session, worker)

    def _rtc_note_begin(self, turn: Turn) -> None:
        self.state.responding = True
        self._rtc_bound_session.event("response_starting", turn=turn.number)

    def _rtc_note_reply_over(self, was_interrupted: bool) -> None:  # noqa: FBT001 - a callback's
        """Prepares for the next turn; a subclass's `reset` is for replies that have ended."""
        is_asked, has_turn = self._rtc_event.is_asked, self._rtc_find_kept() is not None
        stream = self._rtc_new_stream
        if is_asked and not was_interrupted and stream is not None:
            self._rtc_missed = (self.state.sampling_rate or self.input_sample_rate, stream)
            self.state = self.state.new()
        self._rtc_clear_up()
        self._rtc_is_settling = True
        try:
            if not was_interrupted:
                self.reset()
        finally:
            self._rtc_is_settling = False
            self._rtc_event.is_asked |= was_interrupted and is_asked
            is_left = self._rtc_event.is_asked or has_turn or self._rtc_set_generator is not None
            if is_left or self._rtc_reply_queue.is_responding:
                self._rtc_event.mark()

    # On the event loop: requests of a subclass

    @abstractmethod
    def _rtc_take_unanswered(self, *, is_kept: bool) -> NDArray[Any]:
        """Returns the audio not answered yet, ``(1, n)``; the next turn begins behind it."""

    @abstractmethod
    def _rtc_note_requested_turn(self, turn: Turn) -> None:
        """Notifies the session of a turn that a subclass has detected."""

    def _rtc_run_postponed(self) -> None:
        while self._rtc_postponed:
            self._rtc_postponed.popleft()()

    def _rtc_act_on_request(self) -> None:
        """Answers a request, unless a subclass's own ``emit`` does."""
        if not self._rtc_emit_is_overridden:
            self._rtc_answer_request()

    def _rtc_answer_request(self) -> None:
        if self._rtc_set_generator is not None:
            if self.event.is_set():
                self._rtc_play_set_generator()
            return
        is_asked = self._rtc_event.is_asked or self._rtc_find_kept() is not None
        if is_asked and not self._rtc_reply_queue.is_engaged and self._rtc_is_complete():
            self._rtc_answer_unanswered()

    def _rtc_play_set_generator(self) -> None:
        """Makes the generator that was set the next answer; queued audio is still played."""
        kept = self._rtc_find_kept()
        if self._rtc_reply_queue.is_engaged:
            self._rtc_reply_queue.interrupt(is_silenced=False)
        if kept is not None:
            self._rtc_take_unanswered(is_kept=True)
        turn = kept or Turn(0, self.input_sample_rate, np.zeros((1, 0), np.int16))
        self._rtc_enqueue(replace(turn, generator=self._rtc_take_set_generator()))

    def _rtc_take_set_generator(self) -> Playable | None:
        generator, self._rtc_set_generator = self._rtc_set_generator, None
        # What was set before our emit was ever called has not been checked.
        return None if generator is None else as_playable(generator)

    def _rtc_answer_unanswered(self) -> None:
        kept = self._rtc_find_kept()
        # Before the audio is taken, which begins a new state.
        rate_hz = self.state.sampling_rate or self.input_sample_rate
        audio = self._rtc_take_unanswered(is_kept=kept is not None)
        if kept is None:
            self._rtc_answer_requested(rate_hz, audio)
        else:
            self._rtc_enqueue(replace(kept, rate_hz=rate_hz, audio=audio))

    def _rtc_answer_requested(self, rate_hz: int, audio: NDArray[Any]) -> None:
        self._rtc_turns += 1
        turn = Turn(self._rtc_turns, rate_hz, audio)
        self._rtc_note_requested_turn(turn)
        self._rtc_enqueue(turn)

    def _rtc_enqueue(self, turn: Turn) -> None:
        self._rtc_kept = self._rtc_missed = None
        self._rtc_event.is_asked = self._rtc_has_waited = False
        self._rtc_reply_queue.take(turn)
        self._rtc_event.mark()

    @property
    def _rtc_new_stream(self) -> NDArray[Any] | None:
        """The audio that a subclass has collected in ``state`` for a turn, ``(1, n)``."""
        stream = self.state.stream
        return (
            None if stream is None or stream is self._rtc_mirrored else np.reshape(stream, (1, -1))
        )

    def _rtc_is_complete(self) -> bool:
        """True if nothing more is to come: an event set in silence may not be the whole request."""
        if self._rtc_new_stream is not None or self._rtc_has_waited:
            return True
        self._rtc_has_waited = True
        self.loop.call_later(SECOND_HALF_S, self._rtc_act_on_request)
        return False

    def _rtc_end_answer(self) -> None:
        """Ends the answer under way, and acts on an event that was set meanwhile."""
        if self._rtc_set_generator is not None:
            return
        if self._rtc_reply_queue.is_speaking:
            self._rtc_reply_queue.interrupt()
        missed, self._rtc_missed = self._rtc_missed, None
        if missed is not None and not self._rtc_reply_queue.is_engaged:
            self._rtc_answer_requested(*missed)
        elif self._rtc_event.is_asked:
            self._rtc_act_on_request()

    # On the event loop: turns for an emit of a subclass's own

    def _rtc_keep(self, turn: Turn) -> None:
        """Leaves a turn to a subclass's own ``emit``, and ends the answer before it."""
        if self._rtc_reply_queue.is_responding:
            if self._rtc_reply_queue.is_engaged:
                self._rtc_reply_queue.interrupt()
        elif self.can_interrupt and self.state.responding:
            # Dropping the last reference closes a generator, after the step it may be in.
            self._rtc_set_generator = None
            self._rtc_bound_session.drop_reply()
            self._rtc_bound_session.event("interrupted", turn=turn.number)
        self.state.responding = False
        self._rtc_kept = (turn, self.state)

    def _rtc_find_kept(self) -> Turn | None:
        """Returns the turn that was not taken: that clears the event or renews the state."""
        if self._rtc_kept is None:
            return None
        turn, state = self._rtc_kept
        is_there = state is self.state and self.event.is_set() and not state.responding
        return turn if is_there else None

"""What answers turns with a user's function, however the turns are found."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import threading
from abc import abstractmethod
from collections import deque
from dataclasses import replace
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakMethod

import numpy as np

from gradio_webrtc._legacy.blocks import AppState
from gradio_webrtc._mistakes import advise_on_function
from gradio_webrtc._turns.replies import Reply, ReplyQueue, Turn
from gradio_webrtc._turns.runner import FINISHED, as_generator, as_playable
from gradio_webrtc._workers.user_code import (
    call_user_code,
    is_async_callable,
    never_blocks,
)
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


class ReplySignal(threading.Event):
    """Set while there is something to answer; tells its handler when somebody else sets it.

    Args:
        on_asked: A method, called by whoever calls `set`, in their thread. Its object is not kept:
            the handler has the event.

    Attributes:
        is_asked: Whether `set` was called, and has not been heeded.
    """

    def __init__(self, on_asked: Callable[[], None]) -> None:
        super().__init__()
        self.is_asked = False
        self._on_asked = WeakMethod(on_asked)

    def set(self) -> None:
        """Asks the handler for an answer; from any thread."""
        self.is_asked = True
        super().set()
        on_asked = self._on_asked()
        if on_asked is not None:
            on_asked()

    def clear(self) -> None:
        """Takes that back, if it was not heeded yet."""
        self.is_asked = False
        super().clear()

    def mark(self) -> None:
        """Sets the event without asking: the handler knows."""
        super().set()


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


TURN_INPUTS_TIMEOUT_S: Final = 10.0
"""How long a turn waits for the page's input values: as long as the predecessor did. The next turn
asks anew."""

_logger = logging.getLogger(__name__)


class TurnHandler(Prompting):
    """Answers turns with a user's function; a subclass finds the turns and calls `_answer`.

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
        self._fn_takes = max_positionals(fn)

    def _forget_call(self) -> None:
        super()._forget_call()
        self._worker: Worker | None = None
        self._text = ""
        self._gave = False
        # What `bind` put there belongs to the call.
        vars(self).pop("emit", None)

    def set_args(self, args: list[Any]) -> None:
        """Takes the page's input values, and what was written there; from any thread.

        What was written is kept for the next turn, whatever else the page sends before that.
        """
        super().set_args(args)
        if isinstance(self.latest_args[0], WebRTCData):
            self._text = self.latest_args[0].textbox or self._text

    # Life of a call

    @never_blocks
    def copy(self) -> Self:
        """A handler with the same attributes for one call, and nothing of any call in it.

        Attributes of a subclass are shared with the template unless it overrides this.
        """
        clone = copy.copy(self)
        for name in ("fn", "startup_fn"):
            method = getattr(self, name)
            if isinstance(method, MethodType) and method.__self__ is self:
                setattr(clone, name, MethodType(method.__func__, clone))
        clone._forget_call()  # noqa: SLF001 - it is one of us
        return clone

    def bind(self, call: SessionHandle) -> None:
        """Ties this copy to its call; once, on the event loop, before `start_up`."""
        super().bind(call)
        self._worker = Worker(f"reply-{call.webrtc_id[:8]}", type(self).__name__)
        self._replies = ReplyQueue(call, self._make_reply, self._note_reply_over, self._silence)
        if not self._emit_is_overridden:
            # A coroutine function: the session awaits it on the loop, with no thread between.
            self.emit = self.emit_async  # type: ignore[assignment, method-assign]
        if self._event.is_asked:
            self._soon(self._heed)

    @never_blocks
    def start_up(self) -> Any:
        """Lets ``startup_fn`` speak first."""
        if self.startup_fn is not None:
            turn = Turn(0, self.input_sample_rate, np.zeros((1, 0), np.int16))
            self._on_loop(self._greet, turn)
        return NOTHING_TO_AWAIT

    def reset(self) -> None:
        """Ends the reply under way, and makes the next turn ask for the page's inputs again.

        Runs after every reply that was not interrupted. What is being heard meanwhile is kept.
        """
        super().reset()
        ends_reply = self.state.responding
        self._clear_up()
        if not self._is_settling:
            self._held = None
        if self.emits_by_itself:
            self.state = self._state_after(self.state, ends_reply=ends_reply)
        if self._call is not None:
            self._on_loop(self._end_reply)

    def _clear_up(self) -> None:
        self.args_set.clear()
        if self.phone_mode:
            self.args_set.set()
        self.state.responding = self.state.responded_audio = self.state.pause_detected = False
        self.state.interrupted.clear()
        self._event.clear()

    def _state_after(self, state: AppState, *, ends_reply: bool) -> AppState:
        """A state for the next turn, with what the caller says while a reply ends.

        An ``emit`` of a subclass's own that began with a new state has its turn already: what is in
        that state is the beginning of the next one.
        """
        fresh = state.new()
        is_renewed = self._kept is not None and self._kept[1] is not state
        if ends_reply and is_renewed:
            fresh.stream, fresh.buffer = state.stream, state.buffer
            fresh.started_talking, fresh.sampling_rate = state.started_talking, state.sampling_rate
        return fresh

    async def release(self) -> None:
        """Ends the reply under way; waits no longer than `RELEASE_S` for code that blocks."""
        await super().release()
        if self._replies is None or self._worker is None:
            return
        await self._replies.close()
        self._worker.close()
        # Both lead back here, and the handler is to be freed with its call.
        self._replies.detach()
        if not self._emit_is_overridden:
            vars(self).pop("emit", None)

    # Speaking

    async def wait_until_ready(self) -> None:
        """Returns when there is something to answer; costs nothing meanwhile."""
        self._gave = False
        if not self._emit_is_overridden:
            await self._reply_queue.wait_until_ready()

    def emit(self) -> EmitType:
        """The next item of the answer, or ``None``; blocks until it is there.

        For a subclass's ``emit`` to call, in its own thread. A session awaits `emit_async` unless
        this is overridden.
        """
        return self._block_on(self.emit_async)

    @never_blocks
    async def emit_async(self) -> EmitType:
        """The next item of the answer, or ``None`` when there is none; call on the event loop."""
        if self._emit_is_overridden:
            self._asks_us = True
            self._answer_what_is_asked()
        item = await self._reply_queue.step()
        self._gave = item is not FINISHED
        if item is FINISHED:
            return None
        parts = item if isinstance(item, tuple) else (item,)
        self.state.responded_audio |= isinstance(item, tuple)
        if self.phone_mode and isinstance(parts[-1], AdditionalOutputs):
            # There is no page to hold the values, so they come back with the next turn.
            self.set_args(list(parts[-1].args))
        return cast("EmitType", item)

    @property
    def _emit_is_overridden(self) -> bool:
        return type(self).emit is not TurnHandler.emit

    @property
    def _takes_inputs(self) -> tuple[bool, bool]:
        """Two answers: is ``fn`` called with the page's inputs, and is ``startup_fn``."""
        for_start = self.startup_fn is not None and self._startup_takes_inputs(self.startup_fn)
        return self._needs_additional_inputs, for_start

    @property
    def _needs_additional_inputs(self) -> bool:
        """Whether ``fn`` is called with the page's inputs; subclasses of old read it."""
        return self.needs_args or self._fn_takes > 1

    @property
    def _is_responding(self) -> bool:
        return self.state.responding or self._reply_queue.is_responding

    @property
    def _reply_queue(self) -> ReplyQueue:
        if self._replies is None:
            raise RuntimeError(f"{type(self).__name__} is not in a call; a stream binds its copies")
        return self._replies

    # On the event loop

    def _answer(self, rate_hz: int, audio: NDArray[np.int16]) -> Turn:
        """Has a turn answered: int16 ``(1, n)``, with what was never answered before it."""
        self._turns += 1
        return self._take(Turn(self._turns, rate_hz, audio))

    def _take(self, turn: Turn) -> Turn:
        self._missed = None
        if self._emit_is_overridden:
            self._keep(turn)
        else:
            held = self._take_held()
            turn = self._reply_queue.take(turn if held is None else replace(turn, generator=held))
        self._event.mark()
        return turn

    def _interrupt(self) -> None:
        """Barge-in, unless a subclass's own ``emit`` is left to see to it when the turn is over."""
        if self.emits_by_itself:
            return
        if self._reply_queue.interrupt() is not None:
            self.state.interrupted.set()

    def _silence(self) -> None:
        """Drops what the caller has not heard of a reply, and nothing that is a subclass's own.

        A subclass's ``emit`` that has an item of ours in hand may still give it; what it gives
        without one is its own.
        """
        if self._emit_is_overridden and not self._gave:
            self._bound_session.clear()
        else:
            self._bound_session.interrupt()
        if self._clears_by_itself:
            try:
                call_user_code(self.clear_queue)
            except Exception as error:  # noqa: BLE001 - this is where the user's code meets ours
                self._bound_session.report(error)

    @property
    def _clears_by_itself(self) -> bool:
        """Whether a program has something of its own to drop with the queue."""
        is_replaced = self._clear_queue != self._bound_session.clear
        return is_replaced or type(self).clear_queue is not StreamHandlerBase.clear_queue

    def _greet(self, turn: Turn) -> None:
        if not self._emit_is_overridden:
            self._take(turn)
            return
        greeting = asyncio.get_running_loop().create_task(self._prepare_greeting(turn))
        self._greeting = greeting

    async def _prepare_greeting(self, turn: Turn) -> None:
        """Sets ``generator`` and ``event``, which is where an ``emit`` of one's own looks."""
        try:
            arguments = self._arguments_for(turn)
            given = arguments if isinstance(arguments, tuple) else await arguments
            worker = cast("Worker", self._worker)
            callee = Callee(cast("Any", self.startup_fn), self._bound_session.webrtc_id)
            fn, given = callee.bind(*given)
            greeting = await UserFunction(fn, worker, self.startup_fn)(*given)
        except Exception as error:  # noqa: BLE001 - this is where the user's code meets ours
            self._bound_session.report(error)
            return
        self._held = as_generator(greeting)
        self._event.set()

    def _end_reply(self) -> None:
        if self._reply_queue.is_speaking:
            self._reply_queue.interrupt()
        if self._reply_queue.is_responding:
            self._event.mark()

    def _make_reply(self, turn: Turn) -> Reply:
        fn = self.fn if turn.number else self.startup_fn
        callee = Callee(cast("Any", fn), self._bound_session.webrtc_id)
        worker = cast("Worker", self._worker)
        session = self._bound_session
        return Reply(turn, callee, self._arguments_for, self._note_begin, session, worker)

    def _arguments_for(self, turn: Turn) -> Arguments | Coroutine[Any, Any, Arguments]:
        """What the function is called with; a coroutine when the page must be asked for it."""
        if not self._takes_inputs[turn.number == 0]:
            return ((turn.rate_hz, turn.audio),) if turn.number else ()
        return self._with_inputs(turn) if self.args_set.is_set() else self._ask_inputs(turn)

    async def _ask_inputs(self, turn: Turn) -> Arguments:
        async with inputs_within(TURN_INPUTS_TIMEOUT_S):
            await self.wait_for_args()
        return self._with_inputs(turn)

    def _with_inputs(self, turn: Turn) -> Arguments:
        inputs = self.latest_args[1:]
        if not turn.number:
            return tuple(inputs)
        self.latest_args = [self._said_and_written(turn), *inputs]
        return tuple(self.latest_args)

    def _said_and_written(self, turn: Turn) -> WebRTCData | AudioFrame:
        """What stands for the component: the turn's sound, with the text of a page that has one."""
        sound = (turn.rate_hz, turn.audio)
        # A caller on the phone has no page, and has sent nothing yet.
        page = next(iter(self.latest_args), None)
        if not isinstance(page, WebRTCData):
            return sound
        text, self._text = self._text, ""
        return WebRTCData(page.webrtc_id, text, sound)

    def _startup_takes_inputs(self, fn: Any) -> bool:
        can_take = max_positionals(fn) > 0
        return can_take and (self._needs_additional_inputs or requires_positional(fn))

    def _note_begin(self, turn: Turn) -> None:
        self.state.responding = True
        self._bound_session.event("response_starting", turn=turn.number)

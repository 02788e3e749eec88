"""What answers turns with a user's function, however the turns are found."""

from __future__ import annotations

import asyncio
import copy
import logging
from dataclasses import replace
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from gradio_webrtc._mistakes import advise_on_function
from gradio_webrtc._turns.async_runner import FINISHED
from gradio_webrtc._turns.replies import ReplyQueue
from gradio_webrtc._turns.reply import Reply, Turn
from gradio_webrtc._turns.runner import as_generator
from gradio_webrtc._workers.user_code import (
    call_user_code,
    describe_callable,
    is_async_callable,
    never_blocks,
)
from gradio_webrtc._workers.workers import UserFunction, Worker
from gradio_webrtc.types import AdditionalOutputs, WebRTCData

from .arguments import Callee, max_positionals, requires_positional
from .base import NOTHING_TO_AWAIT, StreamHandlerBase, inputs_within
from .prompting import Prompting

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Self

    from numpy.typing import NDArray

    from gradio_webrtc._legacy.blocks import AppState
    from gradio_webrtc._turns.reply import Arguments
    from gradio_webrtc.types import AudioFrame, EmitType, SessionHandle

    from .signature import ReplyOptions

TURN_INPUTS_TIMEOUT_S: Final = 10.0
"""How long a turn waits for the page's input values: as long as the predecessor did. The next turn
asks anew."""

RELEASE_S: Final = 1.0
"""How long the end of a call waits for the user's code to clean up: the time in which a process is
expected to end. What takes longer goes on by itself."""

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
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._replies.close()
        except TimeoutError:
            _logger.debug("%s is left to return by itself", describe_callable(self.fn))
        self._worker.close()
        # Both lead back here, and the handler is to be freed with its call.
        self._replies.let_go()
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
        return Reply(turn, callee, self._arguments_for, self._note_begin, worker)

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

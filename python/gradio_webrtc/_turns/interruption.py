"""Interruptions that may be none: whether a reply that the user has spoken over goes on.

`InterruptionProgress` is the history of one, without audio, timers or tasks; `Interrupter` silences
the reply, asks the program, and does what the other decides. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc._workers.user_code import guard
from gradio_webrtc.errors import HandlerError

from .runner import RELEASE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from gradio_webrtc.types import AudioFrame, SessionHandle

    from .detector import TurnEvent
    from .replies import ReplyQueue

INTERRUPT_AFTER_S: Final = 0.6
"""Seconds of speech from which on it is an interruption in any case. Backchannels ("mhm", "yeah")
were measured at 0.3 to 0.5 s, and "stop" at 0.5 s: shorter speech may be either."""

ASK_AFTER_S: Final = 0.4
"""Seconds of silence after which shorter speech is over: less than the shortest usual pause that
ends a turn, so that an answer is there by then."""

ANSWER_TIMEOUT_S: Final = 10.0
"""Seconds within which a program answers: the user waits, and speech to text takes less."""

BLOCK_S: Final = 0.02
"""Seconds of audio that come together, as in a packet of WebRTC."""

LATE_S: Final = 0.2
"""Seconds by which audio may come late, and still show that the user has stopped in time."""


class Act(enum.Enum):
    """The outcome of a step of `InterruptionProgress` for the reply."""

    NOTHING = enum.auto()
    HOLD = enum.auto()
    ASK = enum.auto()
    RESUME = enum.auto()
    INTERRUPT = enum.auto()


class InterruptionProgress:
    """The history of speech over replies, from its beginning to the decision.

    ::

        free ──speech──► (hold) spoken over ──silence, end of turn──► (ask) pending
                             ▲                                          │
                             └───────────────── speech ─────────────────┤
        free ◄── (resume) ── "no", and no speech since the question ────┤
        free ◄── (interrupt) ── "yes", or enough speech in all ─────────┘

    A "no" counts for the speech that was in question. Where the user has spoken since, all of it
    is the next question, in the next silence. The speech of a hold is counted together, without its
    pauses. One question is pending at a time.

    Args:
        limit_s: Seconds of speech from which on it is an interruption.

    Attributes:
        is_held: True while a reply is held.
        is_speaking: True while the user speaks, in a hold.
        is_pending: True while there is a question.
        speech_s: The speech of the hold that has ended, in seconds.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.is_held = self.is_speaking = self.is_pending = False
        self.speech_s = 0.0
        # Spoken since the question; silent for long enough for another one.
        self._is_outdated = self._is_due = False

    def began(self) -> Act:
        """The user begins to speak, or goes on."""
        act = Act.NOTHING if self.is_held else Act.HOLD
        self.is_held = self.is_speaking = True
        self._is_outdated = self.is_pending
        self._is_due = False
        return act

    def ended(self, speech_s: float) -> Act:
        """The user was silent for a moment, after so many seconds of speech."""
        if not self.is_speaking:
            return Act.NOTHING
        self.is_speaking = False
        self.speech_s += speech_s
        return self._decide(Act.INTERRUPT) if self.speech_s >= self._limit_s else Act.NOTHING

    def lasted(self) -> Act:
        """The speech under way makes it enough."""
        return self._decide(Act.INTERRUPT) if self.is_speaking else Act.NOTHING

    def silent(self) -> Act:
        """The silence is long enough, or has ended the turn."""
        if not self.is_held or self.is_speaking:
            return Act.NOTHING
        self._is_due = True
        return self._ask()

    def answered(self, *, is_interruption: bool) -> Act:
        """The question is answered."""
        if not self.is_pending:
            return Act.NOTHING
        self.is_pending = False
        if is_interruption:
            return self._decide(Act.INTERRUPT)
        if not self._is_outdated:
            return self._decide(Act.RESUME)
        return self._ask() if self._is_due else Act.NOTHING

    def over(self) -> Act:
        """The hold has ended for another reason."""
        return self._decide(Act.NOTHING)

    def _ask(self) -> Act:
        if self.is_pending:
            return Act.NOTHING
        self.is_pending = True
        self._is_outdated = self._is_due = False
        return Act.ASK

    def _decide(self, act: Act) -> Act:
        self._free()
        return act

    def _free(self) -> None:
        self.is_held = self.is_speaking = self.is_pending = False
        self._is_outdated = self._is_due = False
        self.speech_s = 0.0


class HandlerActs(NamedTuple):
    """The handler, as far as interruptions concern it; called on the event loop.

    Attributes:
        utterance: Returns the open turn so far: the rate in Hz, and int16 ``(1, n)``.
        may_interrupt: Returns True if the user may talk over replies.
        interrupt: Ends the reply.
        answer: Has a turn answered that was withheld.
        disregard: Discards the open turn; speech that goes on begins another.
        note_resumed: Notes that the turn was none.
        note_candidate: Begins an answer if the open turn may be over.
    """

    utterance: Callable[[], AudioFrame]
    may_interrupt: Callable[[], bool]
    interrupt: Callable[[], object]
    answer: Callable[[TurnEvent], object]
    disregard: Callable[[], object]
    note_resumed: Callable[[], object]
    note_candidate: Callable[[TurnEvent], object]


class Interrupter:
    """Holds replies while the user speaks over them, and has them go on or end.

    Args:
        session: Takes the events and errors.
        replies: Has the replies.
        handler: The handler.
        ask: Returns, for the audio of the user, if it is an interruption.
        limit_s: Seconds of speech from which on there is no question.
        candidate_s: Seconds of silence that the detector takes to find the end of speech.
    """

    def __init__(
        self,
        session: SessionHandle,
        replies: ReplyQueue,
        handler: HandlerActs,
        ask: Callable[[AudioFrame], Awaitable[Any]],
        limit_s: float,
        candidate_s: float,
    ) -> None:
        self._progress = InterruptionProgress(limit_s)
        self._session = session
        self._replies = replies
        self._handler = handler
        self._ask_program = ask
        self._limit_s = limit_s
        self._candidate_s = candidate_s
        self._variables = contextvars.copy_context()
        self._tasks = TaskScope()
        self._asking: asyncio.Task[None] | None = None
        self._is_speaking = False
        self._timer: asyncio.TimerHandle | None = None
        self._begin_s = 0.0
        self._times: dict[str, float] = {}
        self._candidate: TurnEvent | None = None
        # A turn that is over, and not answered before it is decided.
        self._withheld: TurnEvent | None = None
        replies.on_unpaused = self._note_over

    @property
    def is_held(self) -> bool:
        """True while a reply is held."""
        return self._progress.is_held

    def begin(self, event: TurnEvent) -> bool:
        """The user begins to speak; returns False if there is no reply to be held."""
        if not self.is_held and not self._is_audible:
            return False
        self._note_speech(event, event.speech_start_s)
        return True

    def speech(self, event: TurnEvent) -> None:
        """The user speaks on, in the same turn."""
        if self.is_held:
            self._note_speech(event, event.time_s)

    def silence(self, event: TurnEvent) -> bool:
        """The user was silent for a moment; returns True if a reply is still held."""
        self._candidate = event
        self._note_silence(event)
        if self.is_held:
            end_s = event.time_s if event.speech_end_s is None else event.speech_end_s
            self._after(ASK_AFTER_S - (event.time_s - end_s), self._note_silent)
        return self.is_held

    def withholds(self, event: TurnEvent) -> bool:
        """The turn is over; returns True if it is not to be answered yet, or not at all."""
        self._note_silence(event)
        if not self.is_held:
            return False
        self._withheld = event if self._withheld is None else _joined(self._withheld, event)
        self._end_timer()
        self._note_silent()
        return True

    def confirm(self) -> None:
        """Has what was said be an interruption, whatever the program answers."""
        if self.is_held:
            self._progress.over()
            self._act(Act.INTERRUPT)

    def give_way(self) -> None:
        """Has the reply go on, since the user may not interrupt any more."""
        if self.is_held:
            self._progress.over()
            self._act(Act.RESUME)

    async def close(self) -> None:
        """Ends it with its session; waits no longer than `RELEASE_S` for code that goes on."""
        self._note_over()
        self._replies.on_unpaused = lambda: None
        await self._tasks.close(RELEASE_S)

    @property
    def _is_audible(self) -> bool:
        return self._replies.is_engaged or self._session.is_playing

    def _note_speech(self, event: TurnEvent, begin_s: float) -> None:
        self._times, self._begin_s, self._is_speaking = event.times(), begin_s, True
        self._act(self._progress.began())
        # By the audio it is certain that it has lasted once no end of it was found meanwhile.
        left_s = self._limit_s - self._progress.speech_s + self._candidate_s
        left_s -= event.time_s - begin_s
        due_s = self._seconds_received() + left_s
        last_s = self._session.loop.time() + left_s + LATE_S
        self._after(left_s, lambda: self._check_length(due_s, last_s))

    def _note_silence(self, event: TurnEvent) -> None:
        self._times, self._is_speaking = event.times(), False
        end_s = event.time_s if event.speech_end_s is None else event.speech_end_s
        self._act(self._progress.ended(max(end_s - self._begin_s, 0.0)))

    def _note_silent(self) -> None:
        self._act(self._progress.silent())

    def _check_length(self, due_s: float, last_s: float) -> None:
        missing_s = due_s - self._seconds_received()
        if not self._handler.may_interrupt():
            self.give_way()
        elif missing_s > 0 and self._session.loop.time() < last_s:
            # It comes late; what does not come at all is not waited for.
            wait_s = max(missing_s, BLOCK_S)
            self._after(wait_s, lambda: self._check_length(due_s, last_s))
        else:
            self._act(self._progress.lasted())

    def _seconds_received(self) -> float:
        rate_hz, audio = self._handler.utterance()
        return audio.size / rate_hz

    def _act(self, act: Act) -> None:
        match act:
            case Act.HOLD:
                self._replies.pause()
            case Act.ASK:
                self._ask()
            case Act.RESUME:
                self._resume()
            case Act.INTERRUPT:
                self._interrupt()

    def _ask(self) -> None:
        rate_hz, audio = self._handler.utterance()
        if self._withheld is not None and self._withheld.audio is not None:
            audio = np.concatenate([self._withheld.audio, audio], axis=1)
        asking = self._run_hook((rate_hz, audio))
        self._asking = self._tasks.start(asking, context=self._variables.copy())

    async def _run_hook(self, audio: AudioFrame) -> None:
        is_interruption = True
        with guard(self._session.report):
            is_interruption = await self._ask_in_time(audio)
        # It may have swallowed its cancellation.
        if asyncio.current_task() is not self._asking:
            return
        self._asking = None
        act = self._progress.answered(is_interruption=is_interruption)
        self._act(act)
        if act is Act.INTERRUPT and self._candidate is not None:
            self._handler.note_candidate(self._candidate)

    async def _ask_in_time(self, audio: AudioFrame) -> bool:
        limit = asyncio.timeout(ANSWER_TIMEOUT_S)
        try:
            async with limit:
                answer = await self._ask_program(audio)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise HandlerError(
                f"is_interruption has not answered within {ANSWER_TIMEOUT_S:g} s: it counts as True"
            ) from error
        if answer is None:
            raise HandlerError("expected True or False of is_interruption, got None")
        return bool(answer)

    def _resume(self) -> None:
        turn, has_ended = self._replies.latest_turn, self._withheld is not None
        self._clear()
        if not has_ended:
            self._handler.disregard()
        self._handler.note_resumed()
        self._replies.unpause()
        self._session.event("reply_resumed", turn=turn, **self._times)

    def _interrupt(self) -> None:
        withheld = self._withheld
        self._clear()
        self._handler.interrupt()
        if withheld is not None:
            self._handler.answer(withheld)
            if self._is_speaking:
                # Its answer has not begun: it is the beginning of the next turn.
                self._handler.interrupt()

    def _note_over(self) -> None:
        """The reply was ended, or goes on, by somebody else."""
        self._progress.over()
        self._clear()

    def _clear(self) -> None:
        self._end_timer()
        self._withheld = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._end_timer()
        self._timer = self._session.loop.call_later(max(seconds, 0.0), callback)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _joined(first: TurnEvent, second: TurnEvent) -> TurnEvent:
    """Returns two turns as one."""
    parts: list[NDArray[np.int16]] = [
        each.audio for each in (first, second) if each.audio is not None
    ]
    return second._replace(speech_start_s=first.speech_start_s, audio=np.concatenate(parts, axis=1))

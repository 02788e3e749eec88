"""ReplyOnPause: detects the user's turns by their pauses, and lets a function answer each.

``receive`` may run in any one thread at a time; answers begin and end on the event loop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gradio_webrtc._legacy.argument_orders import reply_options
from gradio_webrtc._turns.echo_guard import EchoGuard
from gradio_webrtc._turns.interruption import INTERRUPT_AFTER_S
from gradio_webrtc._turns.replies import Turn

from .resuming import ResumingTurnHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    from gradio_webrtc._turns.detector import TurnEvent
    from gradio_webrtc._turns.options import AlgoOptions, Speculation
    from gradio_webrtc._turns.voice_activity import ModelOptions, PauseDetectionModel
    from gradio_webrtc.types import (
        AudioFrame,
        Layout,
        SessionHandle,
        TurnEndModel,
        VoiceActivityDetector,
    )


class ReplyOnPause(ResumingTurnHandler):
    """Answers each time the user has said something and pauses.

    The user's audio goes through a voice activity detector, window by window. When the pause is
    long enough, ``fn`` is called with the utterance. When the user speaks during the answer, the
    answer stops as soon as that is certain to be speech, about 0.2 s, and the new utterance is the
    next turn (``can_interrupt``).

    The positional order is that of fastrtc 0.0.34, as below, or that of gradio_webrtc 0.0.31,
    which had no ``startup_fn``, ``can_interrupt``, ``model`` and ``needs_args``. The two
    differ in the types of the arguments.

    Args:
        fn: Called once a turn with ``(rate, samples)``, int16 ``(1, n)``, followed by the values of
            the stream's other inputs if it takes more than one argument. A generator, sync or
            async, whose items are what ``emit`` may return; or a plain function or coroutine that
            returns one. Sync code runs in a thread of the session's own, async code on the event
            loop.
        startup_fn: The same, run once when the session begins. Called with the other inputs if it
            takes arguments.
        algo_options: The beginning and the end of turns.
        model_options: The rules for speech: a `SileroVadOptions`, or whatever ``model`` takes.
        can_interrupt: The user may talk over the answer (barge-in). If not, speech meanwhile is
            ignored.
        expected_layout: ``"stereo"`` is averaged to mono: there is one user.
        output_sample_rate: See `StreamHandlerBase`.
        output_frame_size: See `StreamHandlerBase`.
        input_sample_rate: The rate of the audio that ``fn`` gets, in Hz. This, the layout and the
            length of frames stay once there is audio, unless a subclass has its own ``receive``.
        model: A detector of your own: a `VoiceActivityDetector`, which gets each window, or a
            `PauseDetectionModel`, which gets blocks of ``audio_chunk_duration``. A
            `VoiceActivityDetector` keeps state: pass the class, or an object with ``copy()``, and
            each session has its own; any other object is shared by all sessions.
        needs_args: Passes the other inputs even if ``fn`` does not look as if it takes them.
        vad: Another name for ``model``.
        speculative: Begins the answer at a short silence, on what was said so far, and holds back
            all that it gives until a longer one makes it certain: ``True``, or a `Speculation`. The
            answer comes sooner, and fewer people are cut off. ``fn`` may begin more than once a
            turn: see `get_turn` for what it must not do twice.
        echo_guard: Speech over an answer that is the answer's own echo is ignored, where it would
            interrupt: each is an event ``echo_ignored``. Not where turns are detected in blocks.
        resume: Speech over the answer silences it, and ends it only if it is an interruption. If
            not, the answer goes on 0.2 s before the place where it stopped, and the speech is
            dropped.
        is_interruption: Decides, with ``resume``, about speech shorter than ``interrupt_after_s``:
            called 0.4 s after its end with ``(rate, samples)``, int16 ``(1, n)``; returns True or
            False, within 10 s. Sync code runs in a thread of its own, async code on the event loop.
            An error is reported and counts as True. Without a function speech over an answer is an
            interruption at once, as without ``resume``.
        interrupt_after_s: The speech that is an interruption in any case, in seconds, its pauses
            not counted; more than ``AlgoOptions.started_talking_threshold``.
        turn_end: A `TurnEndModel`, called at a short silence: where it is certain that the turn is
            over, the turn ends at once, else with its pause. A class, or an object with ``copy()``,
            gives each session its own model; any other object is shared by all sessions. Without
            effect where a subclass has an ``emit`` of its own.

    Attributes:
        fn: As given.
        is_async: True if ``fn`` runs on the event loop.
        model: Detects the chunks of speech in a recording: ``model``, or the built-in Silero.
        state: The state of the current turn.
        event: Set while there is a turn to answer, or an answer under way.
        generator: The result of ``fn`` for the answer under way.
        speculative: A `Speculation`, or ``None``.
        echo_guard: As given; may be set at any time.
        turn_end: As given.

    Raises:
        TypeError: An argument of the wrong kind.
        ValueError: Options or rates that contradict each other, or ``certain_at`` of ``turn_end``
            is out of range.

    Example:
        >>> def echo(audio):
        ...     yield audio
        >>> handler = ReplyOnPause(echo)
    """

    _rtc_is_ready_made = True
    """Its code is known, as that of a subclass is not: see `check_turns`."""

    @overload
    def __init__(
        self,
        fn: Callable[..., Any],
        startup_fn: Callable[..., Any] | None = None,
        algo_options: AlgoOptions | None = None,
        model_options: ModelOptions = None,
        can_interrupt: bool = True,  # noqa: FBT001, FBT002 - fastrtc's order
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        model: VoiceActivityDetector | PauseDetectionModel | type | None = None,
        needs_args: bool = False,  # noqa: FBT001, FBT002 - as above
        *,
        vad: VoiceActivityDetector | type | None = None,
        speculative: bool | Speculation | None = False,
        echo_guard: bool = True,
        resume: bool = False,
        is_interruption: Callable[[AudioFrame], bool | Awaitable[bool]] | None = None,
        interrupt_after_s: float = INTERRUPT_AFTER_S,
        turn_end: TurnEndModel | type | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[..., Any],
        algo_options: AlgoOptions | None = None,
        model_options: ModelOptions = None,
        expected_layout: Layout = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
    ) -> None: ...
    def __init__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        options = reply_options(args, kwargs)
        super().__init__(fn, options)
        self.echo_guard = options.echo_guard
        self._rtc_set_resuming(options)

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_begin_s = 0.0
        self._rtc_speech_end_s = -math.inf
        self._rtc_echo_guard: EchoGuard | None = None

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        self._rtc_echo_guard = EchoGuard(session, self._rtc_detector_lock)
        self._rtc_begin_s = session.loop.time()

    def trigger_response(self) -> None:
        """Has the audio of the open turn answered now, even if there is none; from any thread.

        Ignored while an answer is under way that may not be interrupted, and without new audio
        while a turn waits for its answer, which is then the answer to both.
        """
        self._rtc_on_loop(self._rtc_trigger)

    def stop_reply(self) -> None:
        """Ends the reply under way, also where the user may not interrupt; from any thread."""
        if self._rtc_session is None or self.emits_by_itself:
            super().stop_reply()
        else:
            self._rtc_on_loop(self._rtc_interrupt)

    # On the event loop

    def _rtc_on_turn_event(self, event: TurnEvent) -> None:
        guard, detector = self._rtc_echo_guard, self._rtc_bound_detector
        if self.echo_guard and guard and guard.covers(event, detector, self._rtc_detector_rate_hz):
            return
        if event.audio is not None:
            self._rtc_note_end(event)
            return
        self._rtc_bound_session.event(event.name, **event.times())
        if event.name == "started_talking":
            self.state.started_talking = True
            # Where a turn was ended for its length, the speech that goes on is no barge-in: among
            # other voices no reply would ever be heard.
            goes_on = event.speech_start_s - self._rtc_speech_end_s < self.pause_s
            if self.can_interrupt and not (goes_on and not self._rtc_is_held):
                self._rtc_note_barge_in(event)
        elif event.name == "pause_candidate":
            if not (self._rtc_interrupter and self._rtc_interrupter.silence(event)):
                self._rtc_note_candidate(event)
        elif event.name == "pause_cancelled":
            if self._rtc_interrupter:
                self._rtc_interrupter.speech(event)
            self._rtc_note_resumed()

    def _rtc_note_barge_in(self, event: TurnEvent) -> None:
        if not (self._rtc_interrupter and self._rtc_interrupter.begin(event)):
            self._rtc_interrupt()

    def _rtc_note_end(self, event: TurnEvent) -> None:
        if not (self._rtc_interrupter and self._rtc_interrupter.withholds(event)):
            self._rtc_answer_withheld(event)

    def _rtc_answer_withheld(self, event: TurnEvent) -> None:
        if event.audio is not None:
            # Speech behind a turn that a model has ended is barge-in, however soon it comes.
            end_s = event.speech_end_s or event.time_s
            self._rtc_speech_end_s = -math.inf if event.is_early else end_s
            self._rtc_answer_event(event, event.audio)

    def _rtc_note_candidate(self, event: TurnEvent) -> None:
        if self._rtc_speculator is None and self._rtc_turn_ends is None:
            return
        with self._rtc_detector_lock:
            audio = self._rtc_bound_detector.candidate()
        # The user may have gone on since: that event comes next.
        if audio is not None:
            self._rtc_estimate(event, audio)
            self._rtc_speculate(Turn(self._rtc_turns + 1, self._rtc_detector_rate_hz, audio))

    def _rtc_answer_event(self, event: TurnEvent, audio: NDArray[np.int16]) -> None:
        kept = self._rtc_find_kept()
        if kept is not None and self._rtc_detects_in_blocks:
            # It is the same turn still, with more silence.
            return
        if kept is not None:
            audio = np.concatenate([kept.audio, audio], axis=1)
        self._rtc_note_pause(audio)
        rate_hz = event.rate_hz or self._rtc_detector_rate_hz
        if self._rtc_is_holding:
            # `fn` has begun: it gets no audio of the silence since.
            self._rtc_turns += 1
            turn = self._rtc_reply_queue.with_carried(Turn(self._rtc_turns, rate_hz, audio))
            self._rtc_notify_of(event.name, turn, self._rtc_decision(event))
            self._rtc_commit()
            return
        turn = self._rtc_answer(rate_hz, audio)
        self._rtc_notify_of(event.name, turn, self._rtc_decision(event))

    def _rtc_take_unanswered(self, *, is_kept: bool) -> NDArray[Any]:
        """See `TurnHandler`."""
        audio = self._rtc_new_stream
        if is_kept and self.state.stream is not None:
            audio = np.reshape(self.state.stream, (1, -1))
        if audio is None:
            audio = self._rtc_take_open_turn()
        self.state = self.state.new()
        return audio

    def _rtc_note_requested_turn(self, turn: Turn) -> None:
        """See `TurnHandler`. Times are by the clock of the loop: the samples were not counted."""
        if not turn.audio.size:
            self._rtc_bound_session.event("response_triggered", turn=turn.number)
            return
        now_s = self.loop.time() - self._rtc_begin_s
        start_s = max(now_s - turn.audio.size / turn.rate_hz, 0.0)
        times = {"time_s": now_s, "speech_start_s": start_s, "speech_end_s": now_s}
        self._rtc_notify_of("pause_detected", turn, times)

    def _rtc_notify_of(self, name: str, turn: Turn, data: Mapping[str, object]) -> None:
        audio = (turn.rate_hz, turn.audio)
        self._rtc_bound_session.event(name, turn=turn.number, audio=audio, **data)

    def _rtc_trigger(self) -> None:
        if self._rtc_ignores_audio():
            return
        if self._rtc_interrupter:
            self._rtc_interrupter.confirm()
        audio = self._rtc_take_open_turn()
        if not audio.size and self._rtc_reply_queue.is_preparing:
            # A client may ask whenever it sends the inputs, for which that turn waits.
            return
        self._rtc_note_pause(audio)
        turn = self._rtc_answer(self._rtc_detector_rate_hz, audio)
        self._rtc_bound_session.event("response_triggered", turn=turn.number)

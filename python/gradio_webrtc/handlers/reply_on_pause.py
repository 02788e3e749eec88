"""ReplyOnPause: listens until the caller pauses, then lets the user's function answer."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, cast, overload

from .blocks import BlockListener, collect, ends_turn
from .listening import Listener, to_mono
from .options import (
    AlgoOptions,
    SileroVadOptions,
    make_detector,
    own_detector,
    warn_of_idle_options,
)
from .signature import reply_options
from .silero import get_silero_model
from .turn_handler import TurnHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc.types import AudioFrame, Call, Layout, VoiceActivityDetector

    from .blocks import AppState
    from .listening import Heard, TurnListener
    from .silero import ModelOptions, PauseDetectionModel


class ReplyOnPause(TurnHandler):
    """Answers each time the caller has said something and pauses.

    The caller's sound goes through a voice activity detector, window by window. When the pause is
    long enough, ``fn`` is called with all that was said. When the caller speaks while the answer
    is being given, the answer stops as soon as that is certain to be speech, about 0.2 s, and what
    is said is the next turn (``can_interrupt``).

    The positional order is that of fastrtc 0.0.34, as below, or that of gradio_webrtc 0.0.31,
    which had no ``startup_fn``, ``can_interrupt``, ``model`` and ``needs_args``. The two are told
    apart by the types of the arguments.

    Args:
        fn: Called once a turn with ``(rate, samples)``, int16 ``(1, n)``, followed by the values of
            the stream's other inputs if it takes more than one argument. A generator, sync or
            async, whose items are what ``emit`` may return; or a plain function or coroutine that
            returns one. Sync code runs in a thread of the caller's own, async code on the event
            loop.
        startup_fn: The same, run once when the call begins. Called with the other inputs if it
            takes arguments.
        algo_options: When turns begin and end.
        model_options: What counts as speech: a `SileroVadOptions`, or whatever ``model`` takes.
        can_interrupt: Whether the caller may talk over the answer. If not, what is said meanwhile
            is ignored.
        expected_layout: ``"stereo"`` is averaged to mono: there is one caller.
        output_sample_rate: See `StreamHandlerBase`.
        output_frame_size: See `StreamHandlerBase`.
        input_sample_rate: The rate of what ``fn`` gets, in Hz.
        model: A detector of your own: a `VoiceActivityDetector`, which is asked for each window,
            or a `PauseDetectionModel`, which is given blocks of ``audio_chunk_duration``. A
            `VoiceActivityDetector` keeps state: give the class, or an object with ``copy()``, and
            each call has its own; any other object is shared by all calls.
        needs_args: Passes the other inputs even if ``fn`` does not look as if it takes them.
        vad: Another name for ``model``.

    Attributes:
        fn: As given.
        is_async: Whether ``fn`` runs on the event loop.
        model: Gives the chunks of speech in a recording: ``model``, or the built-in Silero.
        state: What is known of the turn at hand.
        event: Set while there is something to answer, or an answer under way.
        generator: What ``fn`` gave for the answer under way.

    Raises:
        TypeError: An argument of the wrong kind.
        ValueError: Options or rates that contradict themselves.

    Example:
        >>> def echo(audio):
        ...     yield audio
        >>> handler = ReplyOnPause(echo)
    """

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
        self.algo_options = options.algo_options or AlgoOptions()
        self.model_options = options.model_options
        given = options.model if options.vad is None else options.vad
        self._vad = given if hasattr(given, "probability") else None
        self._model = given if self._vad is None else None
        if not self._overrides("receive"):
            self.input_frame_size = self.input_sample_rate // 50
        if not self._hears_in_blocks:
            warn_of_idle_options(self._silero_options)
        # Options that contradict each other are told here, and not to the first caller.
        self._make_listener()

    def _forget_call(self) -> None:
        super()._forget_call()
        self._listener: TurnListener | None = None
        # A detector of the user's own runs in a worker, while `trigger_response` may come from
        # anywhere.
        self._listening = threading.Lock()
        self._speech_end_s = -math.inf

    def bind(self, call: Call) -> None:
        """Ties this copy to its call; once, on the event loop, before `start_up`."""
        super().bind(call)
        self._listener = self._make_listener()

    @property
    def receive_is_light(self) -> bool:
        """Whether listening takes microseconds: with the built-in detector it does."""
        return self._vad is None and not self._hears_in_blocks and not self._overrides("receive")

    @property
    def spare_s(self) -> float:
        """How much of the sound to come may wait, in seconds: most of what makes a turn begin."""
        if not self.can_interrupt and self._is_responding:
            return 0.0
        with self._listening:
            return self._bound_listener.samples_to_spare / self.input_sample_rate

    def receive(self, frame: AudioFrame) -> None:
        """Listens to the next sound from the caller.

        Raises:
            Exception: Whatever a detector of your own raises.
        """
        samples = to_mono(frame[1], 2 if self.expected_layout == "stereo" else 1)
        listener = self._bound_listener
        with self._listening:
            if not self.can_interrupt and self._is_responding:
                listener.skip(samples.size)
                return
            everything_heard = listener.hear(samples)
        for heard in everything_heard:
            self._on_loop(self._notice, heard)

    def process_audio(self, audio: AudioFrame, state: AppState) -> None:
        """Notes in ``state`` what the next frame brings; for overriding.

        A handler whose class overrides this or `determine_pause` listens in blocks, as the
        predecessors did.

        Args:
            audio: Rate in Hz and int16 ``(1, n)``.
            state: What is known so far.
        """
        block = collect(audio, state)
        state.pause_detected = self.determine_pause(block, state.sampling_rate, state)

    def determine_pause(
        self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
    ) -> bool:
        """Whether the turn is over, by the predecessors' rule; for overriding.

        Args:
            audio: Everything not judged yet, int16 ``(n,)``. Whoever has judged it sets
                ``state.buffer`` to ``None``.
            sampling_rate: Its rate in Hz.
            state: Takes the turn's sound in ``stream``, and ``started_talking``.
        """

        def measure(block: tuple[int, NDArray[np.int16]]) -> Any:
            return self.model.vad(block, self.model_options)

        return ends_turn(audio, sampling_rate, state, self.algo_options, measure)

    def trigger_response(self) -> None:
        """Has what was said so far answered now, even if it is nothing; from any thread.

        Ignored while an answer is under way that may not be interrupted.
        """
        self._on_loop(self._trigger)

    @property
    def model(self) -> PauseDetectionModel:
        """Gives the chunks of speech in a recording: the model given, or the built-in Silero."""
        return cast("PauseDetectionModel", self._model or get_silero_model())

    @property
    def _silero_options(self) -> SileroVadOptions:
        options = SileroVadOptions() if self.model_options is None else self.model_options
        if not isinstance(options, SileroVadOptions):
            raise TypeError(f"model_options is a SileroVadOptions, got {options!r}")
        return options

    @property
    def _bound_listener(self) -> TurnListener:
        if self._listener is None:
            raise RuntimeError(f"{type(self).__name__} is not in a call; a stream binds its copies")
        return self._listener

    @property
    def _hears_in_blocks(self) -> bool:
        return (
            self._model is not None
            or self._overrides("determine_pause")
            or self._overrides("process_audio")
        )

    def _overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(ReplyOnPause, name)

    def _make_listener(self) -> TurnListener:
        rate_hz = self.input_sample_rate
        if self._hears_in_blocks:
            return BlockListener(self, rate_hz)
        vad = own_detector(self._vad)
        return Listener(
            make_detector(rate_hz, self.algo_options, self._silero_options, vad), rate_hz
        )

    # On the event loop

    def _notice(self, heard: Heard) -> None:
        data = heard.times()
        if heard.audio is not None:
            self._speech_end_s = heard.speech_end_s or heard.time_s
            self._note_pause(heard.audio)
            turn = self._answer(heard.audio)
            audio = (turn.rate_hz, turn.audio)
            self._bound_call.event(heard.name, turn=turn.number, audio=audio, **data)
            return
        self._bound_call.event(heard.name, **data)
        if heard.name == "started_talking":
            self.state.started_talking = True
            # Where a turn was ended for its length, the speech that goes on is no barge-in: among
            # other voices no reply would ever be heard.
            goes_on = heard.speech_start_s - self._speech_end_s < self.algo_options.pause_s
            if self.can_interrupt and not goes_on:
                self._interrupt()

    def _note_pause(self, audio: NDArray[np.int16]) -> None:
        """Keeps ``state`` true for its readers where it is not what is listened with."""
        if not self._hears_in_blocks:
            self.state.started_talking, self.state.pause_detected = False, True
            self.state.stream, self.state.sampling_rate = audio[0], self.input_sample_rate

    def _trigger(self) -> None:
        if self._is_responding and not self.can_interrupt:
            return
        with self._listening:
            audio = self._bound_listener.so_far()
            self._bound_listener.forget()
        self._note_pause(audio)
        turn = self._answer(audio)
        self._bound_call.event("response_triggered", turn=turn.number)

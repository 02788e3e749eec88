"""ReplyOnPause: listens until the caller pauses, then lets the user's function answer."""

from __future__ import annotations

import logging
import math
import operator
import threading
from typing import TYPE_CHECKING, Any, Final, cast, overload

import numpy as np

from gradio_webrtc._legacy.argument_orders import reply_options
from gradio_webrtc._legacy.blocks import BlockTurnDetector, collect, ends_turn
from gradio_webrtc._turns.detector import PauseTurnDetector, to_mono
from gradio_webrtc._turns.options import (
    AlgoOptions,
    SileroVadOptions,
    make_detector,
    own_detector,
    warn_of_idle_options,
)
from gradio_webrtc._turns.voice_activity import SileroVADModel, get_silero_model
from gradio_webrtc._workers.user_code import is_async_callable
from gradio_webrtc.errors import AudioError

from .stream_handler import RATE_RANGE_HZ
from .turn_handler import TurnHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._legacy.blocks import AppState
    from gradio_webrtc._turns.detector import TurnDetector, TurnEvent
    from gradio_webrtc._turns.replies import Turn
    from gradio_webrtc._turns.voice_activity import ModelOptions, PauseDetectionModel
    from gradio_webrtc.types import AudioFrame, Layout, SessionHandle, VoiceActivityDetector

MOST_CHANNELS: Final = 8
"""The shorter side of a two-dimensional array up to which it is taken for channels."""

FLOAT_LIMIT: Final = 4.0
"""Float samples beyond this are at the scale of int16: no filter overshoots by 12 dB, and speech
at that scale is a hundred times louder."""

_EXPECTED: Final = "receive takes (rate, samples), with int16 or float samples (n,) or (1, n)"

_logger = logging.getLogger(__name__)


class Intake:
    """Frames as they come, from a session or by way of a subclass that works on them.

    Not safe to use from two threads at once.

    Args:
        rate_hz: The rate of a session's frames.
        channels: How many channels are packed in a session's frames.

    Attributes:
        rate_hz: The rate of the frames of this call, in Hz: that of the first of them.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.rate_hz = rate_hz
        self._channels = channels
        self._has_begun = False
        self._is_wide = False

    def take(self, frame: Any) -> NDArray[np.int16]:
        """The samples of a frame, int16 ``(1, n)``.

        Raises:
            AudioError: A rate that cannot be, or another one than before.
            TypeError: No frame of sound.
        """
        try:
            rate_hz, samples = frame
            rate_hz = operator.index(int(rate_hz) if isinstance(rate_hz, float) else rate_hz)
        except (TypeError, ValueError):
            raise TypeError(f"{_EXPECTED}; got {frame!r:.200}") from None
        if rate_hz != self.rate_hz or not self._has_begun:
            self._begin(rate_hz)
        samples = np.asarray(samples)
        if samples.dtype != np.int16:
            samples = self._as_int16(samples)
        if not samples.ndim:
            raise TypeError(f"{_EXPECTED}; got the single number {samples}")
        if samples.ndim > 1 and min(samples.shape) > 1:
            return _averaged(samples)
        return to_mono(samples, self._channels)

    def _begin(self, rate_hz: int) -> None:
        lowest, highest = RATE_RANGE_HZ
        if not lowest <= rate_hz <= highest:
            raise AudioError(f"receive takes {lowest} to {highest} Hz, got {rate_hz!r}")
        if self._has_begun:
            raise AudioError(
                f"the frames of a call have one rate: receive was given {self.rate_hz} Hz before, "
                f"and now {rate_hz} Hz; resample every frame to the same rate"
            )
        self._has_begun = True
        self.rate_hz = rate_hz

    def _as_int16(self, samples: NDArray[Any]) -> NDArray[np.int16]:
        if np.issubdtype(samples.dtype, np.signedinteger):
            clipped: NDArray[np.int16] = np.clip(samples, -32768, 32767).astype(np.int16)
            return clipped
        if not np.issubdtype(samples.dtype, np.floating):
            raise TypeError(f"{_EXPECTED}; got samples of {samples.dtype}")
        samples = np.nan_to_num(samples)
        if not self._is_wide and np.abs(samples).max(initial=0.0) > FLOAT_LIMIT:
            self._is_wide = True
            _logger.warning(
                "receive was given %s samples at the scale of int16, and takes them for that; "
                "divide them by 32768, or hand on samples.astype(np.int16)",
                samples.dtype,
            )
        scaled = samples if self._is_wide else samples * 32767
        rounded: NDArray[np.int16] = np.rint(np.clip(scaled, -32768, 32767)).astype(np.int16)
        return rounded


def _averaged(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Planar or interleaved channels as one, ``(1, n)``."""
    if samples.ndim != 2 or min(samples.shape) > MOST_CHANNELS:  # noqa: PLR2004 - channels and samples
        raise TypeError(f"{_EXPECTED}; got the shape {samples.shape}")
    axis = 0 if samples.shape[0] <= samples.shape[1] else 1
    mean: NDArray[np.int16] = samples.mean(axis=axis).astype(np.int16).reshape(1, -1)
    return mean


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
        if isinstance(given, SileroVADModel):
            # What `model` gives, and so what a subclass's own `copy` hands on.
            given = None
        self._vad = given if hasattr(given, "probability") else None
        self._model = given if self._vad is None else None
        if not self._overrides("receive"):
            self.input_frame_size = self.input_sample_rate // 50
        if not self._detects_in_blocks:
            warn_of_idle_options(self._silero_options)
        # Options that contradict each other are told here, and not to the first caller.
        self._make_listener()

    def _forget_call(self) -> None:
        super()._forget_call()
        self._listener: TurnDetector | None = None
        channels = 2 if self.expected_layout == "stereo" else 1
        self._intake = Intake(self.input_sample_rate, channels)
        self._heard_rate_hz = self.input_sample_rate
        self._begun_s = 0.0
        # What `bind` put there belongs to the call; what a program put there stays.
        if vars(self).get("receive") == self._receive_whole:
            del vars(self)["receive"]
        # A detector of the user's own runs in a worker, while `trigger_response` may come from
        # anywhere.
        self._listening = threading.Lock()
        self._speech_end_s = -math.inf

    def bind(self, call: SessionHandle) -> None:
        """Ties this copy to its call; once, on the event loop, before `start_up`."""
        super().bind(call)
        self._listener = self._make_listener()
        self._begun_s = call.loop.time()
        if self._overrides("receive") and not is_async_callable(type(self).receive):
            self.receive = self._receive_whole  # type: ignore[method-assign]

    @property
    def receive_is_light(self) -> bool:
        """Whether listening takes microseconds: with the built-in detector it does."""
        return self._vad is None and not self._detects_in_blocks and not self._overrides("receive")

    @property
    def batch_allowance_s(self) -> float:
        """How much of the sound to come may wait, in seconds: most of what makes a turn begin."""
        if not self.can_interrupt and self._is_responding:
            return 0.0
        with self._listening:
            return self._bound_listener.min_samples_until_event / self._heard_rate_hz

    def receive(self, frame: AudioFrame) -> None:
        """Listens to the next sound from the caller.

        A subclass may hand on what it has made of a frame: of any length, ``(n,)`` or ``(1, n)``,
        int16 or float, at any rate that is the same for all of them. ``fn`` gets int16 at that
        rate.

        Raises:
            AudioError: Another rate than before.
            TypeError: No sound.
            Exception: Whatever a detector of your own raises.
        """
        samples = self._intake.take(frame)
        with self._listening:
            listener = self._listener_at(self._intake.rate_hz)
            if not self.can_interrupt and self._is_responding:
                listener.skip(samples.size)
                return
            everything_heard = listener.hear(samples)
        for heard in everything_heard:
            if heard.audio is not None:
                # A subclass that has called this looks at both.
                self._note_pause(heard.audio)
                self._event.mark()
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
    def _bound_listener(self) -> TurnDetector:
        if self._listener is None:
            raise RuntimeError(f"{type(self).__name__} is not in a call; a stream binds its copies")
        return self._listener

    @property
    def _detects_in_blocks(self) -> bool:
        return (
            self._model is not None
            or self._overrides("determine_pause")
            or self._overrides("process_audio")
        )

    def _overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(ReplyOnPause, name)

    def _listener_at(self, rate_hz: int) -> TurnDetector:
        if rate_hz != self._heard_rate_hz:
            self._heard_rate_hz = rate_hz
            self._listener = self._make_listener()
        return self._bound_listener

    def _make_listener(self) -> TurnDetector:
        rate_hz = self._heard_rate_hz
        if self._detects_in_blocks:
            return BlockTurnDetector(self, rate_hz)
        vad = own_detector(self._vad)
        return PauseTurnDetector(
            make_detector(rate_hz, self.algo_options, self._silero_options, vad), rate_hz
        )

    # On the event loop

    def _notice(self, heard: TurnEvent) -> None:
        data = heard.times()
        if heard.audio is not None:
            self._speech_end_s = heard.speech_end_s or heard.time_s
            self._note_turn(heard, heard.audio)
            return
        self._bound_session.event(heard.name, **data)
        if heard.name == "started_talking":
            self.state.started_talking = True
            # Where a turn was ended for its length, the speech that goes on is no barge-in: among
            # other voices no reply would ever be heard.
            goes_on = heard.speech_start_s - self._speech_end_s < self.algo_options.pause_s
            if self.can_interrupt and not goes_on:
                self._interrupt()

    def _note_turn(self, heard: TurnEvent, audio: NDArray[np.int16]) -> None:
        kept = self._find_kept()
        if kept is not None and self._detects_in_blocks:
            # It is the same turn still, with more silence.
            return
        if kept is not None:
            audio = np.concatenate([kept.audio, audio], axis=1)
        self._note_pause(audio)
        turn = self._answer(heard.rate_hz or self._heard_rate_hz, audio)
        sound = (turn.rate_hz, turn.audio)
        self._bound_session.event(heard.name, turn=turn.number, audio=sound, **heard.times())

    def _note_pause(self, audio: NDArray[np.int16]) -> None:
        """Keeps ``state`` true for its readers where it is not what is listened with."""
        if not self._detects_in_blocks:
            self.state.started_talking, self.state.pause_detected = False, True
            self.state.stream, self.state.sampling_rate = audio[0], self._heard_rate_hz
            self._mirrored = self.state.stream

    def _collected(self, *, is_kept: bool) -> NDArray[Any]:
        """See `Prompting`."""
        said = self._said
        if is_kept and self.state.stream is not None:
            said = np.reshape(self.state.stream, (1, -1))
        if said is None:
            with self._listening:
                said = self._bound_listener.so_far()
                self._bound_listener.forget()
        self.state = self.state.new()
        return said

    def _tell_of(self, turn: Turn) -> None:
        """See `Prompting`. Times are by the call's clock: nobody counted the samples."""
        if not turn.audio.size:
            self._bound_session.event("response_triggered", turn=turn.number)
            return
        now_s = self.loop.time() - self._begun_s
        times = {
            "time_s": now_s,
            "speech_start_s": max(now_s - turn.audio.size / turn.rate_hz, 0.0),
            "speech_end_s": now_s,
        }
        sound = (turn.rate_hz, turn.audio)
        self._bound_session.event("pause_detected", turn=turn.number, audio=sound, **times)

    def _trigger(self) -> None:
        if self._is_responding and not self.can_interrupt:
            return
        with self._listening:
            audio = self._bound_listener.so_far()
            self._bound_listener.forget()
        self._note_pause(audio)
        turn = self._answer(self._heard_rate_hz, audio)
        self._bound_session.event("response_triggered", turn=turn.number)

"""Detection of a handler's turns: by the core, by a detector of one's own, or in blocks.

``receive`` may run in any one thread at a time; what is found is acted on on the event loop.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, cast

from gradio_webrtc._audio import InboundTurns
from gradio_webrtc._legacy.blocks import AppState, BlockTurnDetector, collect, ends_turn, watch
from gradio_webrtc._turns.detector import (
    InboundDetection,
    InboundTurnDetector,
    PauseTurnDetector,
)
from gradio_webrtc._turns.options import (
    AlgoOptions,
    SileroVadOptions,
    certain_pause_s,
    make_detector,
    own_detector,
    warn_of_idle_options,
)
from gradio_webrtc._turns.voice_activity import SileroVADModel, get_silero_model
from gradio_webrtc._workers.user_code import is_async_callable

from .intake import Intake
from .turn_end import TurnEndHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from gradio_webrtc._legacy.argument_orders import ReplyOptions
    from gradio_webrtc._turns.detector import TurnDetector, TurnEvent
    from gradio_webrtc._turns.voice_activity import PauseDetectionModel
    from gradio_webrtc.types import AudioFrame, SessionHandle

_logger = logging.getLogger(__name__)


class DetectingTurnHandler(TurnEndHandler):
    """A `TurnEndHandler` that finds the turns in the user's audio.

    A subclass answers them: `_rtc_on_turn_event` gets what was found.
    """

    _rtc_is_direct = False
    """The core detects by itself: nothing else looks up whether audio is ignored."""

    _rtc_input_lock: ClassVar = threading.Lock()
    """What a thread sets counts for the detection that begins meanwhile, or is refused."""

    def __init__(self, fn: Any, options: ReplyOptions) -> None:
        super().__init__(fn, options)
        self.algo_options = options.algo_options or AlgoOptions()
        self.model_options = options.model_options
        given = options.model if options.vad is None else options.vad
        if isinstance(given, SileroVADModel):
            # The value of `model`, and so what a subclass's own `copy` passes on.
            given = None
        self._rtc_vad = given if hasattr(given, "probability") else None
        self._rtc_model = given if self._rtc_vad is None else None
        if not self._rtc_overrides("receive"):
            self.input_frame_size = self.input_sample_rate // 50
        if not self._rtc_detects_in_blocks:
            warn_of_idle_options(self._rtc_silero_options)
        elif self.speculative is not None:
            raise ValueError("speculative has no effect with turns that are detected in blocks")
        self._rtc_set_turn_end(options.turn_end, in_blocks=self._rtc_detects_in_blocks)
        # Options that contradict each other raise here, and not in the first session.
        self._rtc_make_detector()

    def _rtc_forget_session(self) -> None:
        super()._rtc_forget_session()
        self._rtc_detector, self._rtc_is_direct = None, False
        self._rtc_intake = Intake(self.input_sample_rate, self.expected_layout)
        self._rtc_detector_rate_hz = self.input_sample_rate
        self._rtc_refused: set[str] = set()
        # A detector of the user's own runs in a worker, while `trigger_response` may come from any
        # thread.
        self._rtc_detector_lock = threading.Lock()

    def bind(self, session: SessionHandle) -> None:
        """Ties this copy to its session; once, on the event loop, before `start_up`."""
        super().bind(session)
        self._rtc_detector = self._rtc_make_detector()
        self._rtc_reply_queue.on_change = self._rtc_update_skipping

    @property
    def pause_s(self) -> float:
        """The silence that ends a turn, in seconds; may be set at any time, also during a turn.

        With speculation that of the `Speculation` counts where it is longer.

        Raises:
            TypeError: It was set to something that is no number.
            ValueError: It was set to a value that is not more than zero.
        """
        return certain_pause_s(self.algo_options, self.speculative)

    @pause_s.setter
    def pause_s(self, pause_s: float) -> None:
        options = dataclasses.replace(self.algo_options, pause_s=pause_s)
        certain_pause_s(options, self.speculative)
        self.algo_options = options
        with self._rtc_detector_lock:
            if self._rtc_detector is not None:
                self._rtc_detector.set_pause(self.pause_s)

    @property
    def can_interrupt(self) -> bool:
        """True if the user may talk over the answer (barge-in); may be set at any time."""
        return self._rtc_can_interrupt

    @can_interrupt.setter
    def can_interrupt(self, can_interrupt: bool) -> None:
        self._rtc_can_interrupt = can_interrupt
        self._rtc_note_responding()

    @property
    def state(self) -> AppState:
        """The state of the current turn; may be set at any time, and its attributes, too."""
        return self._rtc_state

    @state.setter
    def state(self, state: AppState) -> None:
        self._rtc_state = state
        if isinstance(state, AppState):
            watch(state, self._rtc_note_responding)
        self._rtc_note_responding()

    @property
    def model(self) -> PauseDetectionModel:
        """Detects the chunks of speech in a recording: ``model``, or the built-in Silero."""
        return cast("PauseDetectionModel", self._rtc_model or get_silero_model())

    @property
    def session_receive(self) -> Callable[..., Any]:
        """``receive``, or for a subclass's own, which is sync, the whole call of it.

        See `_rtc_receive_whole`: its requests for answers are acted on once it has returned.
        """
        is_own = self._rtc_overrides("receive") and not is_async_callable(type(self).receive)
        return self._rtc_receive_whole if is_own else self.receive

    @property
    def receive_is_light(self) -> bool:
        """True with the built-in detector, which takes microseconds."""
        return (
            self._rtc_vad is None
            and not self._rtc_detects_in_blocks
            and not self._rtc_overrides("receive")
        )

    def session_input(self, on_change: Callable[[], None] | None) -> None:
        """Has ``on_change`` called when the form of frames is set; see `StreamHandlerBase`."""
        with self._rtc_input_lock:
            super().session_input(on_change)
        self._rtc_intake.note_layout(self.expected_layout)

    def _rtc_set_input(self, name: str, value: object) -> None:
        """Sets an `InputSetting`, unless detection has begun in frames of another form.

        A subclass's own ``receive`` may pass on frames of any form, and does so in one rate.
        """
        with self._rtc_input_lock:
            has_begun = self._rtc_on_input_change is not None
            is_refused = has_begun and not self._rtc_receives_itself
            if not is_refused:
                super()._rtc_set_input(name, value)
        if is_refused:
            self._rtc_warn_of_refusal(name, value)
        elif has_begun:
            self._rtc_intake.note_layout(self.expected_layout)

    def _rtc_warn_of_refusal(self, name: str, value: object) -> None:
        if value != vars(self)[name] and name not in self._rtc_refused:
            self._rtc_refused.add(name)
            _logger.warning(
                "%s.%s stays %r, and does not become %r: turns are detected already, in audio of "
                "one form; set it in __init__() or copy(), which come before the first audio",
                type(self).__name__,
                name,
                vars(self)[name],
                value,
            )

    def session_detection(self) -> InboundDetection | None:
        """The built-in detector itself, where nothing of a program's own comes before it."""
        rate_hz, intake = self.input_sample_rate, self._rtc_intake
        # The ``emit`` of a subclass's own notes in ``state`` when it is responding.
        is_direct = (
            self.receive_is_light
            and not self._rtc_receives_itself
            and not self._rtc_emit_is_overridden
            and not self._rtc_overrides("can_interrupt")
            and not self._rtc_overrides("state")
            and isinstance(self.state, AppState)
        )
        if not is_direct or self.expected_layout != "mono" or not intake.takes(rate_hz):
            return None
        with self._rtc_detector_lock:
            detector = self._rtc_bound_detector
            if not isinstance(detector, InboundTurnDetector):
                return None
            intake.begin(rate_hz)
            turns = detector.inbound
            if (turns.sample_rate_hz, turns.frame_samples) != (rate_hz, self.input_frame_size):
                # `start_up` has decided otherwise.
                self._rtc_detector_rate_hz = rate_hz
                self._rtc_detector = detector = self._rtc_make_detector()
                turns = cast("InboundTurnDetector", detector).inbound
            self._rtc_is_direct = True
            self._rtc_update_skipping()
        return InboundDetection(turns, self._rtc_take_events)

    @property
    def has_open_turn(self) -> bool:
        """True while the user has begun a turn, or what may become one; from any thread."""
        return self._rtc_detector is not None and self._rtc_detector.is_open

    @property
    def batch_allowance_s(self) -> float:
        """The inbound audio that may wait, in seconds: most of what makes a turn begin."""
        if self._rtc_ignores_audio():
            return 0.0
        detector = self._rtc_detector or self._rtc_bound_detector
        with self._rtc_detector_lock:
            return detector.min_samples_until_event / self._rtc_detector_rate_hz

    def receive(self, frame: AudioFrame) -> None:
        """Processes the next audio from the user.

        A subclass may pass on its own version of a frame: of any length, ``(n,)`` or ``(1, n)``,
        int16 or float, at any rate that is the same for all of them. ``fn`` gets int16 at that
        rate.

        Raises:
            AudioError: Another rate than before.
            TypeError: The frame is no audio.
            Exception: Whatever a detector of your own raises.
        """
        samples = self._rtc_intake.take(frame)
        with self._rtc_detector_lock:
            if self._rtc_intake.rate_hz != self._rtc_detector_rate_hz:
                self._rtc_detector_rate_hz = self._rtc_intake.rate_hz
                self._rtc_detector = self._rtc_make_detector()
            detector = self._rtc_detector or self._rtc_bound_detector
            if self._rtc_ignores_audio():
                detector.skip(samples.size)
                return
            events = detector.process(samples)
        if events:
            self._rtc_take_events(events)

    def process_audio(self, audio: AudioFrame, state: AppState) -> None:
        """Updates ``state`` with the next frame; for overriding.

        A handler whose class overrides this or `determine_pause` detects turns in blocks, as
        gradio_webrtc 0.0.31 and fastrtc did.

        Args:
            audio: Rate in Hz and int16 ``(1, n)``.
            state: The state of the turn so far.
        """
        block = collect(audio, state)
        state.pause_detected = self.determine_pause(block, state.sampling_rate, state)

    def determine_pause(
        self, audio: NDArray[np.int16], sampling_rate: int, state: AppState
    ) -> bool:
        """Returns True if the turn is over, by the rule of 0.0.31; for overriding.

        Args:
            audio: All audio that was not judged yet, int16 ``(n,)``. Whoever has judged it sets
                ``state.buffer`` to ``None``.
            sampling_rate: Its rate in Hz.
            state: Takes the turn's audio in ``stream``, and ``started_talking``.
        """

        def measure(block: tuple[int, NDArray[np.int16]]) -> Any:
            return self.model.vad(block, self.model_options)

        return ends_turn(audio, sampling_rate, state, self.algo_options, measure)

    @property
    def _rtc_silero_options(self) -> SileroVadOptions:
        options = SileroVadOptions() if self.model_options is None else self.model_options
        if not isinstance(options, SileroVadOptions):
            raise TypeError(f"model_options is a SileroVadOptions, got {options!r}")
        return options

    @property
    def _rtc_bound_detector(self) -> TurnDetector:
        if self._rtc_detector is None:
            raise RuntimeError(f"{type(self).__name__} is in no session; a stream binds its copies")
        return self._rtc_detector

    @property
    def _rtc_detects_in_blocks(self) -> bool:
        return (
            self._rtc_model is not None
            or self._rtc_overrides("determine_pause")
            or self._rtc_overrides("process_audio")
        )

    @property
    def _rtc_receives_itself(self) -> bool:
        return self._rtc_overrides("receive") or "receive" in vars(self)

    def _rtc_ignores_audio(self) -> bool:
        return not self.can_interrupt and bool(self._rtc_is_responding)

    def _rtc_note_responding(self) -> None:
        """Follows what a program has set, in any thread.

        On the loop, where replies begin and end: the last one to look is right.
        """
        if not self._rtc_is_direct:
            return
        if threading.get_ident() == self._rtc_loop_thread:
            self._rtc_update_skipping()
        else:
            self._rtc_soon(self._rtc_update_skipping)

    def _rtc_update_skipping(self) -> None:
        """Has received audio skipped while it is ignored."""
        is_ignored = self._rtc_ignores_audio()
        if isinstance(self._rtc_detector, InboundTurnDetector):
            self._rtc_detector.inbound.set_skipping(is_ignored)
        if is_ignored:
            self._rtc_drop_held()

    def _rtc_overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(DetectingTurnHandler, name)

    def _rtc_make_detector(self) -> TurnDetector:
        rate_hz = self._rtc_detector_rate_hz
        if self._rtc_detects_in_blocks:
            return BlockTurnDetector(self, rate_hz)
        vad = own_detector(self._rtc_vad)
        options, terms = self._rtc_silero_options, self.speculative
        detector = make_detector(rate_hz, self.algo_options, options, vad, terms)
        if vad is not None:
            return PauseTurnDetector(detector, rate_hz)
        return InboundTurnDetector(InboundTurns(detector, self.input_frame_size))

    def _rtc_take_events(self, events: Iterable[TurnEvent]) -> None:
        for event in events:
            if self._rtc_ignores_audio():
                # Detected by a thread that could not have the beginning of the reply in time.
                return
            if event.audio is not None:
                # A subclass that has called `receive` reads both.
                self._rtc_note_pause(event.audio)
                self._rtc_event.mark()
            self._rtc_on_loop(self._rtc_on_turn_event, event)

    def _rtc_take_open_turn(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``, and discards it."""
        self._rtc_drop_held()
        with self._rtc_detector_lock:
            detector = self._rtc_bound_detector
            if isinstance(detector, InboundTurnDetector):
                # In one step: audio may be on its way to it that passes by this lock.
                return detector.take_open_turn()
            audio = detector.utterance_so_far()
            detector.reset()
        return audio

    @abstractmethod
    def _rtc_on_turn_event(self, event: TurnEvent) -> None:
        """Acts on what was found; on the event loop."""

    def _rtc_note_pause(self, audio: NDArray[np.int16]) -> None:
        """Updates ``state`` for its readers where turns are not detected with it."""
        if not self._rtc_detects_in_blocks:
            self.state.started_talking, self.state.pause_detected = False, True
            self.state.stream, self.state.sampling_rate = audio[0], self._rtc_detector_rate_hz
            self._rtc_mirrored = self.state.stream

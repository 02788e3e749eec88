"""Turn detection in blocks, for the code that users of gradio_webrtc 0.0.31 and fastrtc have.

A `PauseDetectionModel`, or an overridden ``determine_pause`` or ``process_audio``, is given
consecutive blocks of audio. It is later and less accurate than `PauseTurnDetector`, and serves
nothing but compatibility. Runs where ``receive`` runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from weakref import WeakMethod

import numpy as np

from gradio_webrtc._turns.detector import TurnEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._turns.options import AlgoOptions
    from gradio_webrtc.types import AudioFrame


_REPORT: Final = "_rtc_report"


class _Reported:
    """A field, false at first, whose setting is reported to whoever watches: see `watch`."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, state: object | None, _owner: type) -> Any:
        return False if state is None else vars(state)[self._name]

    def __set__(self, state: object, value: Any) -> None:
        vars(state)[self._name] = value
        report = vars(state).get(_REPORT)
        call = None if report is None else report()
        if call is not None:
            call()


@dataclass
class AppState:
    """The state of the current turn. For reading, and for an overridden ``determine_pause``.

    Attributes:
        stream: The turn's audio, int16 ``(n,)``.
        sampling_rate: Its rate in Hz; 0 before the first frame.
        pause_detected: True if the turn is over.
        started_talking: True if it has begun.
        responding: True if a reply is under way. A program may set it for one of its own: where
            replies may not be interrupted, speech is ignored meanwhile.
        stopped: For a subclass's own use.
        buffer: Audio that has not been judged yet, int16 ``(n,)``.
        responded_audio: True if the reply has emitted audio.
        interrupted: Set while a reply that was interrupted is being closed.
    """

    stream: NDArray[np.int16] | None = None
    sampling_rate: int = 0
    pause_detected: bool = False
    started_talking: bool = False
    responding: bool = cast("bool", _Reported())
    stopped: bool = False
    buffer: NDArray[np.int16] | None = None
    responded_audio: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def new(self) -> AppState:
        """Returns a state for the next turn."""
        return type(self)()

    def __getstate__(self) -> dict[str, Any]:
        """Returns the attributes of a copy, which nobody watches."""
        return {name: value for name, value in vars(self).items() if name != _REPORT}


def watch(state: AppState, report: Callable[[], object]) -> None:
    """Has a method called whenever ``responding`` is set, in that thread.

    Its object is not kept: a handler has its state.
    """
    vars(state)[_REPORT] = WeakMethod(report)


def renewed(state: AppState, *, keeps_audio: bool) -> AppState:
    """Returns a state for the next turn, if asked with the audio that it begins with."""
    fresh = state.new()
    if keeps_audio:
        fresh.stream, fresh.buffer = state.stream, state.buffer
        fresh.started_talking, fresh.sampling_rate = state.started_talking, state.sampling_rate
    return fresh


class BlockHandler(Protocol):
    """The part of a handler that `BlockTurnDetector` uses."""

    state: AppState
    algo_options: AlgoOptions

    @property
    def keeps_turns(self) -> bool:
        """True if the handler's own ``emit`` takes the turn out of ``state``."""

    def process_audio(self, audio: AudioFrame, state: AppState) -> None:
        """Updates ``state`` with the next frame."""


class BlockTurnDetector:
    """Calls a handler's ``process_audio`` with each frame, as gradio_webrtc 0.0.31 did.

    Meets `TurnDetector`. Not safe to use from two threads at once.

    Args:
        handler: Owns ``process_audio`` and ``state``.
        rate_hz: The rate of the inbound audio, in Hz.
    """

    def __init__(self, handler: BlockHandler, rate_hz: int) -> None:
        self._handler = handler
        self._rate_hz = rate_hz
        self._received_samples = 0
        self._speech_start_s: float | None = None

    def process(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """Returns the events that follow from the next samples, int16 ``(1, n)``.

        Raises:
            Exception: Whatever the user's code raises.
        """
        handler = self._handler
        events: list[TurnEvent] = []
        had_started = handler.state.started_talking
        self._received_samples += samples.size
        now_s = self._received_samples / self._rate_hz
        # Of the last frame; overridden code may only ever set it.
        handler.state.pause_detected = False
        handler.process_audio((self._rate_hz, samples), handler.state)
        if handler.state.started_talking and not had_started:
            self._speech_start_s = max(now_s - self._block_s, 0.0)
            events.append(TurnEvent("started_talking", now_s, self._speech_start_s, None))
        if handler.state.pause_detected:
            events.append(self._end_turn(now_s))
            self.reset()
            # Where a subclass looks for it after its frame.
            handler.state.pause_detected = True
        return events

    @property
    def _block_s(self) -> float:
        return self._handler.algo_options.audio_chunk_duration

    def _end_turn(self, now_s: float) -> TurnEvent:
        """Returns the event at the end of the turn in the handler's state."""
        audio = self.utterance_so_far()
        rate_hz = self._handler.state.sampling_rate or self._rate_hz
        start_s = self._speech_start_s
        if start_s is None:
            start_s = max(now_s - audio.size / rate_hz, 0.0)
        # The last block of a turn is silence, unless the turn was ended for its length.
        is_cut = audio.size >= self._handler.algo_options.longest_turn_s() * rate_hz
        end_s = now_s if is_cut else max(now_s - self._block_s, start_s)
        return TurnEvent("pause_detected", now_s, start_s, end_s, audio, rate_hz)

    @property
    def is_open(self) -> bool:
        """True during a turn, and while there is audio, less than a block, that may begin one."""
        state = self._handler.state
        return state.started_talking or (state.buffer is not None and bool(np.any(state.buffer)))

    @property
    def min_samples_until_event(self) -> int:
        """0: the handler's code may act on any sample."""
        return 0

    def candidate(self) -> None:
        """``None``: a block has speech in it, or ends the turn."""

    def end_turn(self, speech_end_s: float) -> None:
        """``None``: no turn has a candidate."""

    def set_pause(self, pause_s: float) -> None:
        """Does nothing: the block decides, or the handler's own code."""

    def skip(self, count: int) -> None:
        """Lets time pass without detection, in samples."""
        self._received_samples += count

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``."""
        stream = self._handler.state.stream
        return np.zeros((1, 0), np.int16) if stream is None else stream.reshape(1, -1)

    def reset(self) -> None:
        """Begins a new turn, unless the handler's own ``emit`` has yet to take this one."""
        self._speech_start_s = None
        if not self._handler.keeps_turns:
            self._handler.state = self._handler.state.new()


def collect(audio: AudioFrame, state: AppState) -> NDArray[np.int16]:
    """Adds a frame to the audio that ``state`` has not judged yet, and returns all of it, (n,)."""
    rate_hz, samples = audio
    state.sampling_rate = state.sampling_rate or rate_hz
    fresh = samples.reshape(-1)
    state.buffer = fresh if state.buffer is None else np.concatenate([state.buffer, fresh])
    return state.buffer


def ends_turn(
    block: NDArray[np.int16],
    rate_hz: int,
    state: AppState,
    options: AlgoOptions,
    measure: Callable[[tuple[int, NDArray[np.int16]]], Any],
) -> bool:
    """True if a block with little speech follows one with enough: the rule of 0.0.31.

    Args:
        block: All audio that was not judged yet, int16 ``(n,)``.
        rate_hz: Its rate.
        state: Takes the block, and the result.
        options: ``audio_chunk_duration`` is the length of a block; the thresholds are seconds of
            speech in one.
        measure: A model's ``vad``: returns seconds of speech, alone or followed by its chunks.
    """
    if block.size < options.audio_chunk_duration * rate_hz:
        return False
    state.buffer = None
    measured = measure((rate_hz, block))
    speech_s = measured[0] if isinstance(measured, tuple) else measured
    if not state.started_talking:
        if speech_s <= options.started_talking_threshold:
            return False
        state.started_talking = True
    state.stream = block if state.stream is None else np.concatenate([state.stream, block])
    return bool(
        speech_s < options.speech_threshold
        or state.stream.size >= options.longest_turn_s() * rate_hz
    )

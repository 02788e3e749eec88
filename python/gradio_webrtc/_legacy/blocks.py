"""Listening in blocks, as the predecessors did, for the code that their users wrote for it.

A `PauseDetectionModel`, or an overridden ``determine_pause`` or ``process_audio``, is given
consecutive blocks of sound. It hears later and less well than the detector of `listening`, and
serves nothing but compatibility.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gradio_webrtc._turns.detector import TurnEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradio_webrtc._turns.options import AlgoOptions
    from gradio_webrtc.types import AudioFrame


@dataclass
class AppState:
    """What is known of the turn at hand. For reading, and for an overridden ``determine_pause``.

    Attributes:
        stream: The turn's sound, int16 ``(n,)``.
        sampling_rate: Its rate in Hz; 0 before the first frame.
        pause_detected: Whether the turn is over.
        started_talking: Whether it has begun.
        responding: Whether a reply is under way.
        stopped: For a subclass's own use.
        buffer: Sound that has not been judged yet, int16 ``(n,)``.
        responded_audio: Whether the reply has said something.
        interrupted: Set while a reply that was interrupted is being closed.
    """

    stream: NDArray[np.int16] | None = None
    sampling_rate: int = 0
    pause_detected: bool = False
    started_talking: bool = False
    responding: bool = False
    stopped: bool = False
    buffer: NDArray[np.int16] | None = None
    responded_audio: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def new(self) -> AppState:
        """A state for the next turn."""
        return type(self)()


class BlockHandler(Protocol):
    """What `BlockTurnDetector` needs of a handler."""

    state: AppState
    algo_options: AlgoOptions

    @property
    def keeps_turns(self) -> bool:
        """Whether the handler's own ``emit`` takes the turn out of ``state``."""

    def process_audio(self, audio: AudioFrame, state: AppState) -> None:
        """Notes in ``state`` what the next frame brings."""


class BlockTurnDetector:
    """Asks a handler's ``process_audio`` about each frame, as 0.0.31 did.

    Args:
        handler: Whose ``process_audio`` and ``state``.
        rate_hz: The rate of what is received, in Hz.
    """

    def __init__(self, handler: BlockHandler, rate_hz: int) -> None:
        self._handler = handler
        self._rate_hz = rate_hz
        self._received_samples = 0
        self._speech_start_s: float | None = None

    def hear(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """What the handler makes of the next samples, int16 ``(1, n)``.

        Raises:
            Exception: Whatever the user's code raises.
        """
        handler, heard = self._handler, []
        had_started = handler.state.started_talking
        self._received_samples += samples.size
        now_s = self._received_samples / self._rate_hz
        block_s = handler.algo_options.audio_chunk_duration
        # Of the last frame; what is overridden may only ever set it.
        handler.state.pause_detected = False
        handler.process_audio((self._rate_hz, samples), handler.state)
        state = handler.state
        if state.started_talking and not had_started:
            self._speech_start_s = max(now_s - block_s, 0.0)
            heard.append(TurnEvent("started_talking", now_s, self._speech_start_s, None))
        if state.pause_detected:
            audio = self.so_far()
            rate_hz = state.sampling_rate or self._rate_hz
            start_s = self._speech_start_s
            if start_s is None:
                start_s = max(now_s - audio.size / rate_hz, 0.0)
            # The last block of a turn is silence, unless the turn was ended for its length.
            limit_s = handler.algo_options.longest_turn_s()
            is_cut = audio.size >= limit_s * rate_hz
            end_s = now_s if is_cut else max(now_s - block_s, start_s)
            heard.append(TurnEvent("pause_detected", now_s, start_s, end_s, audio, rate_hz))
            self.forget()
            # As a subclass finds it that looks when its frame was heard.
            handler.state.pause_detected = True
        return heard

    @property
    def min_samples_until_event(self) -> int:
        """None: what the handler makes of them is its own affair."""
        return 0

    def skip(self, count: int) -> None:
        """Lets time pass without listening, in samples."""
        self._received_samples += count

    def so_far(self) -> NDArray[np.int16]:
        """What the open turn holds so far, int16 ``(1, n)``."""
        stream = self._handler.state.stream
        return np.zeros((1, 0), np.int16) if stream is None else stream.reshape(1, -1)

    def forget(self) -> None:
        """Begins afresh, unless the handler's own ``emit`` has yet to take the turn."""
        self._speech_start_s = None
        if not self._handler.keeps_turns:
            self._handler.state = self._handler.state.new()


def collect(audio: AudioFrame, state: AppState) -> NDArray[np.int16]:
    """Adds a frame to what ``state`` has not judged yet, and returns all of that, ``(n,)``."""
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
    """The predecessors' rule: whether a block with little speech in it follows one with enough.

    Args:
        block: Everything not judged yet, int16 ``(n,)``.
        rate_hz: Its rate.
        state: Takes the block, and what is known after it.
        options: ``audio_chunk_duration`` is the length of a block; the thresholds are seconds of
            speech in one.
        measure: A model's ``vad``: seconds of speech, alone or followed by its chunks.
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

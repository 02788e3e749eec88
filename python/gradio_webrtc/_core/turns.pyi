"""The user's turns in received audio, compiled from Rust.

Threads, errors and the GIL are as in `gradio_webrtc._core`.
"""

from typing import Literal, Protocol, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_STALL_S",
    "InboundTurns",
    "PauseDetector",
    "PauseEvent",
    "SileroVad",
]

MAX_STALL_S: float
"""The seconds without audio in which an open turn goes on; what has not come then is silence.

Shorter would end turns in the stalls of a radio network, which last a second as a rule.
"""

class _Vad(Protocol):
    """A voice activity detector: returns the probability of speech in each window.

    Attributes:
        sample_rate: The sample rate of its windows, 8,000 to 192,000 Hz.
        window_samples: The length of its windows, in samples at that rate, 1 to a minute's.
    """

    @property
    def sample_rate(self) -> int: ...
    @property
    def window_samples(self) -> int: ...
    def probability(self, window: NDArray[np.float32], /) -> float:
        """Returns the probability of speech, 0 to 1.

        Args:
            window: float32 `(window_samples,)`, -1 to 1, the successor of the window before; a new
                array each time, so that the detector may keep it.
        """

    def reset(self) -> object:
        """Discards all state; the next window is the first of a stream."""

@final
class SileroVad:
    """The voice activity detector Silero 6.2, computed in Rust with embedded weights.

    Keeps its state from window to window: use one for each stream.

    Args:
        sample_rate_hz: 16,000 Hz, or 8,000 Hz for the net trained on telephone audio.

    Raises:
        AudioError: For another rate.
    """

    def __new__(cls, sample_rate_hz: int = 16_000) -> SileroVad: ...
    def probability(self, window: NDArray[np.float32]) -> float:
        """Returns the probability of speech in the next window, 0 to 1; 10 to 25 microseconds.

        Args:
            window: float32 `(window_samples,)` or `(1, window_samples)`, -1 to 1.

        Raises:
            AudioError: For another dtype, shape or length.
        """

    def reset(self) -> None:
        """Discards all state; the next window is the first of a stream."""

    @property
    def sample_rate(self) -> int:
        """The sample rate of its windows, in Hz."""

    @property
    def window_samples(self) -> int:
        """The length of a window, in samples: 32 ms."""

@final
class PauseEvent:
    """An event in a user's speech. Times are seconds of the audio fed so far.

    Returned by `PauseDetector`; two events are equal if all their properties are.
    """

    @property
    def kind(self) -> Literal["speech_started", "pause_candidate", "pause_cancelled", "pause"]:
        """The kind.

        `speech_started`: a turn began. `pause_candidate`: it may be over. `pause_cancelled`: it was
        not over. `pause`: it is over.
        """

    @property
    def time_s(self) -> float:
        """The duration of the audio fed at the decision."""

    @property
    def speech_start_s(self) -> float:
        """The start of the turn's first window of speech, at least 0."""

    @property
    def speech_end_s(self) -> float | None:
        """The start of the current silence; `None` for the two kinds that do not concern one."""

    __hash__: None  # type: ignore[assignment]

@final
class PauseDetector:
    """Detects the turns in a user's audio, and returns the utterance of each.

    Every window of the detector (32 ms for the built-in one) counts as speech or as silence: from
    `threshold` on it is speech (from `continue_threshold` on during a turn), below
    `release_threshold` it is silence, between the two it is the same as the window before.
    Durations count whole windows, rounded up. With the defaults the end of a turn is detected about
    0.58 s after it (median), and pauses of up to half a second inside a turn do not end it.

    The results do not depend on how the audio is cut into calls. After a pause the detector goes
    on: speech during a reply is the beginning of the next turn.

    Args:
        sample_rate_hz: Rate of the audio, 8,000 to 192,000 Hz.
        vad: The voice activity detector; `None` for the built-in `SileroVad` (at 8 kHz its net for
            telephone audio, otherwise the one for 16 kHz). A detector of your own has
            `sample_rate`, `window_samples`, `probability(window)` and `reset()`. It is called in
            the thread that calls `process`.
        threshold: Probability from which a window is speech outside a turn, 0 to 1.
        continue_threshold: The same once a turn is under way, 0 to 1.
        release_threshold: Probability below which a window is silence, 0 to 1.
        started_talking_s: Speech that makes a turn, in seconds.
        pause_s: Silence that ends a turn, in seconds, above 0.
        candidate_s: Silence that may end a turn, in seconds; `inf` for no such events.
        forget_s: Silence after which speech too short for a turn is discarded, in seconds.
        pre_roll_s: Audio before the first window of speech that belongs to the turn, 0 to 30 s.
        max_speech_s: Length from its first window of speech at which a turn is ended even while
            speech goes on, in seconds, above 0; the next turn then begins with the next sample. A
            turn is always ended after 15 minutes: memory has a bound.

    Raises:
        AudioError: For a value outside its range.
    """

    def __new__(
        cls,
        sample_rate_hz: int,
        *,
        vad: _Vad | None = None,
        threshold: float = 0.5,
        continue_threshold: float = 0.3,
        release_threshold: float = 0.15,
        started_talking_s: float = 0.2,
        pause_s: float = 0.5,
        candidate_s: float = 0.192,
        forget_s: float = 0.6,
        pre_roll_s: float = 0.3,
        max_speech_s: float = ...,
    ) -> PauseDetector: ...
    def process(self, samples: NDArray[np.int16]) -> list[PauseEvent]:
        """Takes audio; returns the resulting events.

        With the built-in detector 10 to 30 microseconds for a window, however long the turn.

        Args:
            samples: int16 `(n,)` or `(1, n)`, mono. Any length.

        Returns:
            The events in order; mostly none.

        Raises:
            AudioError: For another dtype or shape, or when the detector returns a number that is no
                probability.
            Exception: Any exception of the detector, unchanged. Its window then counts neither as
                speech nor as silence; everything else is kept, and events that were decided before
                are returned by the next call.
        """

    def take_utterance(self) -> NDArray[np.int16]:
        """Takes the audio of the turn that a `pause` ended.

        It begins `pre_roll_s` before the first window of speech and ends where the pause was
        decided. Turns wait, oldest first, until they are taken or a later call of `process` ends
        another one.

        Returns:
            int16 `(1, n)`; `n` is 0 when no turn waits.
        """

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Copies the audio of the turn under way, up to the last sample fed.

        Returns:
            int16 `(1, n)`; `n` is 0 while there is no turn.
        """

    def candidate(self) -> NDArray[np.int16] | None:
        """Copies the audio of the turn under way, while it may be over.

        Returns:
            As `utterance_so_far` does; `None` before a `pause_candidate`, behind a
            `pause_cancelled` and behind a `pause`.
        """

    def end_turn(self, speech_end_s: float) -> PauseEvent | None:
        """Ends the turn under way now, as the `pause` at its end would, if it may be over.

        Its audio is taken with `take_utterance`; that of turns that ended before is dropped.

        Args:
            speech_end_s: That of the `pause_candidate` since which it may be.

        Returns:
            The `pause`; `None` where speech has gone on since, and where the turn is over already.
        """

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends a turn, in seconds, from now on, also for the one under way.

        Raises:
            AudioError: It is not above 0; nothing is changed.
        """

    def disregard(self) -> None:
        """Discards the turn under way, or what may become one.

        Speech that goes on begins another turn, with the pre-roll before it.
        """

    def reset(self) -> None:
        """Discards all state; time counts from 0 again.

        Raises:
            Exception: Any exception of the detector's own `reset`, after everything else is reset.
        """

    @property
    def is_speaking(self) -> bool:
        """True while a turn is under way: from `speech_started` until `pause`."""

    @property
    def is_open(self) -> bool:
        """True while a turn is under way, or what may become one: only more audio decides."""

    @property
    def min_samples_until_event(self) -> int:
        """The number of samples that can follow without an event, whatever they contain.

        They may wait and be fed in one batch: with the defaults, while nobody talks, and while
        somebody does, about 0.2 s. `utterance_so_far` is as far behind then.
        """

    @property
    def probability(self) -> float:
        """The probability of speech in the last window, 0 to 1; 0 at the start."""

_DetectedEvent: TypeAlias = tuple[PauseEvent, int]
"""An event on the clock of a session, and the epoch in which it was detected."""

_TurnEvent: TypeAlias = tuple[PauseEvent, NDArray[np.int16] | None]
"""An event on the clock of a session, and with a `pause` the audio of the turn, int16 `(1, n)`."""

@final
class InboundTurns:
    """Detects the user's turns in the audio of a session as it is received.

    The same as an `InboundAudio` to mono, whose frames go to `detector`, in one call. Times are in
    seconds of audio received since the session began, whatever was skipped and reset.

    Audio is detected in whole frames, and not beyond one that brings events: what they begin, such
    as a reply that may not be interrupted, can count for the frame behind it. `proceed` continues
    there.

    A thread without the interpreter may use it at the same time. Its events may be overtaken until
    they are applied: to discard the turn under way begins a new epoch, and `claim` drops the events
    of those before. That is done by `reset`, `take_open_turn`, `skip`, and `set_skipping` where
    audio was not skipped before.

    Args:
        detector: Detects in audio of the handler's rate, with the built-in Silero. It is taken
            over, and refuses every further use.
        frame_samples: Samples of a frame at the handler's rate, 1 to a minute's.

    Raises:
        AudioError: The detector has a `vad` of its own, or was taken over before.
    """

    def __new__(cls, detector: PauseDetector, frame_samples: int) -> InboundTurns: ...
    def process(
        self, call_rate_hz: int, call_channels: int, samples: NDArray[np.int16]
    ) -> tuple[list[_DetectedEvent], float]:
        """Takes received audio, and detects up to the first frame that brings events.

        Some microseconds for 20 ms; call on the event loop. Where the rate or the channels are
        other ones than before, the incomplete frame is dropped.

        Args:
            call_rate_hz: The rate of the samples, 8,000 to 192,000 Hz.
            call_channels: Their channels, 1 or 2.
            samples: int16 `(n,)` or `(1, n)`, the channels interleaved. Any length.

        Returns:
            The events, mostly none, and `batch_allowance_s` behind them. After events call
            `proceed` until there are none.

        Raises:
            AudioError: For another dtype or shape, half a pair of stereo samples, a frame size, a
                rate or channels out of range.
        """

    def proceed(self) -> tuple[list[_DetectedEvent], float]:
        """Detects in the frames that wait, up to the first one that brings events.

        Returns:
            As `process` does.
        """

    def detect(self, samples: NDArray[np.int16]) -> list[_DetectedEvent]:
        """Detects in audio of the handler's rate, ahead of frames that wait.

        Args:
            samples: int16 `(n,)` or `(1, n)`, mono. Any length.

        Returns:
            The events.

        Raises:
            AudioError: For another dtype or shape.
        """

    def claim(self, event: PauseEvent, epoch: int) -> _TurnEvent | None:
        """Takes an event that is about to be applied, with the audio of the turn that it ends.

        Args:
            event: As it was detected.
            epoch: The one in which it was.

        Returns:
            `None` for one that is overtaken, and for the end of a turn that was claimed before.
        """

    def set_skipping(self, is_skipping: bool) -> None:
        """While set, received frames pass without detection: the next one discards the open turn.

        `detect` goes on. Where it was not set before, a new epoch begins.
        """

    def skip(self, samples: int) -> None:
        """Lets time pass without detection, in samples of the handler's rate.

        The open turn is discarded, and a new epoch begins.
        """

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Copies the audio of the turn under way, up to the last whole frame.

        Returns:
            int16 `(1, n)`; `n` is 0 while there is no turn.
        """

    def candidate(self) -> NDArray[np.int16] | None:
        """Copies the audio of the turn under way, while it may be over.

        Returns:
            As `utterance_so_far` does; `None` before a `pause_candidate`, behind a
            `pause_cancelled` and behind a `pause`.
        """

    def end_turn(self, speech_end_s: float) -> _TurnEvent | None:
        """Ends the turn under way now, if it may be over since the candidate with this time.

        Args:
            speech_end_s: That of the `pause_candidate`.

        Returns:
            The `pause` and the audio of the turn, claimed already; `None` where speech has gone on
            since, and where another call has ended or discarded the turn.
        """

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends a turn, in seconds, from now on, also for the one under way.

        Raises:
            AudioError: It is not above 0; nothing is changed.
        """

    def take_open_turn(self) -> NDArray[np.int16]:
        """Takes the audio of the turn under way, and discards it here, as `reset` does.

        Returns:
            As `utterance_so_far` does.
        """

    def disregard(self) -> None:
        """Discards the open turn, in a new epoch, and nothing of what the detector has learnt.

        Speech that goes on begins another turn, with the pre-roll before it.
        """

    def reset(self) -> None:
        """Discards the open turn; the next frame begins a new one, and the clock goes on."""

    @property
    def is_open(self) -> bool:
        """True while a turn is under way, or what may become one: only more audio decides.

        Where none comes, silence in its place. False while audio is skipped.
        """

    @property
    def min_samples_until_event(self) -> int:
        """The number of samples that can follow without an event, whatever they contain.

        At the handler's rate; less than a window while a turn may be over, and 0 while audio is
        skipped.
        """

    @property
    def batch_allowance_s(self) -> float:
        """The received audio that may wait, in seconds, since no event could follow from it.

        Less the frame that may be incomplete here; below 0 where none may wait.
        """

    @property
    def sample_rate_hz(self) -> int:
        """The handler's rate, that of the detector, in Hz."""

    @property
    def frame_samples(self) -> int:
        """The samples of a frame."""

"""From the caller's sound to turns: what was heard, when, and the sound itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradio_webrtc._audio import PauseDetector, PauseEvent

TurnEventName: TypeAlias = Literal[
    "started_talking", "pause_candidate", "pause_cancelled", "pause_detected"
]

NAMES: Final[dict[str, TurnEventName]] = {
    "speech_started": "started_talking",
    "pause_candidate": "pause_candidate",
    "pause_cancelled": "pause_cancelled",
    "pause": "pause_detected",
}
"""The detector's events under the names that pages know."""


class TurnEvent(NamedTuple):
    """Something heard; times in seconds of sound received since the call began.

    Attributes:
        name: What.
        time_s: When it was certain.
        speech_start_s: Where the turn's speech began.
        speech_end_s: Where it ended, as far as is known.
        audio: The turn's sound, int16 ``(1, n)``, when it is over.
        rate_hz: The rate of ``audio``, when it is not that of what is received.
    """

    name: TurnEventName
    time_s: float
    speech_start_s: float
    speech_end_s: float | None
    audio: NDArray[np.int16] | None = None
    rate_hz: int | None = None

    def times(self) -> dict[str, float]:
        """The times that are known, by name."""
        times = {"time_s": self.time_s, "speech_start_s": self.speech_start_s}
        return times if self.speech_end_s is None else times | {"speech_end_s": self.speech_end_s}


class TurnDetector(Protocol):
    """Finds turns in sound as it arrives. Not safe to use from two threads at once."""

    def hear(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """What can be told from the next samples, int16 ``(1, n)``."""

    @property
    def min_samples_until_event(self) -> int:
        """How many samples can follow of which nothing is told, whatever is in them."""

    def skip(self, count: int) -> None:
        """Lets time pass without listening, in samples."""

    def so_far(self) -> NDArray[np.int16]:
        """What the open turn holds so far, int16 ``(1, n)``."""

    def forget(self) -> None:
        """Begins afresh with the next samples."""


class PauseTurnDetector:
    """A pause detector on the clock of the call.

    Not safe to use from two threads at once.

    Args:
        detector: Hears mono at ``rate_hz``.
        rate_hz: The rate of what is received, in Hz.
    """

    def __init__(self, detector: PauseDetector, rate_hz: int) -> None:
        self._detector = detector
        self._rate_hz = rate_hz
        self._received_samples = 0
        self._origin_s = 0.0
        self._has_gap = False

    def hear(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """What can be told from the next samples, int16 ``(1, n)``.

        Raises:
            Exception: Whatever a detector of the user's own raises; what was heard is kept.
        """
        if self._has_gap:
            self.forget()
        self._received_samples += samples.size
        events = self._detector.process(samples)
        # Most frames bring nothing: what is made for an event costs them nothing.
        return [self._heard(event) for event in events] if events else []

    @property
    def min_samples_until_event(self) -> int:
        """How many samples can follow of which nothing is told; 0 during a turn."""
        return 0 if self._has_gap else self._detector.min_samples_until_event

    def _heard(self, event: PauseEvent) -> TurnEvent:
        """The event on the clock of the call, with the turn's sound if it is over."""
        return TurnEvent(
            name=NAMES[event.kind],
            time_s=self._origin_s + event.time_s,
            speech_start_s=self._origin_s + event.speech_start_s,
            speech_end_s=_shifted(event.speech_end_s, self._origin_s),
            audio=self._detector.take_utterance() if event.kind == "pause" else None,
        )

    def skip(self, count: int) -> None:
        """Lets time pass without listening, in samples. What was heard before is forgotten."""
        self._received_samples += count
        self._has_gap = True

    def so_far(self) -> NDArray[np.int16]:
        """What the open turn holds so far, int16 ``(1, n)``; empty when nobody speaks."""
        if self._has_gap:
            return np.zeros((1, 0), np.int16)
        return self._detector.utterance_so_far().reshape(1, -1)

    def forget(self) -> None:
        """Begins afresh with the next samples; the clock goes on."""
        self._detector.reset()
        self._origin_s = self._received_samples / self._rate_hz
        self._has_gap = False


def _shifted(time_s: float | None, origin_s: float) -> float | None:
    return None if time_s is None else time_s + origin_s


def to_mono(samples: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    """Packed samples of any shape as int16 ``(1, n)``, averaged over their channels."""
    if channels == 1:
        # What a session hands over, fifty times a second from each caller, passes as it is.
        return samples if samples.shape[:-1] == (1,) else samples.reshape(1, -1)
    mean = samples.reshape(-1, channels).astype(np.int32).sum(axis=1) // channels
    mono: NDArray[np.int16] = mean.astype(np.int16).reshape(1, -1)
    return mono

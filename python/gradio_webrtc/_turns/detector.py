"""From inbound audio to turns: speech and pauses on the clock of a session.

Runs where ``receive`` runs. Answers no turns and depends on no session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gradio_webrtc._audio import InboundTurns, PauseDetector, PauseEvent

TurnEventName: TypeAlias = Literal[
    "started_talking", "pause_candidate", "pause_cancelled", "pause_detected"
]

NAMES: Final[dict[str, TurnEventName]] = {
    "speech_started": "started_talking",
    "pause_candidate": "pause_candidate",
    "pause_cancelled": "pause_cancelled",
    "pause": "pause_detected",
}
"""The kinds of the core's events, and the names under which clients get them."""


class TurnEvent(NamedTuple):
    """An event in a turn; times in seconds of audio received since the session began.

    Attributes:
        name: The kind of event.
        time_s: The time at which it was certain.
        speech_start_s: The beginning of the turn's speech.
        speech_end_s: Its end, as far as is known.
        audio: The turn's audio, int16 ``(1, n)``, when it is over.
        rate_hz: The rate of ``audio``, when it is not that of the inbound audio.
        is_early: True for the end of a turn that came before its pause, by `TurnDetector.end_turn`.
    """

    name: TurnEventName
    time_s: float
    speech_start_s: float
    speech_end_s: float | None
    audio: NDArray[np.int16] | None = None
    rate_hz: int | None = None
    is_early: bool = False

    def times(self) -> dict[str, float]:
        """Returns the times that are known, by name."""
        times = {"time_s": self.time_s, "speech_start_s": self.speech_start_s}
        return times if self.speech_end_s is None else times | {"speech_end_s": self.speech_end_s}


class TurnDetector(Protocol):
    """Detects turns in audio as it arrives. Not safe to use from two threads at once."""

    def process(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """Returns the events that follow from the next samples, int16 ``(1, n)``."""

    @property
    def is_open(self) -> bool:
        """True while there is a turn, or what may become one, about which only audio decides.

        From any thread, while another one detects, and without waiting for it.
        """

    @property
    def min_samples_until_event(self) -> int:
        """The samples that can follow without an event, whatever is in them."""

    def skip(self, count: int) -> None:
        """Lets time pass without detection, in samples."""

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``."""

    def candidate(self) -> NDArray[np.int16] | None:
        """Returns that audio while the turn may be over, else ``None``."""

    def end_turn(self, speech_end_s: float) -> TurnEvent | None:
        """Ends the turn now, if it may be over since the candidate with this ``speech_end_s``.

        Returns:
            The end of the turn, as its pause would have been, with less silence. ``None`` where
            speech has gone on since, and where the turn is over already.
        """

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends a turn, in seconds, more than 0, from now on."""

    def reset(self) -> None:
        """Discards the open turn; the next samples begin a new one, and the clock goes on."""


def claimed(turns: InboundTurns, events: Iterable[tuple[PauseEvent, int]]) -> Iterator[TurnEvent]:
    """Yields events of the core on the clock of the session, as clients get them.

    Each is claimed when its turn comes: what was overtaken until then is left out.

    Args:
        turns: Has detected them.
        events: With the epochs in which they were detected.
    """
    for detected in events:
        found = turns.claim(*detected)
        if found is not None:
            event, audio = found
            times = (event.time_s, event.speech_start_s, event.speech_end_s)
            yield TurnEvent(NAMES[event.kind], *times, audio)


class InboundTurnDetector:
    """The detector of a session whose received audio goes to the core at once.

    It may be used from several threads: the core has a lock.

    Args:
        inbound: Detects the turns.

    Attributes:
        inbound: As given. Whoever feeds it with received audio passes its events on, `claimed`.
    """

    def __init__(self, inbound: InboundTurns) -> None:
        self.inbound = inbound

    def process(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """Returns the events that follow from the next samples, int16 ``(1, n)``."""
        events = self.inbound.detect(samples)
        return list(claimed(self.inbound, events)) if events else []

    @property
    def is_open(self) -> bool:
        """True while there is a turn, or what may become one, about which only audio decides."""
        return self.inbound.is_open

    @property
    def min_samples_until_event(self) -> int:
        """The samples that can follow without an event; few while a turn may be over."""
        return self.inbound.min_samples_until_event

    def skip(self, count: int) -> None:
        """Lets time pass without detection, in samples. The open turn is discarded."""
        self.inbound.skip(count)

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``; empty when nobody speaks."""
        return self.inbound.utterance_so_far()

    def candidate(self) -> NDArray[np.int16] | None:
        """Returns that audio while the turn may be over, else ``None``."""
        return self.inbound.candidate()

    def end_turn(self, speech_end_s: float) -> TurnEvent | None:
        """Ends the turn now, if it may be over since that candidate; see `TurnDetector`."""
        ended = self.inbound.end_turn(speech_end_s)
        if ended is None:
            return None
        event, audio = ended
        times = (event.time_s, event.speech_start_s, event.speech_end_s)
        return TurnEvent(NAMES[event.kind], *times, audio, is_early=True)

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends a turn, in seconds, also of the one under way."""
        self.inbound.set_pause(pause_s)

    def disregard(self) -> None:
        """Discards the open turn; speech that goes on begins another, with its pre-roll."""
        self.inbound.disregard()

    def take_open_turn(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``, and discards it.

        Behind that of turns whose end was detected and not claimed yet.
        """
        return self.inbound.take_open_turn()

    def reset(self) -> None:
        """Discards the open turn; the next samples begin a new one, and the clock goes on."""
        self.inbound.reset()


class InboundDetection(NamedTuple):
    """What a session passes received audio to, in place of a handler's ``receive``.

    Attributes:
        turns: Detects in blocks as they are received; skips them while the handler has it so.
        on_events: Takes the events of a frame, `claimed` one by one as it takes them; in any
            thread.
    """

    turns: InboundTurns
    on_events: Callable[[Iterable[TurnEvent]], None]


class PauseTurnDetector:
    """A pause detector of the core on the clock of the session.

    For a detector of speech that is written in Python; the built-in one has `InboundTurnDetector`.
    Not safe to use from two threads at once.

    Args:
        detector: Takes mono audio at ``rate_hz``.
        rate_hz: The rate of the inbound audio, in Hz.

    Attributes:
        is_open: True while there is a turn, or what may become one, about which only audio decides.
    """

    def __init__(self, detector: PauseDetector, rate_hz: int) -> None:
        # Copied, since the detector is locked while a slow one of the user's own computes.
        self.is_open = False
        self._detector = detector
        self._rate_hz = rate_hz
        self._received_samples = 0
        self._origin_s = 0.0
        self._has_gap = False

    def process(self, samples: NDArray[np.int16]) -> list[TurnEvent]:
        """Returns the events that follow from the next samples, int16 ``(1, n)``.

        Raises:
            Exception: Whatever a detector of the user's own raises; the audio is kept.
        """
        if self._has_gap:
            self.reset()
        self._received_samples += samples.size
        try:
            events = self._detector.process(samples)
        finally:
            self.is_open = self._detector.is_open
        # Most frames bring no event: the objects for one are made for those that do.
        return [self._placed(event) for event in events] if events else []

    @property
    def min_samples_until_event(self) -> int:
        """The samples that can follow without an event; few while a turn may be over."""
        return 0 if self._has_gap else self._detector.min_samples_until_event

    def _placed(self, event: PauseEvent) -> TurnEvent:
        """Returns the event on the clock of the session, with the turn's audio if it is over."""
        origin_s, speech_end_s = self._origin_s, event.speech_end_s
        return TurnEvent(
            name=NAMES[event.kind],
            time_s=origin_s + event.time_s,
            speech_start_s=origin_s + event.speech_start_s,
            speech_end_s=None if speech_end_s is None else origin_s + speech_end_s,
            audio=self._detector.take_utterance() if event.kind == "pause" else None,
        )

    def skip(self, count: int) -> None:
        """Lets time pass without detection, in samples. The open turn is discarded."""
        self._received_samples += count
        # The detector is reset by the next samples only: skipping may go on for minutes.
        self._has_gap = True
        self.is_open = False

    def utterance_so_far(self) -> NDArray[np.int16]:
        """Returns the audio of the open turn, int16 ``(1, n)``; empty when nobody speaks."""
        if self._has_gap:
            return np.zeros((1, 0), np.int16)
        return self._detector.utterance_so_far().reshape(1, -1)

    def candidate(self) -> NDArray[np.int16] | None:
        """Returns that audio while the turn may be over, else ``None``."""
        return None if self._has_gap else self._detector.candidate()

    def end_turn(self, speech_end_s: float) -> TurnEvent | None:
        """Ends the turn now, if it may be over since that candidate; see `TurnDetector`."""
        if self._has_gap:
            return None
        event = self._detector.end_turn(speech_end_s - self._origin_s)
        self.is_open = self._detector.is_open
        return None if event is None else self._placed(event)._replace(is_early=True)

    def set_pause(self, pause_s: float) -> None:
        """Sets the silence that ends a turn, in seconds, also of the one under way."""
        self._detector.set_pause(pause_s)

    def disregard(self) -> None:
        """Discards the open turn; speech that goes on begins another, with its pre-roll."""
        self._detector.disregard()
        self.is_open = self._detector.is_open

    def reset(self) -> None:
        """Discards the open turn; the next samples begin a new one, and the clock goes on."""
        self._detector.reset()
        self._origin_s = self._received_samples / self._rate_hz
        self._has_gap = self.is_open = False

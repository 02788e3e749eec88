"""Distinguishes the echo of a reply from a user who talks over it.

Runs on the event loop. The comparison is the session's; what it leads to is the handler's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradio_webrtc._audio import ECHO_SCORE

from .detector import InboundTurnDetector, PauseTurnDetector

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gradio_webrtc.types import SessionHandle

    from .detector import TurnDetector, TurnEvent


class EchoGuard:
    """Discards turns that are the echo of a reply, at their beginning.

    What goes on after that begins another turn after as much speech as any: it is compared again,
    about five times a second. So a user who joins an echo interrupts as late as any other.

    Args:
        session: Compares what was received with what was sent.
        lock: Held while the detector is used.
    """

    def __init__(self, session: SessionHandle, lock: AbstractContextManager[object]) -> None:
        self._session = session
        self._lock = lock
        self._ignored_start_s: float | None = None

    def covers(self, event: TurnEvent, detector: TurnDetector, rate_hz: int) -> bool:
        """True if an event is of a turn that is an echo, which is discarded; notifies the session.

        Args:
            event: Found by the detector.
            detector: One that detects in windows: no other has the beginning of a turn in time.
            rate_hz: The rate of its audio, in Hz.
        """
        if event.name != "started_talking":
            # Found by another thread before the turn was discarded.
            return event.speech_start_s == self._ignored_start_s
        if not isinstance(detector, InboundTurnDetector | PauseTurnDetector):
            return False
        with self._lock:
            received = detector.utterance_so_far()
        score = self._session.echo_score(rate_hz, received)
        if score < ECHO_SCORE:
            return False
        with self._lock:
            detector.disregard()
        self._ignored_start_s = event.speech_start_s
        self._session.event("echo_ignored", score=score, **event.times())
        return True

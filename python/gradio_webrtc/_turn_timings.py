"""The moments of one turn of the user, as a frozen value. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TurnTimings:
    """The moments between a user's last word and the first audio of the answer to it.

    Moments are in seconds since the session connected, by the clock of its event loop; ``None``
    stands for one that never came. Those of the audio are as it was received: what the client and
    the network took on the way in is not part of any. Properties are lengths of time in seconds,
    ``None`` without both of their moments.

    Attributes:
        number: Counts the user's turns from 1; see `get_turn`.
        last_speech_s: The end of the user's speech; ``None`` for a turn that was written, answered
            on request, or detected by a service.
        candidate_s: The short silence behind it was long enough that the turn might be over; what
            ``speculative`` and ``turn_end`` begin at. ``None`` where nothing reports it.
        decision_s: It was certain that the turn is over.
        function_start_s: The function was called. With ``speculative`` that may be before the
            decision. In a `RealtimeHandler` the service began its answer.
        first_item_s: The function returned its first audio. ``None`` for handlers with an ``emit``
            of their own.
        first_packet_s: The first frame of the answer was passed on to be sent.
        heard_s: The client has played it, as far as can be estimated: ``first_packet_s``, and the
            delay of the network and of the client's jitter buffer.
        discarded_starts: Answers to the turn that ``speculative`` began and dropped.
        was_interrupted: The answer was ended before its time. In ``on_turn`` before its first
            audio, since that is called once there is some.

    Example:
        >>> turn = TurnTimings(1, 2.0, 2.2, 2.5, 2.5, 2.9, 2.92, 3.05)
        >>> round(turn.response_s, 3), round(turn.function_s, 3)
        (0.92, 0.4)
    """

    number: int
    last_speech_s: float | None = None
    candidate_s: float | None = None
    decision_s: float | None = None
    function_start_s: float | None = None
    first_item_s: float | None = None
    first_packet_s: float | None = None
    heard_s: float | None = None
    discarded_starts: int = 0
    was_interrupted: bool = False

    @property
    def start_s(self) -> float | None:
        """The moment from which the user waits: the last speech, or the decision without one."""
        return self.decision_s if self.last_speech_s is None else self.last_speech_s

    @property
    def response_s(self) -> float | None:
        """From the last speech, or the decision without one, to the first packet."""
        return _between(self.start_s, self.first_packet_s)

    @property
    def total_s(self) -> float | None:
        """From there to the moment at which the answer is heard."""
        return _between(self.start_s, self.heard_s)

    @property
    def function_s(self) -> float | None:
        """From the start of the function to its first audio: all of its time, early or not."""
        return _between(self.function_start_s, self.first_item_s)

    @property
    def pause_s(self) -> float | None:
        """From the last speech to the decision: the first of the four parts of `total_s`."""
        return _between(self.last_speech_s, self.decision_s)

    @property
    def wait_s(self) -> float | None:
        """From the decision to the first audio: the second part, 0 if it was there already."""
        return _between(self.decision_s, self.first_item_s)

    @property
    def sending_s(self) -> float | None:
        """From there to the first packet: the third part."""
        if self.first_item_s is None or self.decision_s is None:
            return None
        return _between(max(self.first_item_s, self.decision_s), self.first_packet_s)

    @property
    def delivery_s(self) -> float | None:
        """From the first packet to the moment at which it is heard: the last part."""
        return _between(self.first_packet_s, self.heard_s)

    def as_dict(self) -> dict[str, Any]:
        """Returns all moments and lengths of time in one flat dict, for logs and JSON."""
        lengths = {name: getattr(self, name) for name in LENGTHS}
        return {**asdict(self), **lengths}


LENGTHS = (
    "response_s",
    "total_s",
    "function_s",
    "pause_s",
    "wait_s",
    "sending_s",
    "delivery_s",
)
"""The properties of `TurnTimings` that are lengths of time."""


def _between(begin_s: float | None, end_s: float | None) -> float | None:
    return None if begin_s is None or end_s is None else max(end_s - begin_s, 0.0)

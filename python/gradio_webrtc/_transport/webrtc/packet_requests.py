"""The packets of inbound video that are missing, and when to request each of them.

Negative acknowledgements as in RFC 4585 section 6.2.1. Runs on the event loop, with the time as an
argument. Imports nothing of ours.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_MISSING: Final = 256
"""Packets that are requested, counted back from the newest: senders keep about as many."""

MAX_REQUESTS: Final = 10
"""For one packet: what does not come then is not there any more (libwebrtc,
modules/video_coding/nack_requester.cc)."""

ROUND_TRIP_S: Final = (0.015, 0.5)
"""Bounds of the measured time from a request to its answer."""

FIRST_ROUND_TRIP_S: Final = 0.1
"""Until a packet came that was requested."""

REPEAT_ROUND_TRIPS: Final = 0.5
"""Round trips between two requests for a packet. Half of one, since a request gets lost as well as
its answer: senders of browsers leave out what they have sent within a round trip, and ours within
half of one, so that a second request costs little where the first one came."""

SMOOTHING: Final = 0.25
"""Weight of a new round trip. Twice that of TCP (RFC 6298 section 2): there are few."""

MAX_DISORDER_S: Final = 0.1
DISORDER_HALF_LIFE_S: Final = 2.0
"""For how long a packet may be out of order that is not requested yet: as long as others were of
late, half as long two seconds behind them."""


@dataclass(slots=True)
class _Request:
    """The requests for a missing packet; the times are those of the first and of the last one."""

    detected_s: float
    first_s: float = 0.0
    last_s: float = 0.0
    count: int = 0


class PacketRequests:
    """Times the requests for packets, which have places: sequence numbers that do not wrap."""

    def __init__(self) -> None:
        self._round_trip_s: float | None = None
        self._disorder_s = self._disorder_at_s = 0.0
        self._has_repairs = False
        self._missing: OrderedDict[int, _Request] = OrderedDict()

    @property
    def round_trip_s(self) -> float:
        """The time from a request to its answer, in seconds, within `ROUND_TRIP_S`."""
        if self._round_trip_s is None:
            return FIRST_ROUND_TRIP_S
        low, high = ROUND_TRIP_S
        return min(high, max(low, self._round_trip_s))

    def note_gap(self, newest: int, place: int, now_s: float) -> None:
        """Notes that all between these two are missing; the second one is the newest now."""
        for missing in range(max(newest + 1, place - MAX_MISSING), place):
            self._missing[missing] = _Request(now_s)
        self.drop_before(place - MAX_MISSING)

    def note_late(self, place: int, now_s: float, *, is_repair: bool) -> None:
        """Notes a packet that came after later ones.

        Args:
            place: Its own.
            now_s: The time.
            is_repair: It was sent as a retransmission (RFC 4588). Where a stream has those, others
                were merely out of order, and show nothing of the round trip.
        """
        self._has_repairs = self._has_repairs or is_repair
        request = self._missing.pop(place, None)
        if request is None:
            return
        if request.count and (is_repair or not self._has_repairs):
            # Of several requests any may be the one that was answered (RFC 6298 section 3). From
            # the first one it is too long at times; of packets with one request alone only the
            # short times would count, in which there was no second one.
            took_s = now_s - request.first_s
            before_s = took_s if self._round_trip_s is None else self._round_trip_s
            self._round_trip_s = before_s + SMOOTHING * (took_s - before_s)
        else:
            disorder_s = max(self._disorder(now_s), now_s - request.detected_s)
            self._disorder_s, self._disorder_at_s = min(disorder_s, MAX_DISORDER_S), now_s

    def drop_before(self, place: int) -> None:
        """Requests nothing before this place any more."""
        while self._missing and next(iter(self._missing)) < place:
            self._missing.popitem(last=False)

    def clear(self) -> None:
        """Requests nothing of all that is missing."""
        self._missing.clear()

    def detected_s(self, place: int) -> float | None:
        """Returns since when a packet is missing; ``None`` where it is not, or is given up."""
        request = self._missing.get(place)
        return None if request is None else request.detected_s

    def deadline_s(self, now_s: float) -> float | None:
        """Returns when the next one is to be requested; ``None`` where nothing is missing."""
        disorder_s, interval_s = self._disorder(now_s), self._interval_s()
        open_requests = (each for each in self._missing.values() if each.count < MAX_REQUESTS)
        return min((_due_s(each, disorder_s, interval_s) for each in open_requests), default=None)

    def take(self, now_s: float) -> list[int]:
        """Returns the places to request now, ascending: new ones, and those once more."""
        disorder_s, interval_s = self._disorder(now_s), self._interval_s()
        due = []
        for place, request in self._missing.items():
            is_open = request.count < MAX_REQUESTS
            if is_open and now_s >= _due_s(request, disorder_s, interval_s):
                request.first_s = request.first_s if request.count else now_s
                request.last_s = now_s
                request.count += 1
                due.append(place)
        return sorted(due)

    def _interval_s(self) -> float:
        return max(ROUND_TRIP_S[0], REPEAT_ROUND_TRIPS * self.round_trip_s)

    def _disorder(self, now_s: float) -> float:
        age_s = max(0.0, now_s - self._disorder_at_s)
        return self._disorder_s * float(0.5 ** (age_s / DISORDER_HALF_LIFE_S))


def _due_s(request: _Request, disorder_s: float, interval_s: float) -> float:
    return request.last_s + interval_s if request.count else request.detected_s + disorder_s

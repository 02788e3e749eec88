"""Measures how late an event loop is, while it has sessions.

A timer that fires up to ten times a second records how late it came. It exists only while a session
holds it, so an idle server is not woken. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Final

from gradio_webrtc._workers.garbage import shorten_pauses
from gradio_webrtc._workers.per_loop import PerLoop

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MEASURE_EVERY_S: Final = 0.1
"""The least time between two measurements, in seconds: ten a second at most."""

MEASURE_SPREAD_S: Final = 0.2
"""The wait between two measurements is longer by a random part of this, in seconds. Where code
blocks, the timer is set in its wake; after a fixed wait it would fall due, again and again, at the
same moment of the next block."""

WINDOW_S: Final = 2.0
"""Seconds for which a measurement counts."""

MOST_LAG_S: Final = 0.1
"""The lag in seconds at which sessions under way begin to lose audio: the jitter buffer of a client
holds about as much."""

PERCENTILE: Final = 0.95
"""The share of the timers that must be in time: one late in twenty is a garbage collection, more is
too much work."""

LOG_EVERY_S: Final = 60.0
"""Refusals are logged once in so many seconds, with their number."""


def _next_wait_s() -> float:
    return MEASURE_EVERY_S + random.uniform(0, MEASURE_SPREAD_S)  # noqa: S311 - no secret


class LagMeter:
    """Measures the lag of one event loop.

    Args:
        wait_s: Returns the time from one measurement to the next, in seconds.
    """

    def __init__(self, wait_s: Callable[[], float] = _next_wait_s) -> None:
        self._wait_s = wait_s
        self._holders = 0
        self._timer: asyncio.TimerHandle | None = None
        self._measured: deque[tuple[float, float]] = deque(maxlen=round(WINDOW_S / MEASURE_EVERY_S))
        self._began_s = 0.0
        self._logged_s = -math.inf
        self._unlogged = 0

    @property
    def is_running(self) -> bool:
        """True while there is a timer."""
        return self._timer is not None

    def hold(self) -> None:
        """Measures until every session that holds the meter has released it."""
        self._holders += 1
        if self._timer is None:
            shorten_pauses()
            self._measured.clear()
            self._began_s = asyncio.get_running_loop().time()
            self._set_timer()

    def release(self) -> None:
        """Ends a `hold`."""
        self._holders -= 1
        if self._holders <= 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lag_s(self) -> float:
        """Returns the lag that 95 % of the measurements of the last 2 s stay within, in seconds."""
        now_s = asyncio.get_running_loop().time()
        lags = sorted(lag for measured_s, lag in self._measured if now_s - measured_s <= WINDOW_S)
        return lags[int(PERCENTILE * (len(lags) - 1))] if lags else 0.0

    def is_late(self) -> bool:
        """True while a new session would take audio from those under way; logged once a minute."""
        now_s = asyncio.get_running_loop().time()
        if self._timer is None or now_s - self._began_s < WINDOW_S / 2:
            # Opening the session that holds the meter took the loop's time, once.
            return False
        if (lag_s := self.lag_s()) <= MOST_LAG_S:
            return False
        self._unlogged += 1
        if now_s - self._logged_s >= LOG_EVERY_S:
            logger.warning(
                "the event loop is %.0f ms late: new sessions are refused until it keeps up (%d "
                "since the last line); something on it blocks, or there are more sessions than "
                "the machine can serve",
                1000 * lag_s,
                self._unlogged,
            )
            self._logged_s, self._unlogged = now_s, 0
        return True

    def _set_timer(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._wait_s()
        self._timer = loop.call_at(due_s, self._measure, due_s)

    def _measure(self, due_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        self._measured.append((now_s, now_s - due_s))
        self._set_timer()


_meters = PerLoop(LagMeter)


def lag_meter() -> LagMeter:
    """Returns the meter of the running event loop."""
    return _meters.here()

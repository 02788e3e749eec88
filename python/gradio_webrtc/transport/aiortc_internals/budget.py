"""A budget that refills with time."""

from __future__ import annotations

import time


class Budget:
    """So much a second, and a burst after a pause.

    Args:
        rate: How much comes back a second.
        burst: How much there is at most, and at the begin.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._seen_s = time.monotonic()

    def take(self, cost: float = 1.0) -> bool:
        """Takes what is asked for, if there is as much.

        A cost above the burst is one that is never granted.
        """
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._seen_s) * self._rate)
        self._seen_s = now_s
        if cost > self._left:
            return False
        self._left -= cost
        return True

"""Rate limits. Any thread, one at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """A token bucket: admits a rate, and bursts up to a size.

    Args:
        rate: Tokens a second.
        burst: The most tokens that there are.
        clock: Seconds, monotonic.
        initial: Tokens at the beginning; by default the most.
    """

    __slots__ = ("_burst", "_clock", "_rate", "_then_s", "_tokens")

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        initial: float | None = None,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst if initial is None else initial
        self._then_s = clock()

    def take(self, count: float = 1.0) -> bool:
        """Takes tokens, all of them or none; never more than a burst.

        Returns:
            True if there were as many.
        """
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + self._rate * (now_s - self._then_s))
        self._then_s = now_s
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

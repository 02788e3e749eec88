"""The pace of a pump whose handler gives nothing that takes time.

Runs on the event loop. Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

IDLE_WAIT_S: Final = 0.02
"""The wait after an ``emit`` that returned nothing: one frame, so it is called at most 50 times a
second."""

MAX_ROUNDS_WITHOUT_MEDIA: Final = 50
"""Rounds a second that may bring no media, as many as there are frames. Nothing else slows down a
handler that emits outputs only, or media that nobody receives."""


class Rounds:
    """The pace of a pump: a turn of the event loop in each round, few rounds for idle handlers."""

    def __init__(self) -> None:
        self._without_media: deque[float] = deque(maxlen=MAX_ROUNDS_WITHOUT_MEDIA)

    async def end(self, *, has_media: bool, has_anything: bool = True) -> None:
        """Returns when the next round may begin, always after a turn of the event loop.

        Args:
            has_media: The round filled a buffer, whose back-pressure sets the pace.
            has_anything: The round brought outputs, at least.
        """
        if has_media:
            # The first packet leaves before the next item is computed, which may take a while.
            await asyncio.sleep(0)
            return
        now_s = asyncio.get_running_loop().time()
        wait_s = 0.0 if has_anything else IDLE_WAIT_S
        if len(self._without_media) == MAX_ROUNDS_WITHOUT_MEDIA:
            wait_s = max(wait_s, self._without_media[0] + 1.0 - now_s)
        self._without_media.append(now_s + wait_s)
        await asyncio.sleep(wait_s)

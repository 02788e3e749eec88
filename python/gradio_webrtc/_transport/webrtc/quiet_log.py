"""Log lines that a stranger can cause as often as they like, once a minute at most.

May be used from any thread. Imports nothing of ours.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

INTERVAL_S: Final = 60.0


class QuietLog:
    """Logs a warning at most once in `INTERVAL_S`, with the number of those left out since.

    May be used from any thread.

    Args:
        logger: Receives the lines.
        text: The line, without the part that differs each time.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, logger: logging.Logger, text: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._text = text
        self._clock = clock
        self._lock = threading.Lock()
        self._next_s = float("-inf")
        self._left_out = 0

    def warn(self, detail: str) -> None:
        """Logs the line, or counts it.

        Args:
            detail: The part that differs each time; already escaped where it is from outside.
        """
        with self._lock:
            now_s = self._clock()
            if now_s < self._next_s:
                self._left_out += 1
                return
            self._next_s = now_s + INTERVAL_S
            left_out, self._left_out = self._left_out, 0
        more = f" ({left_out} more since the last line)" if left_out else ""
        self._logger.warning("%s: %s%s", self._text, detail, more)

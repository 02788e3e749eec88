"""What aiortc and aioice log about a remote peer: in one line, and not as often as it likes.

Their lines quote what came over the network, and some of their warnings come for each packet.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Final

from gradio_webrtc.messages import printable

from .quiet_log import INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES: Final = ("aiortc", "aioice")


class ForeignLines(logging.Filter):
    """Writes each line so that it stays one, and lets a warning of a place pass once a minute.

    May be used from any thread: two that are at the same place at once may both pass.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._left_out: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged; makes its message one line."""
        more = ""
        if record.levelno >= logging.WARNING:
            place, now_s = (record.pathname, record.lineno), self._clock()
            next_s, left_out = self._left_out.get(place, (now_s, 0))
            if now_s < next_s:
                self._left_out[place] = (next_s, left_out + 1)
                return False
            self._left_out[place] = (now_s + INTERVAL_S, 0)
            more = f" ({left_out} more since the last line)" if left_out else ""
        record.msg, record.args = printable(record.getMessage()) + more, None
        return True


_LINES: Final = ForeignLines()


@functools.cache
def filter_foreign_logs() -> None:
    """Puts the filter before every logger of aiortc and aioice, once for a process.

    A filter of a logger does not see what is logged to those below it, so each gets its own.
    """
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in PACKAGES:
            logging.getLogger(name).addFilter(_LINES)

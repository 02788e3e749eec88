"""Filters for the log lines of aiortc, aioice and asyncio that strangers cause.

Each becomes one line, and comes less often. Those of aiortc and aioice quote what came over the
network, and some of their warnings come for each packet. asyncio writes a traceback for each
connection that waits while there are no descriptors left.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Final

from gradio_webrtc._messages import printable

from .quiet_log import INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES: Final = ("aiortc", "aioice")

FULL: Final = "socket.accept() out of system resource"
"""The beginning of asyncio's line when the process may open no more descriptors."""


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
        """True if the record is to be logged; makes its message one line."""
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


class FullTable(ForeignLines):
    """Lets asyncio's line about a full table of descriptors pass once a minute, without traceback.

    It tries as many times a second as the server's backlog is long, 2,048 for uvicorn, and sessions
    wait while the tracebacks are written.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """True if the record is to be logged; others of asyncio are left as they are."""
        if not record.getMessage().startswith(FULL):
            return True
        record.exc_info = None
        return super().filter(record)


_LINES: Final = ForeignLines()
_FULL_TABLE: Final = FullTable()


@functools.cache
def filter_foreign_logs() -> None:
    """Puts the filter before every logger of aiortc and aioice, once for a process.

    A filter of a logger does not see what is logged to those below it, so each gets its own.
    """
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in PACKAGES:
            logging.getLogger(name).addFilter(_LINES)
    logging.getLogger("asyncio").addFilter(_FULL_TABLE)

"""The delay of a client's jitter buffer, from its reports.

Runs on the event loop. Imports no library.
"""

from __future__ import annotations

from typing import Final

from gradio_webrtc._transport.base import JITTER_BUFFER_S

MAX_DELAY_S: Final = 2.0
"""The longest delay that is believed, in seconds: a browser holds back no more than a second."""


class ReportedJitterBuffer:
    """The delay since the last report.

    Attributes:
        delay_s: In seconds; `JITTER_BUFFER_S` until there is a report.
    """

    def __init__(self) -> None:
        self.delay_s = JITTER_BUFFER_S
        self._last = (0.0, 0.0)

    def note(self, delay_s: float, samples: float) -> None:
        """Takes a report; see `read_inbound_stats`. One that cannot be is ignored.

        Args:
            delay_s: The times for which samples were in the buffer, in seconds, all together.
            samples: Their number.
        """
        before_s, earlier = self._last
        if samples <= earlier:
            return
        since_s = (delay_s - before_s) / (samples - earlier)
        self._last = (delay_s, samples)
        if 0 <= since_s <= MAX_DELAY_S:
            self.delay_s = since_s

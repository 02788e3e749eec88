"""The jitter of audio that comes over a link. Reads no clock."""

from __future__ import annotations

from typing import Final

SMOOTHING: Final = 16
"""The divisor of each step (RFC 3550 section 6.4.1)."""


class Jitter:
    """The interarrival jitter of frames of audio (RFC 3550 section 6.4.1).

    Frames follow each other without a gap, so their lengths are their clock.

    Attributes:
        jitter_s: The mean deviation, smoothed, in seconds.
    """

    def __init__(self) -> None:
        self.jitter_s = 0.0
        self._media_s = 0.0
        self._transit_s: float | None = None

    def note(self, came_s: float, duration_s: float) -> None:
        """Notes a frame.

        Args:
            came_s: The time at which it came.
            duration_s: Its length.
        """
        transit_s = came_s - self._media_s
        self._media_s += duration_s
        if self._transit_s is not None:
            self.jitter_s += (abs(transit_s - self._transit_s) - self.jitter_s) / SMOOTHING
        self._transit_s = transit_s

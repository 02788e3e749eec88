"""The flow of video frames between parts that may stutter: a short queue, and a limit of the rate.

Run on the event loop, or on one thread at a time. Import neither sessions nor codecs.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .frame import TimedFrame

VIDEO_CLOCK_HZ: Final = 90_000
"""The clock of every video codec over RTP (RFC 7741 section 4.1, RFC 6184 section 5.1)."""

MAX_WAITING: Final = 4
"""Frames that may wait: those of 0.13 s at 30 a second, which is as long as a busy machine lets a
thread wait for its turn. Each is up to 3 MB, at full HD."""

MAX_WAIT_S: Final = 0.15
"""The age from which a frame gives way to a newer one, in seconds."""

BEHIND_S: Final = 0.5
"""The time for which frames may be taken late, in seconds. What takes longer is no stutter but too
slow, and a queue before it would add a delay and nothing else."""


class RecentFrames:
    """Frames that came and were not taken yet.

    Policy: a stutter loses nothing, for the frames of `MAX_WAIT_S` wait, up to `MAX_WAITING`; the
    oldest give way. While they have been taken late for `BEHIND_S` and longer, the newest counts
    alone, until all are taken in time again.

    Attributes:
        skipped: The number of frames that gave way.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._frames: deque[tuple[float, TimedFrame]] = deque()
        self._behind_since_s: float | None = None

    def put(self, frame: TimedFrame, now_s: float) -> None:
        """Adds the newest frame."""
        self._frames.append((now_s, frame))
        self._drop_to(MAX_WAITING)

    def take(self, now_s: float) -> TimedFrame | None:
        """Returns the next frame; ``None`` if there is none, and the taker is in time."""
        if not self._frames:
            self._behind_since_s = None
            return None
        if self._behind_since_s is None:
            self._behind_since_s = now_s
        if now_s - self._behind_since_s > BEHIND_S:
            self._drop_to(1)
        while len(self._frames) > 1 and now_s - self._frames[0][0] > MAX_WAIT_S:
            self._drop_to(len(self._frames) - 1)
        return self._frames.popleft()[1]

    def _drop_to(self, most: int) -> None:
        while len(self._frames) > most:
            self._frames.popleft()
            self.skipped += 1


class FrameRateLimiter:
    """Thins out frames to a rate, by the frames' own clock.

    Args:
        fps: Frames a second at most, on average; infinite for all of them.
    """

    def __init__(self, fps: float) -> None:
        self._interval = 0.0 if math.isinf(fps) else VIDEO_CLOCK_HZ / fps
        self._due: float | None = None

    def admits(self, pts: int) -> bool:
        """True if this frame, later than the one before, is within the rate."""
        if not self._interval:
            return True
        if self._due is None:
            self._due = float(pts)
        # Half an interval early is on time: the clocks of cameras jitter, at a rate that is ours.
        if pts <= self._due - self._interval / 2:
            return False
        self._due = max(self._due, pts - self._interval) + self._interval
        return True

"""What a caller is about to see: room for one picture between its maker and the transport."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from gradio_webrtc._transport import TimedFrame

if TYPE_CHECKING:
    from gradio_webrtc._transport import PlanarFrame

logger = logging.getLogger(__name__)

VIDEO_CLOCK_HZ: Final = 90_000
"""The clock of every video codec over RTP (RFC 7741 section 4.1, RFC 6184 section 5.1)."""

REFRESH_S: Final = 1.0
"""How long a picture may stand before it is sent again. A viewer that lost it asks for a key frame,
which only a further frame can be; and what stands still grows sharper with each."""

LAST_S: Final = 1 / 30
"""How long after the last picture it comes again."""

FINISH_TIMEOUT_S: Final = 1.0
"""How long a transport may take for the last pictures; a page that asked for none takes none."""

MAX_LAG_S: Final = 0.2
"""A maker that is later than this is not made to catch up: the time it took shows as a gap."""


class OutboundVideoBuffer:
    """Takes pictures from a handler, gives them to a transport. Runs on the event loop.

    Attributes:
        replaced: How many pictures a newer one took the place of before they were sent.
        last: What was shown last, sent or not.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self.last: PlanarFrame | None = None
        self._next: TimedFrame | None = None
        self._pts = -1
        self._ready = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()

    def show(self, pts: int, picture: PlanarFrame) -> None:
        """Shows a picture in place of one that was not sent yet: the newest counts."""
        self.replaced += self._next is not None
        self.last = picture
        self._next = TimedFrame(pts, picture)
        self._taken.clear()
        self._ready.set()

    async def put(self, pts: int, picture: PlanarFrame) -> None:
        """Shows a picture after the one before was sent: every one counts."""
        await self.drain()
        self.show(pts, picture)

    async def drain(self) -> None:
        """Returns once the transport took everything shown so far."""
        await self._taken.wait()

    async def finish(self) -> None:
        """Like `drain`, with the last picture sent twice; gives up after `FINISH_TIMEOUT_S`.

        Some receivers (aiortc) know that a picture is whole only when the next one begins.
        """
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                await self.drain()
                if self.last is not None:
                    self.show(self._pts + round(LAST_S * VIDEO_CLOCK_HZ), self.last)
                    await self.drain()
        except TimeoutError:
            logger.debug("nobody takes the pictures that are shown")

    async def next_frame(self) -> TimedFrame:
        """The next picture when it comes; the last one again after `REFRESH_S` without."""
        try:
            async with asyncio.timeout(None if self.last is None else REFRESH_S):
                await self._ready.wait()
        except TimeoutError:
            pass
        shown, self._next = self._next, None
        self._ready.clear()
        self._taken.set()
        if shown is None and self.last is not None:
            shown = TimedFrame(self._pts + round(REFRESH_S * VIDEO_CLOCK_HZ), self.last)
        if shown is None:
            return await self.next_frame()
        # A clock that stands or goes back would freeze the picture at the far end.
        self._pts = max(shown.pts, self._pts + 1)
        return TimedFrame(self._pts, shown.planar)


class FramePacer:
    """Says when the next picture is due, at a steady rate and without drift.

    Args:
        fps: Pictures a second.
        catches_up: A picture that is late by less than `MAX_LAG_S` brings the next one forward, so
            that a recording keeps its speed. Otherwise pictures go as they come, no closer than
            the rate allows.
    """

    def __init__(self, fps: float, *, catches_up: bool) -> None:
        self._interval_s = 1 / fps
        self._max_lag_s = MAX_LAG_S if catches_up else 0.0
        self._origin_s: float | None = None
        self._due_s = 0.0

    async def wait(self) -> int:
        """Returns when the next picture is due, with its time on the clock of 90 kHz."""
        now = asyncio.get_running_loop().time()
        if self._origin_s is None:
            self._origin_s = self._due_s = now
        else:
            self._due_s += self._interval_s
        if now - self._due_s > self._max_lag_s:
            self._due_s = now
        elif self._due_s > now:
            await asyncio.sleep(self._due_s - now)
        return round((self._due_s - self._origin_s) * VIDEO_CLOCK_HZ)


class FrameRateLimiter:
    """Lets through so many pictures a second of those that come, judged by their own clock.

    Args:
        fps: How many at most, on average.
    """

    def __init__(self, fps: float) -> None:
        self._interval = VIDEO_CLOCK_HZ / fps
        self._due: float | None = None

    def admits(self, pts: int) -> bool:
        """Whether this picture, later than the one before, is within the rate."""
        if self._due is None:
            self._due = float(pts)
        # Half an interval early is on time: cameras' clocks tremble, and their rate is ours.
        if pts <= self._due - self._interval / 2:
            return False
        self._due = max(self._due, pts - self._interval) + self._interval
        return True

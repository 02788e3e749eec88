"""Pacing of outbound audio: each frame at its deadline, on a monotonic clock.

Runs on the event loop. Decides on silence for gaps; imports no transport.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import AudioFrameSource

SESSION_RATE_HZ: Final = 48_000
"""The clock of Opus over RTP (RFC 7587 section 4.1)."""

FRAME_SAMPLES: Final = 960
"""20 ms per channel: the packet time that WebRTC stacks use by default (RFC 7587 section 4.2)."""

FRAME_S: Final = FRAME_SAMPLES / SESSION_RATE_HZ
"""The same in seconds, 0.02."""

PARTIAL_AFTER: Final = 2
"""Silent frames sent before an unfinished frame is padded: a producer that is late by less than
40 ms goes on where it was, without a hole inside its audio."""

IDLE_AFTER: Final = 12
"""Silent frames sent before nothing is sent at all. They give the far end's concealment silence
to go on with, and push the last audio out of jitter buffers that hold some packets back."""

MAX_LAG_S: Final = 0.2
"""A clock further behind than this (a suspended machine, a blocked loop) starts again rather than
send the backlog in one burst."""


class PacedFrame(NamedTuple):
    """A frame and its place on the session's clock.

    Attributes:
        pts: First sample, counted at 48 kHz from the beginning of the session.
        samples: int16, ``(1, 960 * channels)``.
        is_audio: False for the silence that fills a gap.
    """

    pts: int
    samples: NDArray[np.int16]
    is_audio: bool


class AudioPacer:
    """Turns a source into frames that come when they are due.

    A source that always has audio gets one frame every 20 ms without drift: each deadline is the
    one before plus 20 ms, never "now plus 20 ms". A source without audio costs nothing: after a
    short tail of silence `next_frame` sleeps until there is some.

    Args:
        source: Returns the frames.
        lead_s: The time by which frames may come before their deadlines, in seconds, as far as the
            source has them. A client that plays what comes, as soon as it comes, then has that much
            to go on with when a network or this machine is late.
    """

    def __init__(self, source: AudioFrameSource, lead_s: float = 0.0) -> None:
        self._source = source
        self._lead_s = lead_s
        self._origin_s: float | None = None
        self._due_s = 0.0
        self._pts = 0
        self._silent_frames = IDLE_AFTER
        self._silence = np.zeros((1, FRAME_SAMPLES), np.int16)

    async def next_frame(self) -> PacedFrame:
        """Returns the next frame, at its deadline; by one task at a time."""
        samples = None
        if self._silent_frames >= IDLE_AFTER:
            await self._source.wait_ready()
            self._restart()
        else:
            # Not a coroutine of its own, which would be resumed with each frame.
            now = asyncio.get_running_loop().time()
            if now - self._due_s > MAX_LAG_S:
                self._restart()
            elif self._due_s > now:
                if self._lead_s > 0:
                    await asyncio.sleep(max(0.0, self._due_s - self._lead_s - now))
                    samples = self._source.pull_early()
                    now = asyncio.get_running_loop().time()
                if samples is None:
                    await asyncio.sleep(self._due_s - now)
        if samples is None:
            samples = self._source.pull()
        if samples is None and self._silent_frames >= PARTIAL_AFTER:
            samples = self._source.pull(partial=True)
        is_audio = samples is not None
        self._silent_frames = 0 if is_audio else self._silent_frames + 1
        if samples is None:
            samples = self._silence
        elif samples.size != self._silence.size:
            self._silence = np.zeros_like(samples)
        frame = PacedFrame(self._pts, samples, is_audio)
        self._pts += FRAME_SAMPLES
        self._due_s += FRAME_S
        return frame

    def _restart(self) -> None:
        """Lets the clock go on from now; the time that passed shows as a gap in ``pts``."""
        now = asyncio.get_running_loop().time()
        if self._origin_s is None:
            self._origin_s = now
        self._due_s = max(now, self._due_s)
        self._pts = max(self._pts, round((self._due_s - self._origin_s) * SESSION_RATE_HZ))
        self._silent_frames = 0

"""Video frames that carry a number which survives a codec, and a camera that takes them."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from aiortc import MediaStreamTrack
from av import VideoFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

BITS = 12
CLOCK_HZ = 90_000


def numbered(
    number: int, width: int = 320, height: int = 240, colour: tuple[int, int, int] = (90, 90, 90)
) -> Pixels:
    """A plain frame, ``(height, width, 3)``, with its number in black and white at the top."""
    frame = np.full((height, width, 3), colour, np.uint8)
    bits = [number >> bit & 1 for bit in range(BITS)]
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit, (left, right) in zip(bits, pairwise(edges), strict=True):
        frame[: height // 4, left:right] = 255 * bit
    # Something that moves, as in front of a camera.
    left = number * 3 % max(1, width - 8)
    frame[-height // 8 :, left : left + 8] = 255
    return frame


def number_of(frame: Pixels) -> int:
    """The number in a frame, whatever its size has become."""
    height, width = frame.shape[:2]
    edges = np.linspace(0, width, BITS + 1).astype(int)
    line = frame[height // 8].astype(int).sum(axis=-1)
    bits = [line[(a + b) // 2] > 3 * 128 for a, b in pairwise(edges)]
    return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def colour_of(frame: Pixels) -> tuple[int, int, int]:
    """The colour in the middle of the frame, in the array's own order."""
    height, width = frame.shape[:2]
    patch = frame[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    first, second, third = patch.reshape(-1, 3).mean(axis=0).round().astype(int)
    return int(first), int(second), int(third)


class Camera(MediaStreamTrack):
    """Takes numbered frames in real time.

    Args:
        fps: Frames a second.
        take: Makes the frame of a number, blue first.

    Attributes:
        taken: The number of frames so far.
    """

    kind = "video"

    def __init__(self, fps: int = 30, take: Callable[[int], Pixels] = numbered) -> None:
        super().__init__()
        self.taken = 0
        self._fps = fps
        self._take = take
        self._origin_s: float | None = None
        self._has_taken = asyncio.Condition()

    async def has_taken(self, frames: int) -> None:
        """Returns once there are so many."""
        async with self._has_taken:
            await self._has_taken.wait_for(lambda: self.taken >= frames)

    async def recv(self) -> VideoFrame:
        loop = asyncio.get_running_loop()
        if self._origin_s is None:
            self._origin_s = loop.time()
        await asyncio.sleep(self._origin_s + self.taken / self._fps - loop.time())
        frame = VideoFrame.from_ndarray(self._take(self.taken), format="bgr24")
        frame.pts = self.taken * CLOCK_HZ // self._fps
        frame.time_base = Fraction(1, CLOCK_HZ)
        async with self._has_taken:
            self.taken += 1
            self._has_taken.notify_all()
        return frame

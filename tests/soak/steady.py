"""A user whose session stays, and who notes when each frame of its echo arrives.

    python tests/soak/steady.py URL

Prints as JSON what it received, for each line of its standard input since the one before, and, at
its end, for the whole session.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from aiortc.mediastreams import MediaStreamError
from support.page import PageClient, open_page

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

FRAME_S: Final = 0.02
TICK_S: Final = 0.005
SETTLE_FRAMES: Final = 150
WINDOW_FRAMES: Final = 250


class Steady(PageClient):
    """Keeps the times of the frames alone, so that hours of them fit into memory."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # those of `PageClient`
        self.received: list[tuple[float, int]] = []

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.received.append((time.monotonic(), frame.pts or 0))


async def watch_the_machine(stalls: list[tuple[float, float]]) -> None:
    """Notes when this process was held up, for which the server is not to blame."""
    while True:
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        late = time.monotonic() - due
        if late > TICK_S:
            stalls.append((due, late))


def largest_gap_s(
    received: list[tuple[float, int]], stalls: list[tuple[float, float]]
) -> tuple[float, float]:
    """The largest gap between two frames, as seen, and without what the machine took."""
    times = np.array([when for when, _ in received])
    gaps = np.diff(times)
    taken = np.zeros_like(gaps)
    for due, late in stalls:
        # A frame that came during the stall, and the ones behind it, are seen at its end.
        first, last = np.searchsorted(times, (due, due + late + FRAME_S))
        taken[max(0, first - 2) : last + 1] += late
    return float(gaps.max(initial=0)), float((gaps - taken).max(initial=0))


def drift_s(received: list[tuple[float, int]]) -> float:
    """The growth of the delay of frames from start to end, on the clock of their stamps."""
    if len(received) < 2 * WINDOW_FRAMES:
        return 0.0
    offsets = np.array([when - pts / 48_000 for when, pts in received])
    return float(np.median(offsets[-WINDOW_FRAMES:]) - np.median(offsets[:WINDOW_FRAMES]))


def describe(
    received: list[tuple[float, int]], stalls: list[tuple[float, float]], *, is_alive: bool
) -> str:
    """The figures of a stretch of a session, as JSON."""
    seen, own = largest_gap_s(received, stalls)
    figures = {
        "is_alive": is_alive,
        "frames": len(received),
        "seconds": received[-1][0] - received[0][0] if received else 0.0,
        "gap_ms": 1000 * seen,
        "gap_of_ours_ms": 1000 * own,
        "drift_ms": 1000 * drift_s(received),
        "stalls": len(stalls),
    }
    return json.dumps(figures)


async def main(url: str) -> None:
    """Calls, stays, and reports."""
    stalls: list[tuple[float, float]] = []
    watching = asyncio.get_running_loop().create_task(watch_the_machine(stalls))
    async with open_page(url) as page:
        tone = (8_000 * np.sin(np.arange(48_000) * 0.0576)).astype(np.int16)
        client = Steady(page, page.component("webrtc", "echo"), tone)
        await client.call()
        while len(client.received) < SETTLE_FRAMES:  # noqa: ASYNC110  # frames are no news
            await asyncio.sleep(FRAME_S)
        begin = SETTLE_FRAMES
        print("connected", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            is_alive = client.pc.connectionState == "connected"
            print(describe(client.received[begin:], stalls, is_alive=is_alive), flush=True)
            begin = len(client.received)
        is_alive = client.pc.connectionState == "connected"
        print(describe(client.received[SETTLE_FRAMES:], stalls, is_alive=is_alive), flush=True)
        await client.hang_up()
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

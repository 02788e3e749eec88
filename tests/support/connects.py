"""Sessions that are connected and hung up, and what a server holds more after them.

The server is `tests/soak/program.py`.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx
import numpy as np

from .page import NO_TLS, PageClient, open_page

AT_ONCE: Final = 2
BATCH: Final = 100
"""Sessions between two collections. What a thousand leave to the collector, that of the web server
included, would scatter what is held over 20 MB."""

MEMORY_LIMIT_BYTES: Final = 5_000_000
"""Whatever the number of sessions is, up to a thousand: free memory between what is held moves by
two to four."""

OBJECTS_LIMIT: Final = 1.0
"""Objects of Python's that may be kept for each session; one session makes thousands."""

WITHIN_S: Final = 5.0
LOOK_S: Final = 0.25
LEFT_BEHIND: Final = ("tasks", "threads", "native_threads", "descriptors", "sockets")

Counts = dict[str, int]


async def connect_once(url: str) -> None:
    """A user who opens the page, calls, receives the first frame, and hangs up."""
    async with open_page(f"{url}/page") as page:
        client = PageClient(page, page.component("webrtc", "connect"), np.zeros(4_800, np.int16))
        answer = await client.call()
        assert answer.get("status") != "failed", answer
        await client.until(lambda: bool(client.audio_frames))
        await client.hang_up()


async def connect(url: str, calls: int) -> None:
    """So many sessions, a few at a time."""
    left = iter(range(calls))

    async def keep_coming() -> None:
        for _ in left:
            await connect_once(url)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(keep_coming())


async def count(url: str) -> Counts:
    """The objects and memory of the server once its sessions are freed."""
    # A connection of its own, so that none is kept open between two looks.
    async with httpx.AsyncClient(base_url=url, timeout=60.0, verify=NO_TLS) as client:
        counts: Counts = (await client.get("/counts")).raise_for_status().json()
    return counts


async def settle(url: str, goal: Counts | None = None) -> Counts:
    """The counts once they are down at the goal's, or stay the same without one; else the last."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + WITHIN_S
    last: Counts | None = None
    counts = await count(url)
    while loop.time() < end_s and not is_down(counts, goal or last):
        await asyncio.sleep(LOOK_S)
        last, counts = counts, await count(url)
    return counts


def is_down(counts: Counts, goal: Counts | None) -> bool:
    """True if nothing is left behind."""
    return goal is not None and all(counts[name] <= goal[name] for name in LEFT_BEHIND)


async def collect(url: str) -> Counts:
    """Memory and objects that are held, without what lies waiting to be freed or used again."""
    async with httpx.AsyncClient(base_url=url, timeout=60.0, verify=NO_TLS) as client:
        counts: Counts = (await client.post("/collect")).raise_for_status().json()
    return counts


async def measure(url: str, calls: int, warm_up: int) -> Counts:
    """The growth of everything over some sessions.

    Args:
        url: The server's address. It collects no garbage unless it is asked to.
        calls: The number of sessions.
        warm_up: The number of those before the first count, so that pools and tables are full.
    """
    await connect(url, warm_up)
    collected = await collect(url)
    before = {**await settle(url), **collected}
    after = dict(before)
    for begin in range(0, calls, BATCH):
        await connect(url, min(BATCH, calls - begin))
        settled = await settle(url, before)
        worst = {name: max(after[name], settled[name]) for name in LEFT_BEHIND}
        after = {**settled, **worst, **await collect(url)}
    return {name: after[name] - before[name] for name in after}


def judge(grown: Counts, calls: int) -> list[str]:
    """Describes what is wrong, in words."""
    faults = [f"{name}: {grown[name]} more" for name in LEFT_BEHIND if grown[name] > 0]
    limits = (("held_bytes", MEMORY_LIMIT_BYTES), ("objects", OBJECTS_LIMIT * calls))
    faults += [
        f"{name}: {grown[name]:,} more, {limit:,.0f} allowed"
        for name, limit in limits
        if grown[name] > limit
    ]
    return faults

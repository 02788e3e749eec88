"""Sessions of all kinds come and go for as long as one likes, and leave nothing behind.

    python tests/soak/soak.py --seconds 3600

A server of its own answers; one user stays for all of it and listens for gaps. Exits with 1, and
prints why, when anything is left at the end or the one that stayed was harmed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
from support.connects import collect
from support.page import open_page
from support.processes import read_line, running, until_served
from support.soak_calls import ANSWER_LIMIT_S, KINDS, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.page import GradioPage

HERE: Final = Path(__file__).parent
AT_ONCE: Final = 3
"""Users beside the one that stays: what two busy cores hold without harm to it."""

WARM_UPS: Final = 3
"""The number of sessions of each kind, `AT_ONCE` at a time, before anything is counted."""

GAP_LIMIT_MS: Final = 60.0
DRIFT_LIMIT_MS: Final = 60.0
MEMORY_LIMIT_BYTES: Final = 5_000_000
"""For each thousand sessions, and at least once."""

IDLE_LIMIT_S: Final = 60.0
"""Longer than a session is missed that vanished, and an offer that never connected."""

LOOKS: Final = 6

LEFT_BEHIND: Final = ("tasks", "threads", "native_threads", "descriptors", "sockets")


class Soak:
    """A run of sessions, and the faults that it led to.

    Args:
        url: The server's address.
        seed: Of the order in which kinds of sessions come.
    """

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.calls: Counter[str] = Counter()
        self.refused = 0
        self.faults: list[str] = []
        self._random = random.Random(seed)  # noqa: S311  # an order

    async def one(self, kind: Callable[[GradioPage], Awaitable[None]]) -> None:
        """A user who comes, makes a session of one kind, and goes."""
        self.calls[kind.__name__] += 1
        try:
            async with open_page(f"{self.url}/page") as page, asyncio.timeout(ANSWER_LIMIT_S):
                await kind(page)
        except Exception as error:  # noqa: BLE001  # the others go on
            if isinstance(error, Refused) and "server_busy" in str(error):
                self.refused += 1
                return
            self.faults.append(f"{kind.__name__}: {type(error).__name__}: {error}"[:400])

    async def warm_up(self) -> dict[str, int]:
        """Sessions of each kind, as many at once as there can be later; the counts after them.

        They fill pools, and Gradio's table of pages.
        """
        for kind in KINDS * WARM_UPS:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self.one(kind))
        return await self.settled()

    async def run(self, seconds: float) -> None:
        """Users come one after the other, a few at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._keep_coming(seconds))

    async def _keep_coming(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            await self.one(self._random.choice(KINDS))

    async def settled(self) -> dict[str, int]:
        """The lowest counts once no session is under way: HTTP connections close after a while."""
        looks = [await self._counts()]
        for _ in range(LOOKS):
            await asyncio.sleep(1.0)
            looks.append(await self._counts())
        lowest = {name: min(look[name] for look in looks) for name in looks[0]}
        return lowest | await collect(self.url)

    async def _counts(self) -> dict[str, int]:
        # A connection of its own, so that none is kept open between two looks.
        async with httpx.AsyncClient(base_url=self.url, timeout=IDLE_LIMIT_S) as client:
            counts: dict[str, int] = (await client.get("/counts")).raise_for_status().json()
        return counts

    def compare(self, before: dict[str, int], after: dict[str, int]) -> None:
        """Adds what is left behind to the faults."""
        for name in LEFT_BEHIND:
            if after[name] > before[name]:
                self.faults.append(f"{name}: {before[name]} before, {after[name]} after")
        grown = after["allocated_bytes"] - before["allocated_bytes"]
        limit = MEMORY_LIMIT_BYTES * max(1.0, self.calls.total() / 1000)
        if grown > limit:
            self.faults.append(f"memory grew by {grown / 1e6:.1f} MB, {limit / 1e6:.1f} allowed")

    def judge(self, steady: dict[str, Any], *, by_time: bool) -> None:
        """Adds what harmed the user that stayed to the faults."""
        if not steady["is_alive"]:
            self.faults.append("the call that stayed ended")
        if not by_time:
            return
        if self.refused:
            self.faults.append(f"{self.refused} calls refused: the event loop was late")
        for name, limit in (("gap_of_ours_ms", GAP_LIMIT_MS), ("drift_ms", DRIFT_LIMIT_MS)):
            if steady[name] > limit:
                self.faults.append(f"{name} of the call that stayed: {steady[name]:.0f}")


async def soak(
    seconds: float, seed: int = 1, *, by_time: bool = True
) -> tuple[Soak, dict[str, Any]]:
    """Runs a server and its users.

    Args:
        seconds: The time in which users come, after those of the warm-up.
        seed: Of the order in which they come.
        by_time: Gaps and refusals count, which a machine that others use makes too.

    Returns:
        What went wrong, and all figures.
    """
    async with running(str(HERE / "program.py")) as server:
        found = Soak(await read_line(server), seed)
        await until_served(found.url)
        before = await found.warm_up()
        async with running(str(HERE / "steady.py"), f"{found.url}/page") as staying:
            assert await read_line(staying) == "connected"
            # Users have machines of their own; their work is not what is measured.
            os.nice(10)
            await found.run(seconds)
            assert staying.stdin is not None
            staying.stdin.close()
            steady = json.loads(await read_line(staying))
        after = await found.settled()
        found.compare(before, after)
        found.judge(steady, by_time=by_time)
    calls = dict(found.calls) | {"refused": found.refused}
    return found, {"calls": calls, "steady": steady, "before": before, "after": after}


def main() -> None:
    """Runs for as long as it was asked to, and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--counts-alone",
        action="store_true",
        help="print what a slow machine causes; it is no fault",
    )
    asked = parser.parse_args()
    found, figures = asyncio.run(soak(asked.seconds, asked.seed, by_time=not asked.counts_alone))
    print(json.dumps(figures, indent=2))
    for fault in found.faults:
        print(f"FAULT {fault}")
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()

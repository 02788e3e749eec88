"""A server of sessions on one of four stacks, controlled over standard input.

Runs in each stack's environment: ``call_server.py STACK SCENARIO CORE [unwatched]``; unwatched is a
server whose lag is not measured, since that wakes it. One JSON object a line:
``{"op": "offer", "body": {...}}`` is answered with the answer to the offer, ``{"op": "measure"}``
with what happened since the last time that was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from typing import Any

LAG_PERIOD_S = 0.01


class Meter:
    """Counts what happens on the server, and how late its event loop is."""

    def __init__(self) -> None:
        self.received = 0
        self.emits = 0
        self.own_ms: list[float] = []
        # Where a stack keeps counters of its own: brings those here up to date.
        self.update: Any = lambda: None
        self._late: list[float] = []
        self._since = (0.0, 0.0)

    async def watch(self) -> None:
        """Notes how late a timer comes, a hundred times a second."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self._late.append(loop.time() - due)

    def take(self) -> dict[str, Any]:
        """Returns the counts since the last time."""
        self.update()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s, now_s = usage.ru_utime + usage.ru_stime, asyncio.get_running_loop().time()
        late = sorted(self._late) or [0.0]
        result: dict[str, Any] = {
            "seconds": now_s - self._since[1],
            "cpu_s": cpu_s - self._since[0],
            "received": self.received,
            "emits": self.emits,
            "lag_p50_ms": 1000 * late[len(late) // 2],
            "lag_p99_ms": 1000 * late[int(len(late) * 0.99)],
            "lag_most_ms": 1000 * late[-1],
            "rss_kb": _resident_kb(),
            "own_ms": self.own_ms[:],
        }
        self._since = (cpu_s, now_s)
        self._late.clear()
        self.own_ms.clear()
        self.received = self.emits = 0
        return result


def _resident_kb() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def main() -> None:
    """Serves until standard input ends."""
    stack, scenario, core = sys.argv[1:4]
    if core != "any":
        os.sched_setaffinity(0, {int(core)})
    out = os.fdopen(os.dup(1), "w", buffering=1)
    # What a stack prints must not come between the answers.
    os.dup2(2, 1)
    meter = Meter()
    offer = __import__(f"stack_{stack}").make_offer(scenario, meter)
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watch = None if "unwatched" in sys.argv else loop.create_task(meter.watch())

    async def respond(request: dict[str, Any]) -> None:
        result = await offer(request["body"]) if request["op"] == "offer" else meter.take()
        out.write(json.dumps(result) + "\n")

    out.write(json.dumps({"ready": stack}) + "\n")
    while line := await reader.readline():
        await respond(json.loads(line))
    if watch is not None:
        watch.cancel()
    # Sessions are still open: a tidy end has no use.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())

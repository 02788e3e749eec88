"""The number of sessions that a core holds, and the cost of each.

With `BENCH_BEFORE=CHECKOUT`, built in place, that version of this package stands beside this one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import os
import random
from typing import TYPE_CHECKING, Final, NamedTuple

import clients
from clients import Client, Player, Server
from figures import Figures
from report import Ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

STACKS: Final = {
    "silent": ("ours", "fastrtc", "pipecat_mute"),
    "listening": ("ours", "fastrtc", "pipecat_mute"),
    "conversation": ("ours", "fastrtc", "pipecat"),
    "echo": ("ours", "fastrtc", "pipecat", "aiortc", "aiortc_our_opus"),
    "async echo": ("ours", "fastrtc"),
}

PLAYED_AS: Final = {"silent": "listening", "async echo": "echo_async"}
"""What a server calls it, where that is not the same."""

TIMES: Final = {
    "silent": 3.0,
    "listening": 3.0,
    "conversation": 2.0,
    "echo": 1.5,
    "async echo": 1.5,
}
"""As many sessions as fastrtc holds: the number to reach."""

PAUSE_S: Final = 1.0
REPLY_TIME_S: Final = {"conversation": 4.0}
"""Silence after each sentence. The reply takes three seconds, and begins half a second into it."""

FIRST_CALLS: Final = 6
"""With these the cost of a session is measured: so few that no stack is at its limit."""

NEARLY_FULL_MS_PER_S: Final = 600.0
"""Of a core: where the search for the limit begins."""

GROWTH: Final = 1.3
"""From one trial to the next, until the limit is passed; then it is halved in on."""

GROWTH_AGAIN: Final = 1.12
"""The same when another run has found a limit."""

MOST_CALLS: Final = 960
"""The end of the search. What the clients' own core cannot send is no limit of the server: with
three hundred it is a third busy."""

SETTLE_S: Final = 1.0
MEASURE_S: Final = 2.5

LAG_LIMIT_MS: Final = 20.0
"""Of the event loop at p99: one frame."""

DISTURBED: Final = 0.1
"""Of the server's core taken by other processes, or of the packets that the clients sent too few or
too many because they were held up themselves: a bad trial then means nothing."""

MOST_TRIALS: Final = 3
"""At a number of sessions, when all of them are disturbed."""

KEPT_UP: Final = 0.97
"""Of the packets sent in a stretch of a few seconds; less is falling behind."""


class Observation(NamedTuple):
    """One stretch of time with some number of sessions, as it was measured."""

    cpu_ms_per_s: float
    lag_p99_ms: float
    received: float
    returned: float
    disturbed: float

    def keeps_up(self, scenario: str) -> bool:
        """True if nothing fell behind. Only an echo sends as much as it receives."""
        is_echoed = not scenario.endswith("echo") or self.returned >= KEPT_UP
        return self.lag_p99_ms <= LAG_LIMIT_MS and self.received >= KEPT_UP and is_echoed


class Load:
    """A server of a stack, and its clients."""

    def __init__(self, scenario: str, server: Server) -> None:
        silence = clients.seconds_of_silence(REPLY_TIME_S.get(scenario, PAUSE_S))
        speech = [] if scenario == "silent" else [clients.recording()]
        self._packets = clients.encode(clients.np.concatenate([*speech, silence]))
        self._scenario = scenario
        self._server = server
        self._clients: list[Client] = []
        self._random = random.Random(1)  # noqa: S311  # the place where each client begins

    async def resize(self, calls: int) -> bool:
        """Connects more clients, or has the last ones hang up, one after the other.

        Clients that were lost are replaced first.

        Returns:
            True if there are as many now: a server without any time left lets nobody in.
        """
        for client in [each for each in self._clients if each.is_lost]:
            print("    a client was lost", flush=True)
            self._clients.remove(client)
            await client.hang_up()
        while len(self._clients) < calls:
            begin = self._random.randrange(len(self._packets))
            client = Client(Player(self._packets, begin))
            try:
                await client.call(self._server)
            except TimeoutError:
                print("    a client was not let in", flush=True)
                await client.hang_up()
                return False
            self._clients.append(client)
        while len(self._clients) > calls:
            await self._clients.pop().hang_up()
        return True

    async def trial(self) -> Observation:
        """Lets the sessions settle, then watches them."""
        await asyncio.sleep(SETTLE_S)
        sent, returned = self._counts()
        await self._server.ask("measure")
        busy_s = _busy_s()
        await asyncio.sleep(MEASURE_S)
        seen = await self._server.ask("measure")
        others = (_busy_s() - busy_s - seen["cpu_s"]) / seen["seconds"]
        all_sent, all_returned = self._counts()
        # Nothing is sent when all clients were lost; the trial counts as a disturbed one then.
        sent = max(1, all_sent - sent)
        nominal = len(self._clients) * seen["seconds"] / clients.FRAME_S
        return Observation(
            1000 * seen["cpu_s"] / seen["seconds"] / len(self._clients),
            seen["lag_p99_ms"],
            seen["received"] / sent,
            (all_returned - returned) / sent,
            max(others, abs(sent / nominal - 1)),
        )

    async def keeps_up_with(self, calls: int) -> bool:
        """True if the server does. One bad trial is forgiven, and those that were disturbed."""
        bad = 0
        for _ in range(MOST_TRIALS):
            if await self.resize(calls):
                trial = await self.trial()
                print(f"    {self._scenario} {calls} calls: {trial}", flush=True)
                # Of those that were lost nothing falls behind any more.
                has_all = not any(client.is_lost for client in self._clients)
                if has_all and trial.keeps_up(self._scenario):
                    return True
                bad += trial.disturbed <= DISTURBED
            else:
                bad += 1
            if bad > 1:
                break
        return False

    async def stop(self) -> None:
        """Ends the server first, so that no client needs to send it a goodbye."""
        await self._server.stop()
        await asyncio.gather(*(client.hang_up() for client in self._clients))

    def _counts(self) -> tuple[int, int]:
        """Packets that the clients sent and received."""
        sent = sum(client.sent for client in self._clients)
        return sent, sum(len(client.received) for client in self._clients)


def _busy_s() -> float:
    """The time for which the server's core has worked so far; 0 where nobody counts it."""
    return Ticks.now(clients.SERVER_CORE).wanted / os.sysconf("SC_CLK_TCK")


async def measure(
    stack: str, scenario: str, *, with_capacity: bool, before: int | None
) -> tuple[float, int]:
    """The CPU of one of a few sessions, in ms a second, and the most that were kept up with.

    Args:
        stack: The one whose server is measured.
        scenario: The handlers' part in the sessions.
        with_capacity: Look for the most; otherwise there are 0.
        before: The number that the last run found.
    """
    load = Load(scenario, await Server.start(stack, PLAYED_AS.get(scenario, scenario)))
    if not await load.resize(FIRST_CALLS):
        raise RuntimeError(f"{stack} did not let {FIRST_CALLS} clients in")
    cost = (await load.trial()).cpu_ms_per_s
    most = 0
    if with_capacity:
        # The CPU of a stack that does not spin shows roughly where its limit lies.
        guess, growth = (
            (before, GROWTH_AGAIN) if before else (round(NEARLY_FULL_MS_PER_S / cost), GROWTH)
        )
        most = await _most(load, guess, growth)
    await load.stop()
    return cost, most


async def _most(load: Load, guess: int, growth: float) -> int:
    """The limit: steps away from the guess until it is passed, then halves in on it."""
    good, bad, calls = 0, MOST_CALLS, max(1, min(MOST_CALLS - 1, guess))
    while good < calls < bad:
        if await load.keeps_up_with(calls):
            good, calls = calls, math.ceil(calls * growth)
        else:
            bad, calls = calls, int(calls / growth)
    while bad - good > max(1, good // 16):
        middle = (good + bad) // 2
        if await load.keeps_up_with(middle):
            good = middle
        else:
            bad = middle
    return good


async def main() -> None:
    """Measures the scenarios that were asked for, the stacks in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost-only", action="store_true", help="leave out how many calls fit")
    parser.add_argument("--scenario", choices=tuple(STACKS), action="append")
    figures = Figures("calls", "Calls on one core", parser=parser)
    clients.pin()
    present = clients.installed(dict.fromkeys(itertools.chain(*STACKS.values())), figures)
    for scenario in figures.asked.scenario or STACKS:
        stacks = [stack for stack in STACKS[scenario] if stack in present]
        if os.environ.get("BENCH_BEFORE"):
            stacks.append(clients.BEFORE)
        calls: dict[str, int] = {}
        for _ in range(figures.runs):
            calls = await _run(scenario, stacks, figures, calls)
    figures.close()


async def _run(
    scenario: str, stacks: Sequence[str], figures: Figures, before: dict[str, int]
) -> dict[str, int]:
    """One run: how many sessions each stack held. ``before`` is what the last run found."""
    with_capacity = not figures.asked.cost_only
    cost, calls = {}, {}
    for stack in stacks:
        cost[stack], calls[stack] = await measure(
            stack, scenario, with_capacity=with_capacity, before=before.get(stack)
        )
        print(
            f"  {scenario}, {stack}: {cost[stack]:.1f} ms per s, {calls[stack]} calls", flush=True
        )
    figures.add(f"{scenario}: CPU of a call", "ms per s", clients.shown(cost))
    if with_capacity:
        target = {"times": TIMES[scenario], "beside": "fastrtc"}
        name = f"{scenario}: calls on one core"
        shown = clients.shown({stack: float(count) for stack, count in calls.items()})
        figures.add(name, "calls", shown, better="higher", target=target)
    return calls


if __name__ == "__main__":
    asyncio.run(main())

"""The cost of a session over a link beside one over WebRTC: CPU and memory of the server."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any, Final

import clients
import numpy as np
from clients import Client, Player, Server
from figures import Figures

from support.link_client import LinkClient  # isort: skip  # clients makes it importable

if TYPE_CHECKING:
    from support.link_client import CarrierKind

SCENARIOS: Final = ("listening", "echo")
WAYS: Final = {"ours": None, "ours, WebSocket": "websocket", "ours, HTTP": "http"}
"""WebRTC, and the two carriers of a link."""

SESSIONS: Final = 6
SETTLE_S: Final = 2.0
MEASURE_S: Final = 5.0


class Linked:
    """A client over a link, with as much of `Client` as is needed."""

    def __init__(self, carrier: CarrierKind, microphone: Any) -> None:
        self._carrier = carrier
        self._microphone = microphone
        self._client: LinkClient | None = None

    async def call(self, server: Server) -> None:
        """Returns when audio goes over the link."""
        body = {"type": "link", "audio": {"codecs": ["opus"]}}
        answer = await server.ask("offer", body=body)
        self._client = LinkClient(answer["url"], answer, self._microphone, carrier=self._carrier)
        await self._client.join()

    async def hang_up(self) -> None:
        """Leaves."""
        if self._client is not None:
            await self._client.vanish()


async def measure(scenario: str, carrier: CarrierKind | None) -> dict[str, float]:
    """CPU of one of some sessions, in ms a second; and the memory of each after the first."""
    server = await Server.start("ours" if carrier is None else "ours_link", scenario)
    spoken = np.concatenate([clients.recording(), clients.seconds_of_silence(1.0)])
    packets = clients.encode(spoken)
    people: list[Any] = []
    first_kb = 0.0
    for nth in range(SESSIONS):
        begin = nth * len(packets) // SESSIONS
        microphone = np.tile(np.roll(spoken, -begin * clients.FRAME_SAMPLES), 6)
        person: Any = (
            Client(Player(packets, begin)) if carrier is None else Linked(carrier, microphone)
        )
        await person.call(server)
        people.append(person)
        if nth == 0:
            await asyncio.sleep(SETTLE_S)
            first_kb = (await server.ask("measure"))["rss_kb"]
    await asyncio.sleep(SETTLE_S)
    await server.ask("measure")
    await asyncio.sleep(MEASURE_S)
    seen = await server.ask("measure")
    await server.stop()
    for person in people:
        await person.hang_up()
    return {
        "cpu": 1000 * seen["cpu_s"] / seen["seconds"] / SESSIONS,
        "mb": (seen["rss_kb"] - first_kb) / (SESSIONS - 1) / 1000,
        "lag": seen["lag_p99_ms"],
    }


async def main() -> None:
    """Measures the ways in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    figures = Figures("links", "Sessions over links", parser=parser)
    clients.pin()
    for scenario in figures.asked.scenario or SCENARIOS:
        for _ in range(figures.runs):
            found = {way: await measure(scenario, carrier) for way, carrier in WAYS.items()}
            for key, name, unit in (
                ("cpu", "CPU of a session", "ms per s"),
                ("mb", "memory of a session", "MB"),
                ("lag", "event loop late, p99", "ms"),
            ):
                values = {way: each[key] for way, each in found.items()}
                figures.add(f"{scenario}: {name}", unit, values)
                print(f"  {scenario}: {name}: {values}", flush=True)
    figures.close()


if __name__ == "__main__":
    asyncio.run(main())

"""The cost of one silent client, to a handler that waits for its user to speak."""

from __future__ import annotations

import asyncio
from typing import Final

import clients
from clients import Client, Player, Server
from figures import Figures

STACKS: Final = ("ours", "fastrtc", "gradio_webrtc", "pipecat", "pipecat_mute")
ASKED: Final = ("ours", "fastrtc", "gradio_webrtc")
"""Those whose handlers have an ``emit`` that is asked for audio."""

SETTLE_S: Final = 2.0
MEASURE_S: Final = 5.0


async def measure(stack: str) -> dict[str, float]:
    """One silent call for `MEASURE_S`: seconds of CPU and calls of ``emit``, per second."""
    server = await Server.start(stack, "listening", "unwatched")
    client = Client(Player(clients.encode(clients.seconds_of_silence(1.0))))
    await client.call(server)
    await asyncio.sleep(SETTLE_S)
    await server.ask("measure")
    await asyncio.sleep(MEASURE_S)
    result = await server.ask("measure")
    await client.hang_up()
    await server.stop()
    return {
        "cpu_percent": 100 * result["cpu_s"] / result["seconds"],
        "emits_per_s": result["emits"] / result["seconds"],
    }


async def main() -> None:
    """Measures the stacks in turn, several times."""
    figures = Figures("idle", "One silent call")
    clients.pin()
    stacks = clients.installed(STACKS, figures)
    for _ in range(figures.runs):
        found = {stack: await measure(stack) for stack in stacks}
        figures.add(
            "one silent call: CPU",
            "% of a core",
            clients.shown({stack: each["cpu_percent"] for stack, each in found.items()}),
            target={"times": 30, "beside": "fastrtc"},
        )
        figures.add(
            "one silent call: emit is asked",
            "times a second",
            {stack: each["emits_per_s"] for stack, each in found.items() if stack in ASKED},
            target={"most": 0},
        )
    figures.close()


if __name__ == "__main__":
    asyncio.run(main())

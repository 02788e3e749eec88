"""What one caller costs who says nothing, to a handler that waits for him to speak."""

from __future__ import annotations

import asyncio
from typing import Final

import callers
from callers import Caller, Player, Server
from report import RUNS, Report, Spread, ratio

STACKS: Final = ("ours", "fastrtc", "gradio_webrtc")
SETTLE_S: Final = 2.0
MEASURE_S: Final = 5.0


async def measure(stack: str) -> dict[str, float]:
    """One silent call for `MEASURE_S`: seconds of CPU and calls of ``emit``, per second."""
    server = await Server.start(stack, "listening")
    caller = Caller(Player(callers.encode(callers.seconds_of_silence(1.0))))
    await caller.call(server)
    await asyncio.sleep(SETTLE_S)
    await server.ask("measure")
    await asyncio.sleep(MEASURE_S)
    result = await server.ask("measure")
    await caller.hang_up()
    await server.stop()
    return {
        "cpu_percent": 100 * result["cpu_s"] / result["seconds"],
        "emits_per_s": result["emits"] / result["seconds"],
    }


async def main() -> None:
    """Measures the stacks in turn, several times."""
    report = Report(
        "idle",
        "One silent call to ReplyOnPause: its packets arrive, nobody is answered",
        ["stack", "CPU, % of a core", "emit calls a second", "CPU, times ours"],
    )
    callers.pin()
    found: dict[str, list[dict[str, float]]] = {stack: [] for stack in STACKS}
    for _ in range(RUNS):
        for stack in STACKS:
            if callers.missing(stack) is None:
                found[stack].append(await measure(stack))
    cpu = {stack: [each["cpu_percent"] for each in runs] for stack, runs in found.items()}
    for stack, runs in found.items():
        if not runs:
            report.note(f"{stack}: {callers.missing(stack)}")
            continue
        times = "1" if stack == "ours" else f"{ratio(cpu['ours'], cpu[stack]):.1f}"
        emits = Spread.of(each["emits_per_s"] for each in runs)
        report.row(stack, f"{Spread.of(cpu[stack]):.2f}", f"{emits:.0f}", times)
        report.values[stack] = runs
    report.close()


if __name__ == "__main__":
    asyncio.run(main())

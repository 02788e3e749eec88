"""Another user's echo beside every attack: its largest gap, with the attack and without.

    python tests/soak/attacks.py [name ...]

The user and the attacker are processes of their own. Exits with 1 when the user's session ends, or
an attack makes its largest gap more than 60 ms longer than it was before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.attacks import ATTACKS
from support.processes import read_line, running, until_served

if TYPE_CHECKING:
    from asyncio.subprocess import Process

HERE: Final = Path(__file__).parent
SECONDS: Final = 6.0
"""Of each stretch, with an attack and before it."""

MORE_ALLOWED_MS: Final = 60.0


async def measure(staying: Process) -> dict[str, Any]:
    """The figures of what the user has received since the last time."""
    assert staying.stdin is not None
    staying.stdin.write(b"measure\n")
    await staying.stdin.drain()
    figures: dict[str, Any] = json.loads(await read_line(staying))
    return figures


async def beside(url: str, staying: Process, name: str) -> dict[str, Any]:
    """The user's figures before and during an attack."""
    await measure(staying)
    await asyncio.sleep(SECONDS)
    before = await measure(staying)
    async with running(str(HERE / "attacker.py"), url, name) as attacker:
        assert await read_line(attacker) == "ready"
        await measure(staying)
        await asyncio.sleep(SECONDS)
        during = await measure(staying)
    return {"before": before, "during": during}


def judge(name: str, figures: dict[str, Any]) -> str:
    """Describes what is wrong, or returns an empty text."""
    before, during = figures["before"], figures["during"]
    if not during["is_alive"]:
        return f"{name}: the user's call ended"
    more_ms = during["gap_of_ours_ms"] - before["gap_of_ours_ms"]
    return f"{name}: the gap is {more_ms:.0f} ms longer" if more_ms > MORE_ALLOWED_MS else ""


async def main() -> int:
    """Runs the attacks that were asked for, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ATTACKS, []])
    names = parser.parse_args().names or list(ATTACKS)
    faults: list[str] = []
    async with running(str(HERE / "program.py")) as server:
        url = await read_line(server)
        await until_served(url)
        async with running(str(HERE / "steady.py"), f"{url}/page") as staying:
            assert await read_line(staying) == "connected"
            for name in names:
                figures = await beside(f"{url}/page", staying, name)
                before, during = figures["before"], figures["during"]
                print(
                    f"{name}: {before['gap_ms']:.0f} ms before, {during['gap_ms']:.0f} ms during "
                    f"({before['gap_of_ours_ms']:.0f} and {during['gap_of_ours_ms']:.0f} without "
                    "what the machine took)",
                    flush=True,
                )
                faults += filter(None, [judge(name, figures)])
    for fault in faults:
        print(f"FAULT {fault}")
    return bool(faults)


if __name__ == "__main__":
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    sys.exit(asyncio.run(main()))

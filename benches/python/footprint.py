"""The cost of the package before the first session, and the memory that sessions leave behind."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import clients
import numpy as np
import peers
from clients import Client, Player, Server
from figures import Figures
from report import ROOT

from support.spliced import RATE_HZ, utterances  # isort: skip  # report makes it importable

from gradio_webrtc._audio import Resampler

CALL_HZ: Final = 48_000
CALLS: Final = 11
TALK_S: Final = 4.0

SCRIPTS: Final = {"ours": "ours_footprint.py", "fastrtc": "fastrtc_footprint.py"}

MEDIA: Final = "numpy, PyAV and aiortc"
"""What any handler's program imports, and the unit that a handler's import is measured in."""

HANDLERS: Final = {
    "ours": ("gradio_webrtc",),
    "ours, with testing": ("gradio_webrtc", "gradio_webrtc.testing"),
    "fastrtc": ("fastrtc",),
}

# Modules are compiled once, whatever the environment asks for: nobody imports a package only once.
COMPILED: Final = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "gradio_webrtc-bench-compiled"),
}

# key: name, unit, target
FIXED: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "packed": ("wheel", "MB", {"most": 2.5}),
    "page": ("page's scripts and styles, gzipped", "kB", {"most": 60.0}),
    "beyond": ("packages beyond gradio, aiortc and theirs", "", {"most": 0}),
}


def turn() -> np.ndarray:
    """Somebody speaks one sentence and pauses: int16 ``(frames, 1, 960)`` at 48 kHz."""
    longest = max(utterances(), key=lambda each: each.size if each.size < 2 * RATE_HZ else 0)
    spoken = Resampler(RATE_HZ, CALL_HZ).process(longest).reshape(-1)
    samples = np.pad(spoken, (CALL_HZ // 5, CALL_HZ))
    return samples[: samples.size // 960 * 960].reshape(-1, 1, 960)


def run(stack: str, script: str, *arguments: str) -> dict[str, float]:
    """Runs a script in a stack's environment; returns its figures."""
    own = {"PYTHONPATH": str(ROOT / "python") if stack == "ours" else ""}
    python = clients.interpreter(stack)
    result: dict[str, float] = peers.run(python, script, *arguments, variables=own | COMPILED)
    return result


def handler_imports(stacks: list[str]) -> dict[str, float]:
    """The CPU of importing `ReplyOnPause`, in percent of that of `MEDIA` in the same process."""
    result = {}
    for name, modules in HANDLERS.items():
        stack = name.partition(",")[0]
        if stack in stacks:
            found = run(stack, "handler_import.py", *modules)
            result[name] = 100 * found["handler"] / found["media"]
    return result


async def calls(stack: str) -> dict[str, float]:
    """The first session of a fresh server, and the memory of each of the next."""
    server = await Server.start(stack, "listening")
    packets = clients.encode(clients.recording())
    loop, people = asyncio.get_running_loop(), []
    await server.ask("measure")
    result: dict[str, float] = {}
    first_kb = 0.0
    for nth in range(CALLS):
        client = Client(Player(packets))
        began = loop.time()
        await client.call(server)
        people.append(client)
        if nth == 0:
            result["first_ms"] = 1000 * (loop.time() - began)
            await asyncio.sleep(TALK_S)
            measured = await server.ask("measure")
            result["late_ms"], first_kb = measured["lag_p99_ms"], measured["rss_kb"]
    await asyncio.sleep(TALK_S)
    last_kb = (await server.ask("measure"))["rss_kb"]
    result["call_mb"] = (last_kb - first_kb) / (CALLS - 1) / 1000
    for client in people:
        await client.hang_up()
    await server.stop()
    return result


def main() -> None:
    """Measures both stacks in turn; what never varies, once."""
    figures = Figures("footprint", "What the package takes")
    line = peers.absent(peers.FASTRTC, peers.SILERO_OLD)
    stacks = ["ours"] if line else ["ours", "fastrtc"]
    if line:
        figures.note(f"fastrtc: {line}")
    clients.pin()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "turn.npy"
        np.save(file, turn())
        for stack in stacks:
            # Compiles the modules.
            run(stack, SCRIPTS[stack])
        handler_imports(stacks)
        for nth in range(figures.runs):
            arguments = [str(file)] if nth == 0 else []
            found = {
                stack: run(stack, SCRIPTS[stack], *arguments) | asyncio.run(calls(stack))
                for stack in stacks
            }
            add(figures, found)
            name = f"import of ReplyOnPause, beside {MEDIA}"
            figures.add(name, "% of their CPU", handler_imports(stacks), target={"most": 25})
            if nth == 0:
                add_fixed(figures, found)
    figures.close()


def add(figures: Figures, found: dict[str, dict[str, float]]) -> None:
    """The figures of each run."""

    def values(key: str) -> dict[str, float]:
        return {stack: each[key] for stack, each in found.items()}

    name = "import, over gradio and aiortc"
    figures.add(name, "ms CPU", values("import"), target={"most": 50})
    figures.add("first call of a server: offer to connected", "ms", values("first_ms"))
    figures.add("first call: event loop late, p99", "ms", values("late_ms"))
    figures.add("memory of a call that listens", "MB", values("call_mb"))


def add_fixed(figures: Figures, found: dict[str, dict[str, float]]) -> None:
    """The figures that one run gives."""
    values = {stack: each["grown"] for stack, each in found.items()}
    figures.add("memory grown from turn 50 to turn 1,000", "MB", values, target={"most": 2.0})
    for key, (name, unit, target) in FIXED.items():
        values = {stack: each[key] for stack, each in found.items()}
        figures.add(name, unit, values, target=target)


if __name__ == "__main__":
    sys.exit(main())

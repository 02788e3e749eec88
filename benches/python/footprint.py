"""The cost of the package before the first session, and the memory that sessions leave behind."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import clients
import numpy as np
import peers
from clients import Client, Player, Server
from figures import Figures
from report import ROOT

from support.spliced import RATE_HZ, utterances  # isort: skip  # report makes it importable

from gradio_webrtc._audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

CALL_HZ: Final = 48_000
CALLS: Final = 11
TALK_S: Final = 4.0

STACKS: Final = ("ours", "fastrtc", "pipecat_mute")

SCRIPTS: Final = {
    "ours": "ours_footprint.py",
    "fastrtc": "fastrtc_footprint.py",
    "pipecat_mute": "pipecat_footprint.py",
}

TRIALS: Final = 3
"""Of a measurement for which the machine is too busy."""

MEDIA: Final = "numpy, PyAV and aiortc"
"""What any handler's program imports, and the unit that a handler's import is measured in."""

HANDLERS: Final = {
    "ours": ("gradio_webrtc",),
    "ours, with testing": ("gradio_webrtc", "gradio_webrtc.testing"),
    "fastrtc": ("fastrtc",),
    "pipecat_mute": (
        "pipecat.audio.vad.silero",
        "pipecat.pipeline.worker",
        "pipecat.processors.audio.vad_processor",
        "pipecat.transports.smallwebrtc.transport",
        "pipecat.workers.runner",
    ),
}
"""What a program with a handler imports; pipecat has no handlers, but a pipeline of its parts."""

# Modules are compiled once, whatever the environment asks for: nobody imports a package only once.
COMPILED: Final = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "gradio_webrtc-bench-compiled"),
}

# key: name, unit, target
FIXED: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "grown": ("memory grown from turn 50 to turn 1,000", "MB", {"most": 2.0}),
    "packed": ("wheel", "MB", {"most": 2.5}),
    "page": ("page's scripts and styles, gzipped", "kB", {"most": 60.0}),
    "beyond": ("packages beyond gradio, aiortc and theirs", "", {"most": 0}),
    "all": ("packages that installing it brings, in all", "", {}),
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
    """The CPU of importing a handler, in percent of that of `MEDIA` in the same process."""
    result = {}
    for name, modules in HANDLERS.items():
        stack = name.partition(",")[0]
        if stack in stacks:
            found = run(stack, "handler_import.py", *modules)
            result[name] = 100 * found["handler"] / found["media"]
    return clients.shown(result)


async def calls(stack: str) -> dict[str, float]:
    """The first session of a fresh server, and the memory of each of the next.

    Raises:
        TimeoutError: The server let a client wait for too long.
    """
    server = await Server.start(stack, "listening")
    people: list[Client] = []
    try:
        return await _calls(server, people)
    finally:
        await server.stop()
        await asyncio.gather(*(client.hang_up() for client in people))


async def _calls(server: Server, people: list[Client]) -> dict[str, float]:
    packets = clients.encode(clients.recording())
    loop = asyncio.get_running_loop()
    await server.ask("measure")
    result: dict[str, float] = {}
    first_kb = 0.0
    for nth in range(CALLS):
        people.append(client := Client(Player(packets)))
        began = loop.time()
        await client.call(server)
        if nth == 0:
            result["first_ms"] = 1000 * (loop.time() - began)
            await asyncio.sleep(TALK_S)
            measured = await server.ask("measure")
            result["late_ms"], first_kb = measured["lag_p99_ms"], measured["rss_kb"]
    await asyncio.sleep(TALK_S)
    last_kb = (await server.ask("measure"))["rss_kb"]
    result["call_mb"] = (last_kb - first_kb) / (CALLS - 1) / 1000
    return result


def again(work: Callable[[], dict[str, float]], what: str, figures: Figures) -> dict[str, float]:
    """The figures of a measurement, taken again when the machine was too busy for it.

    A server may then let a client wait for too long. The other measurements go on in any case.
    """
    for _ in range(TRIALS):
        try:
            return work()
        except (TimeoutError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"  {what} failed: {error!r}", flush=True)
    figures.note(f"{what}: failed {TRIALS} times, left out")
    return {}


def measured(stack: str, arguments: list[str], figures: Figures) -> dict[str, float]:
    """All that is measured of a stack in one run."""
    found = again(lambda: asyncio.run(calls(stack)), f"{stack}: calls", figures)
    if stack in SCRIPTS:
        script = SCRIPTS[stack]
        found |= again(lambda: run(stack, script, *arguments), f"{stack}: {script}", figures)
    return found


def main() -> None:
    """Measures the stacks in turn; what never varies, once."""
    figures = Figures("footprint", "What the package takes")
    stacks = clients.installed(STACKS, figures)
    clients.pin()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "turn.npy"
        np.save(file, turn())
        for stack in SCRIPTS.keys() & set(stacks):
            # Compiles the modules.
            again(lambda stack=stack: run(stack, SCRIPTS[stack]), f"{stack}: import", figures)
        imports = functools.partial(handler_imports, stacks)
        again(imports, "imports of handlers", figures)
        for nth in range(figures.runs):
            arguments = [str(file)] if nth == 0 else []
            found = {stack: measured(stack, arguments, figures) for stack in stacks}
            add(figures, found, again(imports, "imports of handlers", figures))
            if nth == 0:
                add_fixed(figures, found)
    figures.close()


def add(figures: Figures, found: dict[str, dict[str, float]], imports: dict[str, float]) -> None:
    """The figures of each run."""
    name = "import, over gradio and aiortc"
    show(figures, found, "import", (name, "ms CPU", {"most": 50}))
    name = f"import of a handler, beside {MEDIA}"
    figures.add(name, "% of their CPU", imports, target={"most": 25})
    show(figures, found, "first_ms", ("first call of a server: offer to connected", "ms", {}))
    show(figures, found, "late_ms", ("first call: event loop late, p99", "ms", {}))
    show(figures, found, "call_mb", ("memory of a call that listens", "MB", {}))


def add_fixed(figures: Figures, found: dict[str, dict[str, float]]) -> None:
    """The figures that one run gives."""
    for key, texts in FIXED.items():
        show(figures, found, key, texts)


def show(
    figures: Figures,
    found: dict[str, dict[str, float]],
    key: str,
    texts: tuple[str, str, dict[str, Any]],
) -> None:
    """Adds one figure of all stacks that have it."""
    name, unit, target = texts
    values = {stack: each[key] for stack, each in found.items() if key in each}
    figures.add(name, unit, clients.shown(values), target=target)


if __name__ == "__main__":
    sys.exit(main())

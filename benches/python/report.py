"""The parts that every bench shares: paths, the spread of its runs, the machine it ran on."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "benches" / "results"

NETWORK_DELAYS: Final = RESULTS / "network-delays.json"
"""The delay of each frame around one lost packet, by stack: seconds after the loss, and ms."""

RUNS: Final = int(os.environ.get("BENCH_RUNS", "5"))
"""The times that a bench measures everything. Fewer than five show little of the spread."""

# The recordings, and how they are cut and joined, are those of the tests.
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]


class Spread(NamedTuple):
    """The middle of the runs, and how far they lie apart."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of one value per run."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1], len(found))

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The times that theirs is ours, run by run: runs were interleaved, so noise is common."""
    return Spread.of(their / our for our, their in zip(ours, theirs, strict=True))


def machine() -> dict[str, str]:
    """The machine that the numbers were measured on."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


class Ticks(NamedTuple):
    """Time of the processors so far, in clock ticks (proc_stat(5)); zeros where nobody counts it.

    Attributes:
        wanted: The time in which there was work.
        taken: The part of it in which the host let others work.
    """

    wanted: int
    taken: int

    @classmethod
    def now(cls, processor: str = "") -> Ticks:
        """As counted now: of all processors, or of one of them, by its number."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return cls(0, 0)
        lines = stat.read_text().splitlines()
        (line,) = (line for line in lines if line.startswith(f"cpu{processor} "))
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
        return cls(user + nice + system + irq + softirq + steal, steal)

    def taken_since(self, before: Ticks) -> str:
        """The share that the host took, in words."""
        return f"{(self.taken - before.taken) / max(1, self.wanted - before.wanted):.1%}"


def _commit() -> str:
    """The commit that is measured, with "-dirty" when files differ from it."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    names = (line.partition(":")[2] for line in info.read_text().splitlines() if "name" in line)
    return next(names, platform.processor()).strip()

"""What every bench prints: a table with the spread of its runs, and the machine it ran on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "benches" / "results"

RUNS: Final = int(os.environ.get("BENCH_RUNS", "5"))
"""How often a bench measures everything anew. Fewer than five say little about the spread."""

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
    """How many times theirs is ours, run by run: runs were interleaved, so noise is common."""
    return Spread.of(their / our for our, their in zip(ours, theirs, strict=True))


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    names = (line.partition(":")[2] for line in info.read_text().splitlines() if "name" in line)
    return next(names, platform.processor()).strip()


class Report:
    """One bench's results: rows on the screen, the same in ``benches/results``.

    Args:
        name: Of the bench, and of its result file.
        title: What it measures, in one line.
        columns: Above the table; the first is the row's label.
    """

    def __init__(self, name: str, title: str, columns: Sequence[str]) -> None:
        self._name = name
        self._title = title
        self._columns = columns
        self._machine = machine()
        self._rows: list[list[str]] = []
        self._notes: list[str] = []
        self.values: dict[str, Any] = {}

    def row(self, label: str, *cells: str) -> None:
        """Adds a line to the table."""
        self._rows.append([label, *cells])

    def note(self, text: str) -> None:
        """Adds a line below the table, such as which peer is absent."""
        self._notes.append(text)

    def close(self) -> None:
        """Prints the table and writes the result file."""
        print(f"\n## {self._title}\n")
        widths = [
            max(len(line[column]) for line in [list(self._columns), *self._rows])
            for column in range(len(self._columns))
        ]
        print(_line(self._columns, widths))
        print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        for row in self._rows:
            print(_line(row, widths))
        for text in self._notes:
            print(f"\n{text}")
        print("\n" + ", ".join(f"{key} {value}" for key, value in self._machine.items()))
        RESULTS.mkdir(exist_ok=True)
        content = {
            "title": self._title,
            "machine": self._machine,
            "columns": self._columns,
            "rows": self._rows,
            "notes": self._notes,
            "values": self.values,
        }
        (RESULTS / f"{self._name}.json").write_text(json.dumps(content, indent=1) + "\n")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"

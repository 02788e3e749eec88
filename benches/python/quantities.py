"""What a bench of whole calls found: the same quantity for each stack, run by run.

A file of results is a list of these: ``{"name", "unit", "better": "lower" or "higher", "runs":
[{"ours": 1.0, "fastrtc": 2.0}, ...], "machine", "command"}``. A run holds every stack that is
installed, measured one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import callers
from report import RESULTS, Spread, machine, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Quantity:
    """Something measured.

    Attributes:
        name: What it is, in words.
        unit: Of the numbers.
        better: Which way is the good one.
        runs: A number for each stack, in each run.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    runs: list[dict[str, float]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Rows of a table: each stack's spread, and by how much ours is better."""
        rows = []
        for stack in self.runs[0]:
            spread = Spread.of(run[stack] for run in self.runs)
            times = self._times_better(stack)
            rows.append(f"| {self.name}, {self.unit} | {stack} | {spread:.1f} | {times} |")
        return rows

    def _times_better(self, stack: str) -> str:
        ours, theirs = ([run[each] for run in self.runs] for each in ("ours", stack))
        smaller, greater = (ours, theirs) if self.better == "lower" else (theirs, ours)
        return f"{ratio(smaller, greater):.2f}" if all(smaller) else "-"


def close(name: str, found: Sequence[Quantity]) -> None:
    """Prints a table, and writes the file of results."""
    seen, command = machine(), " ".join(["python", f"benches/python/{name}.py", *sys.argv[1:]])
    print(f"\n`{command}`\n\n| quantity | stack | median (least to most) | ours is better, times |")
    print("|---|---|---|---|")
    for each in found:
        print("\n".join(each.lines()))
    print("\n" + ", ".join(f"{key} {value}" for key, value in seen.items()))
    RESULTS.mkdir(exist_ok=True)
    content = [dataclasses.asdict(each) | {"machine": seen, "command": command} for each in found]
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def is_installed(stack: str) -> bool:
    """Whether a stack can be measured; otherwise says so."""
    line = callers.missing(stack)
    if line is not None:
        print(f"{stack}: {line}")
    return line is None

"""Figures of a bench: one value per stack and run, printed at its end and kept as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

import versions
from report import RESULTS, RUNS, Spread, Ticks, machine, ratio

OURS: Final = "ours"


class Figure(TypedDict):
    """One line of the table; the shape of an entry in ``benches/results/*.json``.

    Attributes:
        name: The quantity that was measured.
        unit: Of its values.
        better: The direction that is better.
        runs: For each run, the value of each stack; a property that never varies has one run.
        target: ``{"times": 5, "beside": "soxr"}`` (that many times better than it), or
            ``{"most": 20}``, or ``{"least": 120}``; empty when there is none.
        machine: The machine that it was measured on, and the commit.
        versions: Of each stack, its package and those that do its work.
        command: The command that repeats it.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    runs: list[dict[str, float]]
    target: dict[str, Any]
    machine: dict[str, str]
    versions: dict[str, str]
    command: str


def times_better(figure: Figure, peer: str) -> Spread | None:
    """The times by which ours is better than a peer's, run by run: runs were interleaved."""
    if figure["unit"] == "dB" or peer.startswith(OURS):
        # A logarithm has no ratio, and our own settings are not to be won against.
        return None
    pairs = [(run[OURS], run[peer]) for run in figure["runs"] if run.keys() >= {OURS, peer}]
    if not pairs or any(value == 0 for pair in pairs for value in pair):
        return None
    ours, theirs = zip(*pairs, strict=True)
    return ratio(ours, theirs) if figure["better"] == "lower" else ratio(theirs, ours)


def is_met(figure: Figure) -> bool | None:
    """True if the median reaches the target; ``None`` without one, or without the peer."""
    target = figure.get("target") or {}
    ours = [run[OURS] for run in figure["runs"] if OURS in run]
    if not target or not ours:
        return None
    median = Spread.of(ours).median
    if "most" in target:
        return bool(median <= target["most"])
    if "least" in target:
        return bool(median >= target["least"])
    times = times_better(figure, target["beside"])
    if times is not None:
        return bool(times.median >= target["times"])
    if target["beside"] not in stacks_of(figure) or figure["better"] == "higher" or median > 0:
        return None
    # No times are enough for something beside nothing.
    return bool(spread(figure, target["beside"]).median > 0)


def stacks_of(figure: Figure) -> list[str]:
    """The stacks that it has values of, ours first."""
    found = dict.fromkeys(stack for run in figure["runs"] for stack in run)
    return sorted(found, key=lambda stack: stack != OURS)


def spread(figure: Figure, stack: str) -> Spread:
    """A stack's values over the runs."""
    return Spread.of(run[stack] for run in figure["runs"] if stack in run)


def short(value: float) -> str:
    """Three digits, without powers of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004


class Figures:
    """Collects the figures of one bench.

    Args:
        bench: Its name, and that of its result file.
        title: The subject, in one line.
        parser: The bench's own options, if it has any.

    Attributes:
        runs: The number of times to measure everything.
        asked: The options, the bench's own among them.
    """

    def __init__(
        self, bench: str, title: str, *, parser: argparse.ArgumentParser | None = None
    ) -> None:
        parser = parser or argparse.ArgumentParser(description=title)
        parser.add_argument("--runs", type=int, default=RUNS, help="measure so often (%(default)s)")
        self.asked = parser.parse_args()
        self.runs: int = self.asked.runs
        self._bench = bench
        self._title = title
        self._machine = machine()
        self._began = Ticks.now()
        script = f"benches/python/{Path(sys.argv[0]).name}"
        self._command = " ".join([".venv/bin/python", script, *sys.argv[1:]])
        self._figures: dict[str, Figure] = {}
        self._notes: list[str] = []

    def add(
        self,
        name: str,
        unit: str,
        values: dict[str, float],
        *,
        better: Literal["lower", "higher"] = "lower",
        target: dict[str, Any] | None = None,
    ) -> None:
        """Adds a run's values of all stacks to a figure; the dict may be changed afterwards."""
        figure = self._figures.setdefault(
            name,
            {
                "name": name,
                "unit": unit,
                "better": better,
                "runs": [],
                "target": target or {},
                "machine": self._machine,
                "versions": {},
                "command": self._command,
            },
        )
        figure["runs"].append(dict(values))
        for stack in values.keys() - figure["versions"].keys():
            figure["versions"][stack] = versions.of_stack(stack)

    def note(self, text: str) -> None:
        """Adds a line below the figures, such as the name of a peer that is absent."""
        self._notes.append(text)

    def close(self) -> None:
        """Prints the figures and writes the result file."""
        self._machine["taken by the host"] = Ticks.now().taken_since(self._began)
        print(f"\n## {self._title}\n")
        for figure in self._figures.values():
            print(line(figure))
        for text in self._notes:
            print(text)
        print(", ".join(f"{key} {value}" for key, value in self._machine.items()), flush=True)
        RESULTS.mkdir(exist_ok=True)
        figures = list(self._figures.values())
        (RESULTS / f"{self._bench}.json").write_text(json.dumps(figures, indent=1) + "\n")


def line(figure: Figure) -> str:
    """A figure in one line of text."""
    parts = []
    for stack in stacks_of(figure):
        found = spread(figure, stack)
        times = times_better(figure, stack) if stack != OURS else None
        parts.append(
            f"{stack} {short(found.median)} ({short(found.low)} to {short(found.high)})"
            + (f" = {times.median:.2f} x" if times else "")
        )
    verdict = {True: "  MET", False: "  MISSED", None: ""}[is_met(figure)]
    return f"{figure['name']}, {figure['unit']}: {'; '.join(parts)}{verdict}"

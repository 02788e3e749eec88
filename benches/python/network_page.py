"""The network bench as a table with a line for each fault, and as two plots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import plots
from figures import OURS, is_met, short, spread, stacks_of
from report import NETWORK_DELAYS

if TYPE_CHECKING:
    from pathlib import Path

    from figures import Figure

COLUMNS: Final = {
    "audio": "audio %",
    "real": "real %",
    "delay above that before, during, p95": "during",
    "delay above that before, after, p95": "after",
}
"""Figures of a row, and their columns."""

LOSSES: Final = {"clean": 0, "loss1": 1, "loss5": 5, "loss10": 10, "loss20": 20}
SHOWN_S: Final = (-1.0, 4.0)
"""Of a trace, around the loss."""


def rows(figures: list[Figure]) -> list[str]:
    """Lines of Markdown: of each fault what is required, and what each stack has."""
    stacks = sorted({stack for each in figures for stack in stacks_of(each)}, key=_ours_first)
    by_row: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        name, _, field = figure["name"].partition(": ")
        by_row.setdefault(name, {})[field] = figure
    lines = [
        "Audio %, real %; p95 of the delay above that before the fault, in ms: during it / after.",
        "",
        f"| fault | required | {' | '.join(stacks)} |",
        "| --- | --- |" + " --- |" * len(stacks),
    ]
    for name, fields in by_row.items():
        required = _cell({key: _target(fields[key]) for key in COLUMNS if key in fields})
        cells = [
            _cell({key: _value(fields[key], stack) for key in COLUMNS if key in fields})
            for stack in stacks
        ]
        lines.append(f"| {name} | {required} | {' | '.join(cells)} |")
    return lines


def _cell(values: dict[str, str]) -> str:
    audio, real, during, after = (values.get(key, "-") for key in COLUMNS)
    return f"{audio}, {real}; {during} / {after}"


def _target(figure: Figure) -> str:
    wanted = figure["target"]
    if "least" in wanted:
        return f"≥ {wanted['least']:g}"
    return f"≤ {wanted['most']:g}" if "most" in wanted else "-"


def _value(figure: Figure, stack: str) -> str:
    if stack not in stacks_of(figure):
        return "nothing"
    text = short(spread(figure, stack).median)
    return f"**{text}**" if stack == OURS and is_met(figure) is False else text


def _ours_first(stack: str) -> tuple[bool, str]:
    return stack != OURS, stack


def draw(figures: list[Figure], file: Path) -> None:
    """Audio that arrives against loss, and delay against time around one loss."""
    canvas, (left, right) = plots.axes_beside(3.6, 2)
    by_name = {figure["name"]: figure for figure in figures}
    for field, style in (("audio", "o--"), ("real", "o-")):
        found = {loss: by_name.get(f"{row}: {field}") for row, loss in LOSSES.items()}
        present = {loss: figure for loss, figure in found.items() if figure is not None}
        for stack in {stack: None for each in present.values() for stack in stacks_of(each)}:
            values = [(loss, spread(each, stack).median) for loss, each in present.items()]
            left.plot(*zip(*values, strict=True), style, color=plots.colour(stack))
    left.set_xlabel("packets lost, %")
    left.set_ylabel("real frames —, audio - -, %")
    left.set_ylim(0, 103)
    traces = json.loads(NETWORK_DELAYS.read_text("utf-8")) if NETWORK_DELAYS.exists() else {}
    for stack, trace in traces.items():
        shown = [(at_s, ms) for at_s, ms in trace if SHOWN_S[0] <= at_s <= SHOWN_S[1]]
        right.plot(*zip(*shown, strict=True), color=plots.colour(stack), label=stack)
    right.set_xlabel("seconds after one packet was lost")
    right.set_ylabel("delay of the echo, ms")
    right.set_ylim(bottom=0)
    if traces:
        right.legend(frameon=False)
    plots.write(canvas, file)

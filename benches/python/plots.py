"""Two plots that can be read on light and on dark: no background, colours of middle brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from figures import OURS, spread, stacks_of
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from figures import Figure

GREY: Final = "#8a8a8a"
COLOURS: Final = {OURS: "#e8762b", "fastrtc": "#4c8dd6", "aiortc": "#5fa65f", "pipecat": "#a35fb5"}

STYLE: Final = {
    "svg.fonttype": "none",
    # The same input gives the same file.
    "svg.hashsalt": "gradio_webrtc",
    "font.family": "sans-serif",
    "font.size": 11,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def calls(figures: list[Figure], file: Path) -> None:
    """The number of sessions that a core holds, a group of bars for each scenario."""
    wanted = [figure for figure in figures if figure["unit"] == "calls"]
    canvas, axes = _axes(5.0)
    ticks, labels, position = [], [], 0.0
    for figure in reversed(wanted):
        scenario, stacks = figure["name"].partition(":")[0], stacks_of(figure)
        for stack in reversed(stacks):
            found = spread(figure, stack)
            reach = [[found.median - found.low], [found.high - found.median]]
            axes.barh(position, found.median, 0.8, color=_colour(stack))
            axes.errorbar(found.median, position, xerr=reach, color=GREY, capsize=3)
            label(axes, f"{found.median:.0f}", (found.high, position), GREY)
            ticks.append(position)
            labels.append(f"{scenario}: {_name(stack)}")
            position += 1
        position += 0.6
    axes.set_yticks(ticks, labels)
    axes.set_xlabel("calls on one core")
    write(canvas, file)


DRAWN: Final[dict[str, Callable[[list[Figure], Path], None]]] = {"calls": calls}


def _colour(stack: str) -> str:
    """One for all settings of a stack."""
    return COLOURS.get(stack.partition(",")[0], GREY)


def _name(stack: str) -> str:
    return stack.replace(OURS, "gradio_webrtc", 1)


def label(axes: Any, text: str, at: tuple[float, float], colour: str) -> None:
    """Writes a stack's name or a value beside a point."""
    place = {"xytext": (10, 0), "textcoords": "offset points"}
    axes.annotate(_name(text), at, va="center", color=colour, **place)


def _axes(height: float) -> tuple[Canvas, Any]:
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, height), layout="constrained")
        return canvas, canvas.add_subplot()


def axes_beside(height: float, count: int) -> tuple[Canvas, list[Any]]:
    """A canvas with so many plots beside each other."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, height), layout="constrained")
        return canvas, list(canvas.subplots(1, count, squeeze=False)[0])


def colour(stack: str) -> str:
    """The colour of a stack."""
    return COLOURS.get(stack, GREY)


def write(canvas: Canvas, file: Path) -> None:
    """Writes the plot as SVG."""
    with mpl.rc_context(STYLE):
        # Without a date the file changes only with what it shows.
        canvas.savefig(file, transparent=True, metadata={"Date": None})
    print(f"drawn: {file.name}")

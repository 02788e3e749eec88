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
CUT_PAUSES: Final = "pauses of 0.2 to 0.5 s"

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
            _label(axes, f"{found.median:.0f}", (found.high, position), GREY)
            ticks.append(position)
            labels.append(f"{scenario}: {_name(stack)}")
            position += 1
        position += 0.6
    axes.set_yticks(ticks, labels)
    axes.set_xlabel("calls on one core")
    write(canvas, file)


def turns(figures: list[Figure], file: Path) -> None:
    """The latency of decisions that a turn is over, against the share of turns that are cut off."""
    by_name = {figure["name"]: figure for figure in figures}
    p50, p90, cut = (
        by_name[f"turn decided, {CUT_PAUSES}: {field}"] for field in ("p50", "p90", "cut off")
    )
    canvas, axes = _axes(4.6)
    for stack in stacks_of(p50):
        x, middle, late = (spread(each, stack) for each in (cut, p50, p90))
        colour = _colour(stack)
        axes.plot([x.median] * 2, [middle.median, late.median], color=colour)
        across = [[x.median - x.low], [x.high - x.median]]
        axes.errorbar(x.median, middle.median, xerr=across, color=colour, fmt="o", capsize=3)
        axes.plot(x.median, late.median, "_", color=colour, markersize=10)
        _label(axes, _name(stack), (x.median, late.median), colour)
    axes.set_xlabel(f"turns cut off at inner {CUT_PAUSES}, %")
    axes.set_ylabel("end of speech to decision, ms: p50 ● to p90 ▬")
    axes.set_xlim(left=-2, right=100)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    write(canvas, file)


DRAWN: Final[dict[str, Callable[[list[Figure], Path], None]]] = {"calls": calls, "turns": turns}


def _colour(stack: str) -> str:
    """One for all settings of a stack."""
    return COLOURS.get(stack.partition(",")[0], GREY)


def _name(stack: str) -> str:
    return stack.replace(OURS, "gradio_webrtc", 1)


def _label(axes: Any, text: str, at: tuple[float, float], colour: str) -> None:
    place = {"xytext": (10, 0), "textcoords": "offset points"}
    axes.annotate(text, at, va="center", color=colour, **place)


def _axes(height: float) -> tuple[Canvas, Any]:
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, height), layout="constrained")
        return canvas, canvas.add_subplot()


def two_axes(height: float) -> tuple[Canvas, tuple[Any, Any]]:
    """A canvas with two plots beside each other."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, height), layout="constrained")
        left, right = canvas.subplots(1, 2)
        return canvas, (left, right)


def colour(stack: str) -> str:
    """The colour of a stack."""
    return COLOURS.get(stack, GREY)


def write(canvas: Canvas, file: Path) -> None:
    """Writes the plot as SVG."""
    with mpl.rc_context(STYLE):
        # Without a date the file changes only with what it shows.
        canvas.savefig(file, transparent=True, metadata={"Date": None})
    print(f"drawn: {file.name}")

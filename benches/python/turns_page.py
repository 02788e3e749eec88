"""The bench of turns as a table of rules for each set of speech, and as a plot of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import plots
from figures import short, spread, stacks_of
from first_audio import CONVERSATIONS, FUNCTIONS_S, NEURAL, READ, SHOWN_S

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from figures import Figure

SETS: Final = (READ, CONVERSATIONS, NEURAL)
DRAWN: Final = (READ, CONVERSATIONS)
FIRST: Final = "first audio"
NONE: Final = "-"


def rows(figures: list[Figure], other_rows: Any) -> list[str]:
    """Lines of Markdown: a table for each set, and one of all other figures."""
    lines = []
    for words in SETS:
        own = _of(figures, words)
        if own:
            lines += [*_table(words, own), ""]
    rest = [each for each in figures if not each["name"].startswith(SETS)]
    if rest:
        lines += ["The decision alone, without an answer:", "", *other_rows(rest)]
    return lines


def _of(figures: list[Figure], words: str) -> dict[str, Figure]:
    return {
        each["name"].removeprefix(words).lstrip(":, "): each
        for each in figures
        if each["name"].startswith(words)
    }


def _table(words: str, own: dict[str, Figure]) -> list[str]:
    functions = [f"{each:g} s" for each in FUNCTIONS_S]
    broken = f"broken off: {FIRST} p50, function of {SHOWN_S:g} s"
    last = ["answered after a sentence broken off, p50"] if broken in own else []
    heads = ["rule", *functions, "decided early", "discarded starts a turn", *last]
    lines = [
        f"**{words.capitalize()}**: first audio after the end of speech, p50 / p90 in ms, by the",
        "time that the user's function takes.",
        "",
        f"| {' | '.join(heads)} |",
        "| --- |" + " --- |" * (len(heads) - 1),
    ]
    for rule in stacks_of(own["decided early"]):
        cells = [_late(own, each, rule) for each in FUNCTIONS_S]
        cells.append(_value(own, "decided early", rule, " %"))
        cells.append(_value(own, "starts discarded", rule))
        if last:
            cells.append(_value(own, broken, rule, " ms"))
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    return lines


def _late(own: dict[str, Figure], seconds: float, rule: str) -> str:
    names = [f"function of {seconds:g} s: {FIRST} p{percent}" for percent in (50, 90)]
    return " / ".join(_value(own, name, rule) for name in names)


def _value(own: dict[str, Figure], name: str, rule: str, unit: str = "") -> str:
    figure = own.get(name)
    if figure is None or rule not in stacks_of(figure):
        return NONE
    return short(spread(figure, rule).median) + unit


def draw(figures: list[Figure], file: Path) -> None:
    """The first audio against the turns decided early, a plot for each set."""
    sets = {words: own for words in DRAWN if (own := _of(figures, words))}
    canvas, axes = plots.axes_beside(4.6, len(sets))
    for each, (words, own) in zip(axes, sets.items(), strict=True):
        _draw_set(each, own)
        each.set_title(words, fontsize=11, color=plots.GREY)
        each.set_xlabel("turns decided early, %")
    axes[0].set_ylabel(
        f"end of speech to first audio of a function\nof {SHOWN_S:g} s, ms: p50 ● to p90 ▬"
    )
    plots.write(canvas, file)


def _draw_set(axes: Any, own: dict[str, Figure]) -> None:
    middle, late = (own[f"function of {SHOWN_S:g} s: {FIRST} p{each}"] for each in (50, 90))
    early = own["decided early"]
    for rule in stacks_of(early):
        x, low, high = (spread(each, rule).median for each in (early, middle, late))
        colour = plots.colour(rule.partition(",")[0])
        axes.plot([x, x], [low, high], color=colour)
        axes.plot(x, low, "o", color=colour)
        axes.plot(x, high, "_", color=colour, markersize=10)
        # Colour and position show whose setting it is.
        plots.label(axes, rule.rpartition(", ")[2], (x, high), colour)
    axes.set_xlim(-4, 118)
    axes.set_ylim(0, 4_800)

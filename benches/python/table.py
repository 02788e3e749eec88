"""One table and two plots out of the results of all benches, for the README."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Final

import network_page
import plots
import processors
import turns_page
from captions import caption
from figures import OURS, is_met, short, spread, stacks_of, times_better
from report import RESULTS, ROOT

if TYPE_CHECKING:
    from figures import Figure

# In the order of the plan; kernels last, since they alone hold no more sessions.
BENCHES: Final = (
    "calls",
    "idle",
    "replies",
    "turns",
    "smart_turn",
    "network",
    "inbound",
    "footprint",
    "kernels",
)

DRAWN: Final = {**plots.DRAWN, "turns": turns_page.draw, "network": network_page.draw}

IMAGES: Final = ROOT / "docs" / "images"
PAGE: Final = ROOT / "docs" / "benchmarks.md"

HEAD: Final = """\
# Benchmarks

`make bench-peers` once, then `make bench`: it measures all that follows and writes this page. The
meaning of each number, and its limits, stand in [benches/README.md](../benches/README.md). The
machine is shared: compare what stands in one line, and not the lines of two machines.
"""


def read() -> dict[str, list[Figure]]:
    """The figures of every bench that has been run."""
    found = {}
    for bench in BENCHES:
        file = RESULTS / f"{bench}.json"
        if file.exists():
            figures = json.loads(file.read_text("utf-8"))
            if not isinstance(figures, list):
                print(f"{file.name} is not a list of figures: left out")
                continue
            found[bench] = figures
    return found


def value(figure: Figure, stack: str) -> str:
    """The median, and the least and the most."""
    found = spread(figure, stack)
    text = short(found.median)
    return text if found.low == found.high else f"{text} ({short(found.low)}–{short(found.high)})"  # noqa: RUF001


def beside(figure: Figure) -> str:
    """The peers, each with how many times better ours is."""
    cells = []
    for stack in stacks_of(figure):
        if stack != OURS:
            times = times_better(figure, stack)
            cells.append(
                f"{stack} {value(figure, stack)}" + (f", × {short(times.median)}" if times else "")  # noqa: RUF001
            )
    return "<br>".join(cells) or "-"


def target(figure: Figure) -> str:
    """The target, and whether it is reached."""
    wanted = figure.get("target") or {}
    if "times" in wanted:
        text = f"× {wanted['times']:g} {wanted['beside']}"  # noqa: RUF001
    elif "most" in wanted:
        text = f"≤ {wanted['most']:g}"
    elif "least" in wanted:
        text = f"≥ {wanted['least']:g}"
    else:
        return ""
    return text + {True: " ✓", False: " **missed**", None: " ?"}[is_met(figure)]


def rows(figures: list[Figure]) -> list[str]:
    """Lines of Markdown."""
    head = "| what | ours | beside, and how many times better ours is | to reach |"
    lines = [head, "| --- | --- | --- | --- |"]
    for figure in figures:
        name = ", ".join(filter(None, (figure["name"], figure["unit"])))
        ours = value(figure, OURS) if OURS in stacks_of(figure) else "-"
        lines.append(f"| {name} | {ours} | {beside(figure)} | {target(figure)} |")
    return lines


ROWS: Final = {"network": network_page.rows, "turns": lambda each: turns_page.rows(each, rows)}
"""Benches with a table of their own form."""


def described(figures: list[Figure]) -> str:
    """The command, the runs, and the machine."""
    first = figures[0]
    runs = max(len(figure["runs"]) for figure in figures)
    machine = ", ".join(f"{key} {text}" for key, text in first["machine"].items())
    text = f"`{first['command']}`: median of {runs} runs, with the least and the most; {machine}."
    stacks: dict[str, str] = {}
    for figure in figures:
        stacks |= figure.get("versions", {})
    # All settings of a stack have the same ones.
    once = {stack.partition(",")[0]: of for stack, of in sorted(stacks.items()) if of}
    listed = [f"{stack}: {of}" for stack, of in once.items()]
    return text + (f" Versions: {'; '.join(listed)}." if listed else "")


def part(bench: str, figures: list[Figure]) -> str:
    """The section of a bench."""
    lines = ROWS.get(bench, rows)(figures)
    above = [text, ""] if (text := caption(bench)) else []
    return "\n".join([f"## {bench}", "", *above, described(figures), "", *lines, ""])


def main() -> None:
    """Writes ``docs/benchmarks.md`` and the images."""
    found = read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="keep the ratios, to show them beside those of others"
    )
    parts = [part(bench, figures) for bench, figures in found.items() if figures]
    if parser.parse_args().keep:
        processors.keep(found)
    parts += processors.section(found)
    PAGE.write_text("\n".join([HEAD, *parts]), "utf-8")
    print("\n".join(parts))
    for bench, draw in DRAWN.items():
        if bench in found:
            draw(found[bench], IMAGES / f"bench-{bench}.svg")
        else:
            print(f"no plot of {bench}: it has not been run")


if __name__ == "__main__":
    main()

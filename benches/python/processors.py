"""Ratios of other processors beside those of this one, for the page.

Only ratios, since they alone can be compared between machines. ``table.py --keep`` stores those of
the results in ``benches/processors``, a file for each processor.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from figures import short, stacks_of, times_better

if TYPE_CHECKING:
    from figures import Figure

KEPT: Final = Path(__file__).resolve().parents[1] / "processors"

HEAD: Final = """\
## Other processors

How many times better ours is on each processor that was measured, wherever a peer is to be
reached. Below 1 the peer is better there.
"""


def ratios(found: dict[str, list[Figure]]) -> dict[str, dict[str, float]]:
    """The times by which ours is better, by bench and figure, then by peer; dB have none."""
    result: dict[str, dict[str, float]] = {}
    for bench, figures in found.items():
        for figure in figures:
            if "beside" not in (figure.get("target") or {}):
                continue
            better = {stack: times_better(figure, stack) for stack in stacks_of(figure)}
            result[f"{bench}: {figure['name']}"] = {
                stack: round(times.median, 3) for stack, times in better.items() if times
            }
    return result


def targets(found: dict[str, list[Figure]]) -> dict[str, tuple[str, float]]:
    """What is to be reached: the peer and how many times, by bench and figure."""
    return {
        f"{bench}: {figure['name']}": (figure["target"]["beside"], figure["target"]["times"])
        for bench, figures in found.items()
        for figure in figures
        if "beside" in (figure.get("target") or {})
    }


def keep(found: dict[str, list[Figure]]) -> None:
    """Stores the ratios of the results under the name of their processor."""
    machine = next(figures[0]["machine"] for figures in found.values() if figures)
    name = re.sub("[^a-z0-9.]+", "-", machine["processor"].lower()).strip("-")
    KEPT.mkdir(exist_ok=True)
    entry = {"machine": machine, "times": ratios(found)}
    (KEPT / f"{name}.json").write_text(json.dumps(entry, indent=1) + "\n", "utf-8")


def section(found: dict[str, list[Figure]]) -> list[str]:
    """The table of all processors; nothing where there is but one."""
    here = next((figures[0]["machine"] for figures in found.values() if figures), None)
    if here is None:
        return []
    others: list[dict[str, Any]] = [
        entry
        for file in sorted(KEPT.glob("*.json"))
        if (entry := json.loads(file.read_text("utf-8")))["machine"]["processor"]
        != here["processor"]
    ]
    if not others:
        return []
    every = [{"machine": here, "times": ratios(found)}, *others]
    names = [f"{each['machine']['processor']}, {each['machine']['commit']}" for each in every]
    lines = [
        HEAD,
        f"| what | beside | {' | '.join(names)} |",
        "| --- | --- |" + " --- |" * len(every),
    ]
    for what, (peer, least) in targets(found).items():
        cells = [cell(each["times"].get(what, {}).get(peer), least) for each in every]
        if sum(map(bool, cells)) > 1:
            lines.append(f"| {what} | {peer} | {' | '.join(cells)} |")
    return ["\n".join([*lines, ""])]


def cell(times: float | None, least: float) -> str:
    """A ratio, and a word where it does not reach what is to be reached."""
    if times is None:
        return ""
    return f"× {short(times)}" + ("" if times >= least else " **missed**")  # noqa: RUF001

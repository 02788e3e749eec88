"""Measures a package: time to import, memory, files; for every stack's environment."""

from __future__ import annotations

import gc
import gzip
import importlib
import os
import re
import tempfile
import time
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 1000
WARM_TURNS = 50
"""After these, memory has been asked for that is not given back, and no more is expected."""


def import_ms(package: str, before: list[str]) -> float:
    """CPU of importing a package when those others are already there."""
    for name in before:
        importlib.import_module(name)
    # A collection of what those have left is due at some moment that is no package's own.
    gc.collect()
    began = time.process_time()
    importlib.import_module(package)
    return 1000 * (time.process_time() - began)


def resident_mb() -> float:
    """Memory of this process that is really there."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def requirements(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The packages that installing one installs, itself included."""
    from packaging.requirements import Requirement  # noqa: PLC0415  # every stack brings it

    found: set[str] = set()
    open_ = [(name, extras)]
    while open_:
        name, extras = open_.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        try:
            wanted = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        if key in found and not extras:
            continue
        found.add(key)
        for text in wanted:
            each = Requirement(text)
            contexts = [{"extra": extra} for extra in extras or {""}]
            if each.marker is None or any(each.marker.evaluate(context) for context in contexts):
                open_.append((each.name, frozenset(each.extras)))
    return found


def beyond(name: str, extras: frozenset[str]) -> list[str]:
    """The packages that come with it besides gradio, aiortc and what these bring."""
    there = requirements("gradio") | requirements("aiortc") | {re.sub("_", "-", name)}
    return sorted(requirements(name, extras) - there)


def count_all(name: str, extras: frozenset[str] = frozenset()) -> int:
    """The number of packages that installing one installs, itself included."""
    return len(requirements(name, extras))


def packed_mb(folder: Path, finish: Callable[[Path], None] | None = None) -> float:
    """The size of a package as its wheel packs it; ``finish`` is the last step of its build."""
    with tempfile.TemporaryDirectory() as place:
        wheel = Path(place) / "package.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, file.relative_to(folder))
        if finish is not None:
            finish(wheel)
        return wheel.stat().st_size / 1e6


def page_kb(folder: Path) -> float:
    """Scripts and styles of the page, each as a server would send it."""
    files = (file for kind in ("*.js", "*.css") for file in (folder / "templates").rglob(kind))
    return sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) / 1000

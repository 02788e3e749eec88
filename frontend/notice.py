"""Writes ``NOTICE``: the licences of all third-party parts of the wheel.

A wheel contains three kinds of them: the crates linked into ``_core``, with the standard library
of Rust; the packages whose code is in the built page; and the weights of Silero VAD. Build tools
and procedural macros leave no code in the wheel, and are left out.

``python frontend/notice.py`` writes the file. It needs the crates and ``node_modules`` on disk, as
``make build`` leaves them. `tests/contract/test_notice.py` fails when the file is out of date.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
LICENCE_NAMES = ("LICENSE-MIT", "LICENSE", "LICENSE.md", "license", "license-mit", "LICENSE.txt")

# Svelte and the packages that its runtime imports.
PAGE_PACKAGES = ("clsx", "esm-env", "svelte")

INTRODUCTION = """\
gradio_webrtc is under the MIT licence (LICENSE). A built package also carries code and data of
others, under the licences below; where a choice is offered, MIT was chosen.
Written by frontend/notice.py.
"""
STANDARD_LIBRARY = """\
The standard library of Rust is linked into the compiled module, and with it what it is made of
(among others backtrace, addr2line, gimli, hashbrown, miniz_oxide, rustc-demangle). All of it is
under MIT or Apache-2.0, most of it "Copyright (c) The Rust Project Contributors"; the text of MIT
is the one below."""

NOT_CARRIED = """\
Not in a built package, and used with it where they are installed:

Smart Turn v3.2, the weights of its net (BSD-2-Clause), from the package pipecat-ai or as a file

BSD 2-Clause License

Copyright (c) 2024\u20132026, Daily

Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this
   list of conditions and the following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice,
   this list of conditions and the following disclaimer in the documentation
   and/or other materials provided with the distribution.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"
AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE."""
"""Code that is ours computes with them: the terms are those of whoever installs them."""


class Part(NamedTuple):
    """A third-party part of the wheel.

    Attributes:
        name: Its name in its registry.
        version: The version in the lock file.
        licence: The SPDX expression in its manifest.
        text: The licence text that it ships.
    """

    name: str
    version: str
    licence: str
    text: str


def linked_crates() -> list[Part]:
    """Returns the crates that are linked into ``_core`` on any platform, sorted by name.

    Raises:
        RuntimeError: cargo failed; the message contains its output.
        FileNotFoundError: A crate ships no licence.
    """
    graph = _cargo_metadata()
    packages = {package["id"]: package for package in graph["packages"]}
    depends = {node["id"]: node["deps"] for node in graph["resolve"]["nodes"]}
    waiting = [key for key, package in packages.items() if package["name"] == "gradio-webrtc-py"]
    linked: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in linked and not _is_macro(packages[key]):
            linked.add(key)
            waiting += [each["pkg"] for each in depends[key] if _is_linked(each)]
    # A crate without a source is part of this repository.
    others = [packages[key] for key in linked if packages[key]["source"] is not None]
    return sorted(map(_crate, others))


def page_packages(modules: Path = ROOT / "frontend/node_modules") -> list[Part]:
    """Returns the packages whose code is in the built page, sorted by name.

    Raises:
        FileNotFoundError: A package is not installed, or ships no licence.
    """
    return [
        Part(name, version, licence, _licence_text(modules / name))
        for name, version, licence in locked_page_packages()
    ]


def locked_page_packages() -> list[tuple[str, str, str]]:
    """Returns name, version and licence of these packages, from the lock file alone."""
    lock = json.loads((ROOT / "frontend/package-lock.json").read_text("utf-8"))["packages"]
    entries = {name: lock[f"node_modules/{name}"] for name in PAGE_PACKAGES}
    return [(name, each["version"], each["license"]) for name, each in entries.items()]


def notice(crates: list[Part], packages: list[Part]) -> str:
    """Returns the text of the file, with parts under the same licence text in one section."""
    silero = (ROOT / "rust/core/models/LICENSE.silero").read_text("utf-8")
    weights = Part("Silero VAD, the weights of its two nets", "6.2", "MIT", silero)
    together: dict[str, list[Part]] = {}
    for part in [*crates, *packages, weights]:
        together.setdefault(_normal(part.text), []).append(part)
    sections = ["\n".join(map(heading, parts)) + "\n\n" + text for text, parts in together.items()]
    ruler = f"\n\n{'-' * 80}\n\n"
    head = INTRODUCTION.rstrip() + "\n\n" + STANDARD_LIBRARY
    return ruler.join([head, *sections, NOT_CARRIED]) + "\n"


def heading(part: Part) -> str:
    """Returns the line that names a part."""
    return f"{part.name} {part.version} ({part.licence})"


def _cargo_metadata() -> dict[str, Any]:
    cargo = shutil.which("cargo") or "cargo"
    completed = subprocess.run(
        [cargo, "metadata", "--format-version", "1", "--locked"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if completed.returncode != 0:
        raise RuntimeError(f"cargo metadata failed: {completed.stderr.strip()}")
    graph: dict[str, Any] = json.loads(completed.stdout)
    return graph


def _is_macro(package: dict[str, Any]) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def _is_linked(dependency: dict[str, Any]) -> bool:
    # None is a normal dependency; those for tests are "dev", those of a build script "build".
    return any(kind["kind"] is None for kind in dependency["dep_kinds"])


def _crate(package: dict[str, Any]) -> Part:
    text = _licence_text(Path(package["manifest_path"]).parent)
    return Part(package["name"], package["version"], package["license"], text)


def _licence_text(folder: Path) -> str:
    for name in LICENCE_NAMES:
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    raise FileNotFoundError(f"expected a licence in {folder}, named one of {LICENCE_NAMES}")


def _normal(text: str) -> str:
    """Returns a licence text without differences in line ends, indents and runs of empty lines."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


if __name__ == "__main__":
    NOTICE.write_text(notice(linked_crates(), page_packages()), "utf-8")

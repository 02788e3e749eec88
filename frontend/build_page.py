"""Builds the page into ``python/gradio_webrtc/templates`` when its sources have changed.

A stamp in the templates holds the hash of the sources that they were built from:

* if it equals the hash of the current sources, nothing is done. Every sdist is packed in that
  state, so that installing one needs no Node.js;
* if it differs, ``npm ci`` (unless the packages are installed) and ``npm run build`` are run.

``python frontend/build_page.py`` builds nothing: it names the tools that are missing or too old
for a build of the whole package. It needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent
ROOT = FRONTEND.parent
TEMPLATES = ROOT / "python" / "gradio_webrtc" / "templates"
STAMP = TEMPLATES / "SOURCES.sha256"

GRADIOS = ("index.js", "style.css", "svelte_runtime_entry.js")
# Gradio's page loads the first three of each part, and stays on "Loading..." if one is missing. The
# component loads the others where WebRTC does not connect. Every `Stream` serves the client's.
BUILT = tuple(
    TEMPLATES / part / name
    for part, names in (
        ("component", (*GRADIOS, "link.js", "worklet.js")),
        ("example", GRADIOS),
        ("client", ("client.js", "client-link.js", "client-worklet.js")),
    )
    for name in names
)
# The built page depends on these kinds of file, outside these folders.
SOURCE_SUFFIXES = frozenset({".css", ".html", ".js", ".json", ".mjs", ".svelte", ".ts"})
NOT_SOURCES = frozenset({"dist", "node_modules", "tests"})


class BuildError(RuntimeError):
    """A tool that the build needs is missing, too old, or failed."""


def source_files() -> list[Path]:
    """Returns the files that the built page depends on, in a fixed order."""
    found: list[Path] = []
    for folder, folders, names in os.walk(FRONTEND):
        folders[:] = [name for name in folders if name not in NOT_SOURCES]
        found += [Path(folder, name) for name in names if Path(name).suffix in SOURCE_SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(FRONTEND).as_posix())


def source_hash() -> str:
    """Returns the SHA-256 (hex) of names and contents, with LF line ends: git may change them."""
    digest = hashlib.sha256()
    for path in source_files():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(FRONTEND).as_posix().encode()
        digest.update(b"%d %s %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def is_built() -> bool:
    """True if the templates hold a complete build of the current sources."""
    stamped = STAMP.read_text("ascii").strip() if STAMP.exists() else None
    return all(path.exists() for path in BUILT) and stamped == source_hash()


def ensure_page() -> None:
    """Builds the page unless the templates are those of the current sources.

    Raises:
        BuildError: Node.js is missing or too old, or npm failed. No stamp is written then, so that
            the next call builds again.
    """
    if is_built():
        return
    require_node()
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("npm was not found: it comes with Node.js")
    STAMP.unlink(missing_ok=True)
    if not _packages_are_current():
        _run(npm, "ci", "--omit=dev", "--no-audit", "--no-fund")
    _run(npm, "run", "build")
    missing = [str(path.relative_to(ROOT)) for path in BUILT if not path.exists()]
    if missing:
        raise BuildError("npm run build left these out: " + ", ".join(missing))
    STAMP.write_text(source_hash() + "\n", "ascii")


def _packages_are_current() -> bool:
    # npm writes this file after it has installed everything in package-lock.json.
    installed = FRONTEND / "node_modules" / ".package-lock.json"
    lock = FRONTEND / "package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime


def _run(npm: str, *arguments: str) -> None:
    # Standard output belongs to the build front end that runs this backend (pip, uv, build).
    completed = subprocess.run([npm, *arguments], cwd=FRONTEND, check=False, stdout=sys.stderr)
    if completed.returncode != 0:
        raise BuildError(f"`npm {' '.join(arguments)}` failed with code {completed.returncode}")


def require_node() -> None:
    """Checks that the version of Node.js is one that frontend/package.json admits.

    Raises:
        BuildError: It is missing or has another version; the text names the required versions.
    """
    required = json.loads((FRONTEND / "package.json").read_text("utf-8"))["engines"]["node"]
    found = _version_of("node")
    if found is None or not any(_admits(clause, found) for clause in required.split("||")):
        raise BuildError(_version_error("Node.js", required, found, "to build the page"))


def require_rust() -> None:
    """Checks that the version of cargo is at least the ``rust-version`` of Cargo.toml.

    Raises:
        BuildError: It is missing or older; the text names the required version.
    """
    required = ">=" + _setting("Cargo.toml", "rust-version")
    found = _version_of("cargo")
    if found is None or not _admits(required, found):
        raise BuildError(_version_error("Rust", required, found, "to build the audio core"))


def require_python() -> None:
    """Checks that this Python is at least the ``requires-python`` of pyproject.toml.

    Raises:
        BuildError: It is older; the text names the required version.
    """
    required = _setting("pyproject.toml", "requires-python")
    if not _admits(required, sys.version_info[:3]):
        raise BuildError(_version_error("Python", required, sys.version_info[:3], "for everything"))


def _setting(file: str, key: str) -> str:
    # Python 3.10 and older must still get this error, and they have no tomllib.
    line = re.search(rf'^{key} = "(.+)"', (ROOT / file).read_text("utf-8"), re.MULTILINE)
    if line is None:
        raise BuildError(f"{file} names no {key}")
    return line[1]


def _version_of(tool: str) -> tuple[int, ...] | None:
    path = shutil.which(tool)
    if path is None:
        return None
    completed = subprocess.run([path, "--version"], check=False, capture_output=True, text=True)
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", completed.stdout)
    return tuple(int(part) for part in numbers.groups()) if numbers else None


def _admits(clause: str, version: tuple[int, ...]) -> bool:
    # Two kinds of npm's version ranges are in use: "^20.19" and ">=22.12".
    least = tuple(int(part) for part in re.findall(r"\d+", clause))
    return version >= least and (">=" in clause or version[0] == least[0])


def _version_error(name: str, required: str, found: tuple[int, ...] | None, purpose: str) -> str:
    state = "was not found" if found is None else f"is {'.'.join(map(str, found))} here"
    return f"{name} {required} is required {purpose}, but it {state}"


def main() -> int:
    """Writes every missing tool to standard error and returns the exit code."""
    failures = 0
    for check in (require_python, require_rust, require_node):
        try:
            check()
        except BuildError as error:
            sys.stderr.write(f"{error}\n")
            failures += 1
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())

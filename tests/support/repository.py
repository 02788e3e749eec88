"""The repository as the contract tests see it."""

import ast
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIT = shutil.which("git") or "git"
PACKAGE = ROOT / "python" / "gradio_webrtc"


def tracked_files(*patterns: str) -> list[Path]:
    """Files that git tracks or would track, as paths from the root, sorted.

    Args:
        patterns: git's pathspecs, such as ``*.py``; none means all files.
    """
    listed = subprocess.run(
        [GIT, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = {name for name in listed.stdout.split("\0") if name}
    return sorted(Path(name) for name in names if (ROOT / name).is_file())


def version() -> str:
    """The version of Cargo.toml as Python writes it: ``1.0.0-dev0`` is ``1.0.0.dev0``."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
    release, _, pre = manifest["workspace"]["package"]["version"].partition("-")
    return f"{release}.{pre}" if pre else str(release)


def imports_of(file: Path) -> Iterator[str]:
    """Dotted names of what a Python file imports, relative ones with their leading dots."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            joint = "" if module.endswith(".") else "."
            yield from (f"{module}{joint}{alias.name}" for alias in node.names)

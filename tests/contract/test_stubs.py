"""The declarations in `_core/*.pyi` match the compiled module."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.repository import PACKAGE, ROOT

import gradio_webrtc._core


def bare_package(folder: Path) -> None:
    """The compiled module and its stub alone: the whole package would pull Gradio's types in."""
    package = folder / "gradio_webrtc"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copytree(PACKAGE / "_core", package / "_core")
    shutil.copy(gradio_webrtc._core.__file__, package)  # noqa: SLF001 (the module under test)


def test_the_stub_matches_the_compiled_module(tmp_path: Path) -> None:
    bare_package(tmp_path)
    settings = ["--mypy-config-file", str(ROOT / "pyproject.toml")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "gradio_webrtc._core", *settings],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

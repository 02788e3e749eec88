"""The build backend (PEP 517, PEP 660): maturin, between the page's build and a compression.

maturin packs the files that lie in ``python/gradio_webrtc/templates`` and does not run npm.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypeAlias

import build_page
import maturin
import smallest_wheel

# The hooks that build nothing are those of maturin.
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
get_requires_for_build_editable = maturin.get_requires_for_build_editable
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable

Settings: TypeAlias = dict[str, object] | None


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds a wheel into the folder and returns its file name (PEP 517)."""
    _prepare()
    name = str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))
    smallest_wheel.compress_again(Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Packs the sources with the built page and returns the file name (PEP 517)."""
    _prepare()
    return str(maturin.build_sdist(sdist_directory, config_settings))


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds a wheel that points at this folder and returns its file name (PEP 660)."""
    _prepare()
    return str(maturin.build_editable(wheel_directory, config_settings, metadata_directory))


def _prepare() -> None:
    # Without any cargo maturin requires a package that installs Rust. With an old cargo it would
    # start a build, which then fails.
    if shutil.which("cargo") is not None:
        build_page.require_rust()
    build_page.ensure_page()

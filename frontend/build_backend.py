"""The build backend (PEP 517, PEP 660): maturin, after a check of the tools and the page's build.

maturin packs the files that lie in ``python/gradio_webrtc/templates`` and does not run npm.
"""

from __future__ import annotations

import shutil
from typing import TypeAlias

import build_page
import maturin

# The hooks that build nothing are those of maturin.
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
get_requires_for_build_editable = maturin.get_requires_for_build_editable
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable

Settings: TypeAlias = dict[str, object] | None

SMALLEST = {"maturin.build-args": "--compression-level 9"}
"""A hundredth of the wheel less than maturin's own level, for a moment of the build."""


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Builds a wheel into the folder and returns its file name (PEP 517)."""
    _prepare()
    settings = {**SMALLEST, **(config_settings or {})}
    return str(maturin.build_wheel(wheel_directory, settings, metadata_directory))


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

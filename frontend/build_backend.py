"""The build backend (PEP 517, PEP 660): maturin, with the tools checked and the page built first.

maturin packs whatever lies in ``python/gradio_webrtc/templates`` and knows nothing of npm.
"""

from __future__ import annotations

import shutil
from typing import TypeAlias

import build_page
import maturin

# The hooks that only ask are maturin's as they are.
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
    """PEP 517: build a wheel into the folder; returns its file name."""
    _prepare()
    return str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """PEP 517: pack the sources, with the built page; returns the file name."""
    _prepare()
    return str(maturin.build_sdist(sdist_directory, config_settings))


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """PEP 660: build a wheel that points at this folder; returns its file name."""
    _prepare()
    return str(maturin.build_editable(wheel_directory, config_settings, metadata_directory))


def _prepare() -> None:
    # Without any cargo maturin asks for a package that brings Rust; an old one it would only try.
    if shutil.which("cargo") is not None:
        build_page.require_rust()
    build_page.ensure_page()

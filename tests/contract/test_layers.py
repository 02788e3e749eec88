"""Imports point down, and every foreign thing has one room (docs/architecture.md)."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.repository import PACKAGE, ROOT, imports_of


def test_the_contracts_of_import_linter_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([linter], cwd=ROOT, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_two_doors_lead_to_the_compiled_module() -> None:
    # import-linter does not see compiled modules.
    importers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if any("_core" in name.split(".") for name in imports_of(file))
    }
    assert importers == {"_audio.py", "_media.py"}


@pytest.mark.parametrize("crate", ["core", "media", "netem"])
def test_the_core_crate_depends_on_no_python(crate: str) -> None:
    manifest = (ROOT / "rust" / crate / "Cargo.toml").read_text("utf-8")
    assert "pyo3" not in manifest
    assert "numpy" not in manifest

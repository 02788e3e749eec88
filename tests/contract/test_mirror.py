"""Each module of some weight has a file of tests with its name, in the folder of its package."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repository import ROOT, tracked_files

PACKAGE = "python/gradio_webrtc"

MOST_LINES_WITHOUT = 120
"""A module of fewer lines may be tested by way of those that use it."""

LEGACY = f"{PACKAGE}/_legacy"
"""Kept for older programs, and tested as these use it."""

ELSEWHERE = {
    f"{PACKAGE}/__init__.py": ("contract/test_exports.py", "its content is its names"),
    f"{PACKAGE}/_advice.py": (
        "contract/test_names_elsewhere.py",
        "its content is the advice for the names of other packages",
    ),
    f"{PACKAGE}/_transport/base.py": (
        "conformance/test_transport.py",
        "its content is the protocol that all transports are examined by",
    ),
    f"{PACKAGE}/_transport/webrtc/aiortc_internals/opus_coding.py": (
        "unit/transport/test_audio_receiver.py",
        "tested with the delivery of the audio that it decodes",
    ),
    f"{PACKAGE}/_transport/webrtc/aiortc_internals/names.py": (
        "contract/test_aiortc_internals.py",
        "its content is a table, compared there with the libraries",
    ),
    f"{PACKAGE}/_transport/webrtc/aiortc_internals/probe.py": (
        "contract/test_aiortc_internals.py",
        "probes those names, and is tested with each of them gone",
    ),
}
"""Modules whose tests stand in another file, below ``tests``, and the reason."""

MODULES = [file for file in tracked_files(f"{PACKAGE}/*.py") if not file.is_relative_to(LEGACY)]


def mirrors_of(module: Path) -> list[Path]:
    """Returns the files that may hold the tests of a module, from the root.

    The folders below a package have one folder of tests together: ``_transport/webrtc/video.py`` is
    tested in ``unit/transport/test_video.py``.
    """
    name = f"test_{module.stem.strip('_')}.py"
    packages = module.relative_to(PACKAGE).parent.parts[:1]
    folder = Path(*(package.strip("_") for package in packages))
    return [Path("tests/unit") / folder / name, Path("tests/integration") / name]


def is_heavy(module: Path) -> bool:
    """True if a module is long enough that it needs a file of tests of its own."""
    return len((ROOT / module).read_text("utf-8").splitlines()) > MOST_LINES_WITHOUT


@pytest.mark.parametrize("module", [*filter(is_heavy, MODULES)], ids=str)
def test_a_module_of_some_weight_has_its_file_of_tests(module: Path) -> None:
    expected = mirrors_of(module)
    if str(module) in ELSEWHERE:
        expected = [Path("tests") / ELSEWHERE[str(module)][0]]
    if not any((ROOT / file).is_file() for file in expected):
        pytest.fail(f"expected one of {', '.join(map(str, expected))}", pytrace=False)


@pytest.mark.parametrize("module", ELSEWHERE)
def test_an_exception_is_one(module: str) -> None:
    assert Path(module) in MODULES, "it is gone: take it out of the table"
    assert not any((ROOT / file).is_file() for file in mirrors_of(Path(module)))


def test_a_folder_of_tests_is_that_of_a_package() -> None:
    webrtc = Path(PACKAGE) / "_transport/webrtc"
    assert mirrors_of(webrtc / "video.py")[0] == Path("tests/unit/transport/test_video.py")
    assert mirrors_of(Path(PACKAGE) / "_limits.py")[0] == Path("tests/unit/test_limits.py")

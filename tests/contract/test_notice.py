"""`NOTICE` names all that a wheel carries of others, in the versions that are locked."""

import re

import notice
import pytest
from notice import NOTICE, Part
from support.repository import ROOT, tracked_files


@pytest.fixture(scope="module")
def crates() -> list[Part]:
    return notice.linked_crates()


def test_every_linked_crate_is_there_with_its_words(crates: list[Part]) -> None:
    written = NOTICE.read_text("utf-8")
    again = notice.notice(crates, [])
    # Each section but the page's: the ruler separates them.
    missing = [part for part in again.split("-" * 80) if part.strip() not in written]
    assert missing == [], "run: python frontend/notice.py"


def test_what_the_page_is_made_of_is_there() -> None:
    written = NOTICE.read_text("utf-8").splitlines()
    for name, version, licence in notice.locked_page_packages():
        assert notice.heading(Part(name, version, licence, "")) in written


def test_nothing_is_there_that_is_not_carried(crates: list[Part]) -> None:
    written = NOTICE.read_text("utf-8")
    page = [Part(*each, "") for each in notice.locked_page_packages()]
    known = {notice.heading(part) for part in [*crates, *page]}
    headings = {line for line in written.splitlines() if line.endswith(")") and " (" in line}
    named = {line for line in headings if line.partition(" ")[2][:1].isdigit()}
    assert named == known


def test_tools_of_the_build_are_left_out(crates: list[Part]) -> None:
    names = {part.name for part in crates}
    assert {"pyo3", "numpy", "libc"} <= names
    assert not names & {"syn", "quote", "proptest", "pyo3-macros", "gradio-webrtc-core"}


def test_the_page_imports_no_package_that_is_not_named() -> None:
    sources = {*tracked_files("frontend/*.ts", "frontend/*.svelte")}
    page = sources - {*tracked_files("frontend/tests", "frontend/*.config.ts")}
    imports = re.compile(r"""^(?:import|export)\b.*\bfrom ["']([^."'][^"']*)["']""", re.MULTILINE)
    origins = {
        name for source in page for name in imports.findall((ROOT / source).read_text("utf-8"))
    }
    assert len(page) > 20
    assert origins <= {"svelte", "svelte/internal"}, "name it in frontend/notice.py"


def test_a_package_without_a_licence_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="expected a licence"):
        notice.page_packages(ROOT / "docs")

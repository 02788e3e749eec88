"""The files of a Space in the guide to deployment fit this package."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.documents import blocks
from support.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEPENDENCIES = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}


def field(name: str) -> str:
    """The value of a field in the header of the README of a Space."""
    (header,) = blocks("yaml")
    found = re.search(rf'^{name}: "?([^"\n]+)"?$', header, re.MULTILINE)
    assert found is not None, name
    return found[1]


def test_a_space_gets_a_python_that_the_package_runs_on() -> None:
    assert field("python_version") in SpecifierSet(PROJECT["requires-python"])


def test_a_space_gets_a_gradio_that_the_package_runs_on() -> None:
    assert field("sdk") == "gradio"
    assert field("sdk_version") in DEPENDENCIES["gradio"].specifier


def test_a_space_asks_for_this_package() -> None:
    (listed,) = (each for each in blocks("text") if "gradio_webrtc" in each)
    assert Requirement(listed.strip()).name == PROJECT["name"]


def test_the_program_of_a_space_is_in_the_file_that_its_header_names() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    assert f'```python title="{field("app_file")}"' in text

"""Every public name is in the API reference, and has a docstring there."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from itertools import pairwise

import pytest
from support.reference import REFERENCE, Name, documented
from support.repository import PACKAGE, ROOT

import gradio_webrtc

WITHOUT_LIST = ("gradio_webrtc.errors", "gradio_webrtc.types")
"""Public modules whose names are those that they define."""

ORIGINALS = {"AUDIO_PTIME": "FRAME_S", "VideoNDArray": "VideoFrame"}
"""Public names that are imported under another one, and that one."""


def public_modules() -> list[str]:
    found = pkgutil.walk_packages([str(PACKAGE)], "gradio_webrtc.")
    names = ["gradio_webrtc", *(each.name for each in found)]
    return [each for each in names if not any(part.startswith("_") for part in each.split("."))]


def public_names() -> list[Name]:
    listed = []
    for module in public_modules():
        imported = importlib.import_module(module)
        names = defined_in(module) if module in WITHOUT_LIST else getattr(imported, "__all__", [])
        listed += [Name(module, name, getattr(imported, name)) for name in names]
    return listed


def defined_in(module: str) -> list[str]:
    source = (PACKAGE / f"{module.partition('.')[2]}.py").read_text("utf-8")
    body = ast.parse(source).body
    named = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assigned = [assigned_name(node) for node in body]
    return named + [name for name in assigned if name is not None]


def assigned_name(node: ast.stmt) -> str | None:
    """The name that an annotated assignment gives; None for every other statement."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


@cache
def described_attributes() -> set[str]:
    """The names in the package, of constants and of type aliases, that a string follows."""
    described = set()
    for path in PACKAGE.rglob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        for node, following in pairwise(body):
            name = assigned_name(node)
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if is_text and name is not None:
                described.add(name)
    return described


def test_nothing_is_in_the_reference_twice() -> None:
    paths = [f"{each.module}.{each.name}" for each in documented()]
    assert sorted(paths) == sorted(set(paths))


@pytest.mark.parametrize("public", public_names(), ids=lambda each: f"{each.module}.{each.name}")
def test_a_public_name_is_in_the_reference(public: Name) -> None:
    found = [each for each in documented() if each.value is public.value]
    assert found, f"add '::: {public.module}.{public.name}' to a page of docs/reference"


def test_only_public_names_are_in_the_reference() -> None:
    public = {(each.module, each.name) for each in public_names()}
    assert {(each.module, each.name) for each in documented()} <= public


@pytest.mark.parametrize("named", documented(), ids=lambda each: f"{each.module}.{each.name}")
def test_a_name_of_the_reference_has_a_docstring(named: Name) -> None:
    if isinstance(named.value, type):
        assert vars(named.value).get("__doc__")
    elif callable(named.value) and inspect.isroutine(inspect.unwrap(named.value)):
        assert named.value.__doc__
    else:
        assert ORIGINALS.get(named.name, named.name) in described_attributes()


def test_every_page_of_the_reference_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.relative_to(ROOT).as_posix() for path in REFERENCE.glob("*.md")]
    assert pages
    assert [page for page in pages if f" {page}\n" not in navigation] == []


def test_the_list_of_names_of_the_package_is_covered() -> None:
    assert {each.name for each in public_names() if each.module == "gradio_webrtc"} == set(
        gradio_webrtc.__all__
    )

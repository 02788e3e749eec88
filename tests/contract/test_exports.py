"""The public names are the list in the package's __init__.py, no more and no fewer."""

import ast
import importlib
import pkgutil
from types import ModuleType

import pytest
from gradio.components import Component
from support.repository import PACKAGE

import gradio_webrtc

MODULES = ["gradio_webrtc"] + [
    found.name
    for found in pkgutil.walk_packages([str(PACKAGE)], "gradio_webrtc.")
    if not found.name.rpartition(".")[2].startswith("_")
]


def names_in_order() -> list[str]:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    [listed] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    names = ast.literal_eval(listed)
    assert isinstance(names, list)
    return names


def test_the_list_is_sorted_and_names_nothing_twice() -> None:
    listed = names_in_order()
    assert listed == sorted(set(listed), key=sort_key)


def sort_key(name: str) -> tuple[int, str]:
    # ruff's order (RUF022): constants, classes, the rest.
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


@pytest.mark.parametrize("name", names_in_order())
def test_every_listed_name_is_there_and_documented(name: str) -> None:
    exported = getattr(gradio_webrtc, name)
    if isinstance(exported, type) or callable(exported):
        assert exported.__doc__


def test_nothing_else_is_public() -> None:
    public = {
        name
        for name, value in vars(gradio_webrtc).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public - set(gradio_webrtc.__all__) == set()


def test_there_is_one_component() -> None:
    # Gradio takes the first component class that it finds in the package.
    components = [
        name
        for name, value in vars(gradio_webrtc).items()
        if isinstance(value, type) and issubclass(value, Component)
    ]
    assert components == ["WebRTC"]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_documented_and_lists_only_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for listed in getattr(module, "__all__", []):
        assert hasattr(module, listed)

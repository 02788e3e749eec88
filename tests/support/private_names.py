"""Finds in a source text where it uses private names of aiortc, aioice and pylibsrtp."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LIBRARIES: Final = ("aiortc", "aioice", "pylibsrtp")

PUBLIC: Final = frozenset({"aiortc", "aiortc.exceptions", "aiortc.mediastreams", "aiortc.sdp"})
"""Modules whose content is public; of other ones no name is promised."""

MANGLED: Final = re.compile(r"_[A-Z][A-Za-z]*__\w+")

LOOKUPS: Final = frozenset({"getattr", "setattr", "hasattr", "delattr"})

OWN: Final = frozenset({"self", "cls", "super"})


def find_uses(source: str, listed: Collection[str]) -> list[str]:
    """Returns the uses in a module, each with its line.

    Without types, an attribute counts as one of the libraries if it is listed, and its owner is
    not ``self``.

    Args:
        source: Python.
        listed: The names that the package uses of the libraries.
    """
    tree = ast.parse(source)
    finder = _Finder(frozenset(listed))
    finder.visit(tree)
    return finder.found


class _Finder(ast.NodeVisitor):
    def __init__(self, listed: frozenset[str]) -> None:
        self.found: list[str] = []
        self._listed = listed
        self._private = frozenset(name for name in listed if name.startswith("_"))
        self._imported: set[str] = set()

    def _note(self, node: ast.stmt | ast.expr, what: str) -> None:
        self.found.append(f"{node.lineno}: {what}")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in LIBRARIES:
                self._imported.add((alias.asname or alias.name).partition(".")[0])
                if alias.name not in PUBLIC:
                    self._note(node, f"import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or module.partition(".")[0] not in LIBRARIES:
            return
        self._imported.update(alias.asname or alias.name for alias in node.names)
        for alias in node.names:
            if module not in PUBLIC or alias.name.startswith("_"):
                self._note(node, f"from {module} import {alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in self._private and not _is_own(node.value):
            self._note(node, f".{node.attr}")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Attribute) and not _is_own(target.value):
                is_of_library = isinstance(target.value, ast.Name) and (
                    target.value.id in self._imported
                )
                if is_of_library or target.attr in self._listed:
                    self._note(node, f"patches {target.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in LOOKUPS:
            for text in _texts(node.args[1:2]):
                if text in self._listed:
                    self._note(node, f"{node.func.id} {text}")
        if isinstance(node.func, ast.Attribute) and _is_vars(node.func.value):
            for text in _texts(node.args[:1]):
                if text in self._listed:
                    self._note(node, f"vars() {text}")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _is_vars(node.value):
            for text in _texts([node.slice]):
                if text in self._listed:
                    self._note(node, f"vars() {text}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and MANGLED.fullmatch(node.value):
            self._note(node, node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = {each.id for each in node.bases if isinstance(each, ast.Name)}
        if bases & self._imported:
            for each in node.body:
                if (
                    isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and each.name in self._private
                ):
                    self._note(each, f"overrides {each.name}")
        self.generic_visit(node)


def _is_own(owner: ast.expr) -> bool:
    called = owner.func if isinstance(owner, ast.Call) else owner
    return isinstance(called, ast.Name) and called.id in OWN


def _is_vars(owner: ast.expr) -> bool:
    return (
        isinstance(owner, ast.Call)
        and isinstance(owner.func, ast.Name)
        and owner.func.id == "vars"
        and not any(_is_own(each) for each in owner.args)
    )


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

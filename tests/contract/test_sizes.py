"""Code that can be read in one go: files of 600 lines, functions of 40, at most."""

import ast
from collections.abc import Iterator

import pytest
from support.repository import ROOT, tracked_files

MOST_LINES = 600
MOST_LINES_OF_A_FUNCTION = 40
"""Without its signature and its docstring."""

# Functions that may be longer, and why.
EXCEPTIONS = {
    "python/gradio_webrtc/component.py": {
        "__init__": "the arguments of a Gradio component, handed on one by one",
        "stream": "the keyword arguments of Gradio's listeners, handed on one by one",
    },
}

SOURCES = tracked_files("*.py", "*.pyi", "*.rs", "*.ts", "*.svelte", "*.js", "*.mjs", "Makefile")
PYTHON = [file for file in tracked_files("*.py") if not str(file).startswith("tests/data/")]


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_file_is_short_enough_to_read(file: str) -> None:
    assert len((ROOT / file).read_text("utf-8").splitlines()) <= MOST_LINES


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and (body[-1].end_lineno or 0) - body[0].lineno >= MOST_LINES_OF_A_FUNCTION:
                yield node.name


@pytest.mark.parametrize("file", PYTHON, ids=str)
def test_functions_are_short_enough_to_read(file: str) -> None:
    expected = set(EXCEPTIONS.get(str(file), {}))
    assert set(long_functions((ROOT / file).read_text("utf-8"))) == expected

"""Every task of the package has an owner: `TaskScope` alone starts them.

``run_coroutine_threadsafe`` starts one, too. Whoever holds its future owns the task; a call whose
result is dropped leaves it without an owner, and its exception without a reader.
"""

import ast

import pytest
from support.repository import ROOT, tracked_files

OWNER = "python/gradio_webrtc/_workers/task_scope.py"
STARTS = {"create_task", "ensure_future"}

FILES = [file for file in tracked_files("python/*.py") if str(file) != OWNER]


def starts(source: str) -> list[int]:
    """The lines that start a task themselves, or drop what owns it."""
    nodes = list(ast.walk(ast.parse(source)))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    dropped = [node.value for node in nodes if isinstance(node, ast.Expr)]
    return [node.lineno for node in calls if called(node) in STARTS] + [
        node.lineno
        for node in dropped
        if isinstance(node, ast.Call) and called(node) == "run_coroutine_threadsafe"
    ]


def called(node: ast.Call) -> str:
    """The bare name of the function that is called."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_only_a_task_scope_starts_tasks(file: str) -> None:
    assert starts((ROOT / file).read_text("utf-8")) == []


def test_the_owner_itself_is_found() -> None:
    assert len(starts((ROOT / OWNER).read_text("utf-8"))) == 1

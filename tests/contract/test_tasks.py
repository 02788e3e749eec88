"""Every task of the package has an owner: `TaskScope` alone starts them."""

import ast

import pytest
from support.repository import ROOT, tracked_files

OWNER = "python/gradio_webrtc/_workers/task_scope.py"
STARTS = {"create_task", "ensure_future"}

FILES = [file for file in tracked_files("python/*.py") if str(file) != OWNER]


def starts(source: str) -> list[int]:
    """The lines that start a task themselves."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in STARTS
    ]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_only_a_task_scope_starts_tasks(file: str) -> None:
    assert starts((ROOT / file).read_text("utf-8")) == []


def test_the_owner_itself_is_found() -> None:
    assert len(starts((ROOT / OWNER).read_text("utf-8"))) == 1

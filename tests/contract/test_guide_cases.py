"""tests/guide/README.md names a test for every case, and those tests are there."""

import ast
import re

import pytest
from support.repository import ROOT

TESTS = ROOT / "tests"
TABLES = (TESTS / "guide" / "README.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| ([CNF]\d+) \|(.*)\|$", TABLES, re.MULTILINE))
NAMED = sorted(set(re.findall(r"`((?:\w+/)+test_\w+\.py(?:::test_\w+)?)`", TABLES)))


def test_every_case_has_a_row_that_names_a_test() -> None:
    cases = [
        f"{kind}{number}"
        for kind, last in (("C", 8), ("N", 22), ("F", 20))
        for number in range(1, last + 1)
    ]
    assert list(ROWS) == cases
    assert [case for case, row in ROWS.items() if not any(name in row for name in NAMED)] == []


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    functions = {
        each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not function or function in functions

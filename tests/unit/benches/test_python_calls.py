"""The comparison of counted calls with the recorded ones: it passes with a record alone."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = {"silent": {"own": 10.0, "weakref": 0.0}}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The script, with a record of its own."""
    monkeypatch.syspath_prepend(ROOT / "benches" / "python")
    script = importlib.import_module("python_calls")
    record = tmp_path / "python_calls.json"
    record.write_text(json.dumps(RECORDED), "utf-8")
    monkeypatch.setattr(script, "RECORD", record)
    return script


@pytest.mark.parametrize(("own", "failed"), [(10.0, 0), (11.0, 0), (11.1, 1), (5.0, 0)])
def test_more_calls_than_recorded_fail(bench: Any, own: float, failed: int) -> None:
    assert bench.compare({"silent": {"own": own, "weakref": 0.0}}) == failed


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ({"silent": {"own": 1.0, "weakref": 0.0, "other": 0.0}}, "silent: other"),
        ({"silent": RECORDED["silent"], "echo": {"own": 1.0}}, "echo: own"),
    ],
)
def test_a_count_without_a_record_fails_and_is_named(
    bench: Any, capsys: pytest.CaptureFixture[str], counts: Any, missing: str
) -> None:
    assert bench.compare(counts) == 1
    assert f"not in python_calls.json: {missing}; run make instructions-record" in (
        capsys.readouterr().out
    )


def test_a_lost_file_fails(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bench.RECORD.unlink()
    assert bench.compare(RECORDED) == 2
    assert "not in python_calls.json: silent: own, silent: weakref" in capsys.readouterr().out


def test_the_record_has_every_session_that_is_counted(bench: Any) -> None:
    recorded = json.loads((ROOT / "benches" / "python_calls.json").read_text("utf-8"))
    assert {*recorded} == {*bench.SCENARIOS}

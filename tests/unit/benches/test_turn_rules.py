"""How the benches of turns judge a model, and the wait for an answer."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from support.repository import ROOT

NOTHING = np.zeros(0, np.int16)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of the benches."""
    monkeypatch.syspath_prepend(ROOT / "benches" / "python")
    return importlib.import_module


def test_a_model_is_measured_by_pairs_of_an_end_and_none(load: Any) -> None:
    area = load("smart_turn").area
    is_end = np.array([True, True, False, False])
    assert area(is_end, np.array([0.9, 0.8, 0.2, 0.1])) == 1.0
    assert area(is_end, np.array([0.9, 0.1, 0.5, 0.1])) == pytest.approx(0.625)


def test_first_audio_counts_from_the_end_of_speech(load: Any) -> None:
    first_audio = load("first_audio")
    spoken = [first_audio.Speech(NOTHING, 1.0), first_audio.Speech(NOTHING, 1.0)]
    rule = first_audio.theirs(lambda _: [[0.5, 1.5], [0.5]])
    answers = rule(spoken)
    assert first_audio.late_ms(spoken, answers, 0.65) == pytest.approx([1150])

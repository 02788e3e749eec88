"""The page of benchmarks states what was measured, on what, and where a ratio does not hold."""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.repository import ROOT
from support.spliced import APART_SAMPLES, LEAD_S, RATE_HZ, TAIL_S, hesitate, utterances, word_gaps

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of the benches."""
    monkeypatch.syspath_prepend(ROOT / "benches" / "python")
    return importlib.import_module


def figure(processor: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "name": "CPU",
        "unit": "µs",
        "better": "lower",
        "runs": [{"ours": ours, "soxr": theirs}],
        "target": {"times": 1, "beside": "soxr"},
        "machine": {"processor": processor, "commit": "abc"},
        "versions": {"soxr": "soxr 1.1.0"},
        "command": "kernels.py",
    }


def test_a_ratio_that_another_processor_does_not_reach_is_marked(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processors = load("processors")
    monkeypatch.setattr(processors, "KEPT", tmp_path)
    here, there = (
        {"kernels": [figure("Intel", 10.0, 12.2)]},
        {"kernels": [figure("AMD", 10.0, 8.1)]},
    )
    assert processors.section(here) == []
    processors.keep(there)
    (section,) = processors.section(here)
    assert "| kernels: CPU | soxr | × 1.22 | × 0.81 **missed** |" in section  # noqa: RUF001
    assert processors.section(there) == []


def test_a_caption_states_the_bit_rate_that_our_encoder_begins_with(load: Any) -> None:
    steps = (ROOT / "rust" / "media" / "src" / "adaptation" / "step.rs").read_text("utf-8")
    rates = [int(each) // 1000 for each in re.findall(r"Step::new\(([\d_]+), \d\)", steps)]
    first = re.search(r"FIRST_STEP: usize = (\d);", steps)
    assert first is not None
    begins = (
        f"mono at {rates[int(first[1])]} kbit/s, from five seconds of a free path on at {rates[0]}"
    )
    assert begins in " ".join(load("captions").caption("calls").split())


def test_every_environment_of_a_peer_is_pinned_and_goes_stale_with_its_pins(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    peers = load("peers")
    for peer in peers.ALL:
        if peer.is_library:
            assert all("==" in each for each in peer.requirements)
        else:
            names = {line.partition("==")[0] for line in peer.pins.read_text("utf-8").splitlines()}
            wanted = {re.split(r"[\[<=>]", each)[0].replace("_", "-") for each in peer.requirements}
            assert wanted <= {name.replace("_", "-") for name in names}
    monkeypatch.setattr(peers, "HOME", tmp_path)
    home = tmp_path / "kernels"
    home.mkdir()
    (home / "complete").write_text(peers.KERNELS.wanted, "utf-8")
    assert peers.KERNELS.is_installed
    monkeypatch.setattr(peers, "PINS", tmp_path)
    assert not peers.KERNELS.is_installed


def test_pauses_stand_within_a_sentence_and_are_not_silent() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        turn = hesitate(rng, 0.4, 0.4)
        assert turn.samples.size / RATE_HZ == pytest.approx(turn.end_s + TAIL_S)
        # One utterance and 0.4 or 0.8 s, behind half a second.
        spoken_s = turn.end_s - LEAD_S
        assert any(
            abs(spoken_s - pauses * 0.4 - each.size / RATE_HZ) < 1e-6
            for each in utterances()
            for pauses in (1, 2)
        )
        steps = turn.samples[: turn.samples.size // 1600 * 1600].reshape(-1, 1600)
        assert np.abs(steps).max(axis=1).min() > 0


def test_a_speaker_hesitates_between_words_far_from_the_ends() -> None:
    found = [(each, gap) for each in utterances() for gap in word_gaps(each)]
    assert len(found) > 20
    for utterance, gap in found:
        assert APART_SAMPLES <= gap <= utterance.size - APART_SAMPLES
        around = utterance[gap - 80 : gap + 80].astype(np.float64)
        assert np.sqrt((around**2).mean()) < np.abs(utterance).max() / 10


def test_a_kept_file_names_its_processor_and_commit() -> None:
    for file in (ROOT / "benches" / "processors").glob("*.json"):
        entry = json.loads(file.read_text("utf-8"))
        assert entry["machine"]["processor"]
        assert entry["machine"]["commit"]
        assert all(times > 0 for peers in entry["times"].values() for times in peers.values())

"""A session's counters as one flat dict, for logs and metrics."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gradio_webrtc import TurnTimings
from gradio_webrtc.types import SessionStats, TransportStats


def names_of(kind: type[SessionStats | TransportStats]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_no_counter_hides_another_in_the_flat_dict() -> None:
    assert not names_of(SessionStats) & names_of(TransportStats)
    flat = SessionStats("client").as_dict()
    own = names_of(SessionStats) - {"transport", "turns"}
    assert set(flat) == own | names_of(TransportStats)


def test_the_flat_dict_is_json_and_has_the_values() -> None:
    transport = TransportStats(packets_lost=3, jitter_s=0.02)
    stats = SessionStats("client", transport=transport, outputs_dropped=2, events={"error": 1})
    flat = json.loads(json.dumps(stats.as_dict()))
    assert (flat["packets_lost"], flat["jitter_s"], flat["outputs_dropped"]) == (3, 0.02, 2)
    assert (flat["webrtc_id"], flat["events"]) == ("client", {"error": 1})


def test_the_flat_dict_has_the_latest_turn() -> None:
    turns = (TurnTimings(1, 1.0, decision_s=1.5), TurnTimings(2, 4.0, 4.2, 4.5, 4.5, 4.9, 5.0, 5.1))
    flat = json.loads(json.dumps(SessionStats("client", turns=turns).as_dict()))
    assert (flat["last_turn_number"], flat["last_turn_response_s"]) == (2, 1.0)
    assert not any(
        isinstance(value, (list, dict)) for name, value in flat.items() if "turn_" in name
    )


def test_a_snapshot_cannot_be_changed() -> None:
    stats = SessionStats("client")
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.interruptions = 1  # type: ignore[misc]  # the mistake
    assert stats.as_dict() == SessionStats("client").as_dict()

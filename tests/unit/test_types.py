"""A session's counters as one flat dict, for logs and metrics."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gradio_webrtc.types import SessionStats, TransportStats


def names_of(kind: type[SessionStats | TransportStats]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_no_counter_hides_another_in_the_flat_dict() -> None:
    assert not names_of(SessionStats) & names_of(TransportStats)
    flat = SessionStats("client").as_dict()
    assert set(flat) == (names_of(SessionStats) - {"transport"}) | names_of(TransportStats)


def test_the_flat_dict_is_json_and_has_the_values() -> None:
    transport = TransportStats(packets_lost=3, jitter_s=0.02)
    stats = SessionStats("client", transport=transport, outputs_dropped=2, events={"error": 1})
    flat = json.loads(json.dumps(stats.as_dict()))
    assert (flat["packets_lost"], flat["jitter_s"], flat["outputs_dropped"]) == (3, 0.02, 2)
    assert (flat["webrtc_id"], flat["events"]) == ("client", {"error": 1})


def test_a_snapshot_cannot_be_changed() -> None:
    stats = SessionStats("client")
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.interruptions = 1  # type: ignore[misc]  # the mistake
    assert stats.as_dict() == SessionStats("client").as_dict()

"""The description of a bad network."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_webrtc.testing import Network


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"loss": 5}, "expected loss from 0 to 1, got 5"),
        ({"duplicate": -0.1}, "expected duplicate from 0 to 1, got -0.1"),
        ({"burst_packets": 0.5}, "expected burst_packets of 1 or more, got 0.5"),
        ({"burst_loss": 0.9, "burst_packets": 2}, "expected burst_loss of burst_packets / "),
        ({"delay_ms": -1}, "expected delay_ms from 0 to 3600000, got -1"),
        ({"jitter_ms": 1e9}, "expected jitter_ms from 0 to 3600000, got 1000000000"),
        ({"queue_ms": float("nan")}, "expected queue_ms from 0 to 3600000, got NaN"),
        ({"kbit_per_s": 0}, "expected kbit_per_s of 0.001 or more, got 0"),
        ({"reorder": 0.1}, "expected delay of more than 0 with reorder"),
        ({"blackouts": ((2, 1),)}, "expected a blackout that ends after it begins, got 2s to 1s"),
        ({"blackouts": ((-1, 1),)}, "expected blackouts of 0 or more, got -1"),
    ],
)
def test_what_no_network_can_have_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as refusal:
        Network(**values)
    assert words in str(refusal.value)


@pytest.mark.parametrize("values", [{"loss": "much"}, {"seed": -1}, {"blackouts": (3,)}])
def test_another_type_is_refused_with_the_name_of_the_field(values: dict[str, Any]) -> None:
    with pytest.raises((TypeError, OverflowError), match=next(iter(values))):
        Network(**values)


def test_later_moves_the_blackouts_alone() -> None:
    network = Network(loss=0.1, blackouts=((1.0, 2.0),))
    assert network.later(3.0) == Network(loss=0.1, blackouts=((4.0, 5.0),))

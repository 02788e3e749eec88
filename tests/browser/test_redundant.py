"""Redundant audio (RFC 2198) with Chromium, which sends it where an answer has it first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import running

if TYPE_CHECKING:
    from support.browser import Chromium

pytestmark = pytest.mark.browser

PROGRAM = Path(__file__).with_name("redundant.py")


def test_packets_carry_the_one_before_in_both_directions(beeping: Chromium) -> None:
    with running(PROGRAM) as programs:
        call = beeping.open(programs.url())
        call.press()
        call.wait_for_state("open")
        # Once it has reported a loss. What is played after that, has come as redundant audio.
        programs.wait_for(lambda: bool(programs.notes("carries")))
        call.wait_for_audio(after_s=call.received_s + 2)
        call.press()
        call.wait_for_state("idle")
        programs.wait_for(lambda: bool(programs.notes("wire")))
        (wire,) = programs.notes("wire")
        assert call.problems == []
    assert wire["packets_received"] >= 100
    # Chromium's carry one each. Some came before the keys, and are not in the first count.
    copies = wire["fec_packets_received"] / wire["packets_received"]
    assert copies == pytest.approx(1, abs=0.1)
    assert wire["red_packets_refused"] == 0

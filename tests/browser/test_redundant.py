"""Redundant audio (RFC 2198) with Chromium, which sends it where the answer has it first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import running

if TYPE_CHECKING:
    from support.browser import Chromium

pytestmark = pytest.mark.browser

PROGRAM = Path(__file__).with_name("redundant.py")


def test_each_packet_of_chromium_carries_the_one_before(beeping: Chromium) -> None:
    with running(PROGRAM) as programs:
        call = beeping.open(programs.url())
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio(after_s=3)
        call.press()
        call.wait_for_state("idle")
        programs.wait_for(lambda: bool(programs.notes("wire")))
        (wire,) = programs.notes("wire")
        assert call.problems == []
    assert wire["packets_received"] >= 100
    # The first has nothing to carry; all others have one, and no more than that.
    assert 0.9 * wire["packets_received"] <= wire["fec_packets_received"]
    assert wire["fec_packets_received"] <= wire["packets_received"]
    assert wire["red_packets_refused"] == 0

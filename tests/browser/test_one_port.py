"""Two browsers hold three calls at once over one UDP port of the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.browser import CallPage, chromium
from support.firefox import MICROPHONE_HZ, RATE_HZ, FirefoxPage, firefox
from support.networks import network
from support.programs import running
from support.signals import pitch_hz

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

PROGRAM = Path(__file__).with_name("one_port.py")


def test_three_calls_of_two_browsers_share_a_port(playwright: Playwright, tmp_path: Path) -> None:
    with (
        # No other program has the port in there.
        network() as net,
        running(PROGRAM, network=net) as programs,
        chromium(playwright, network=net) as browser,
        firefox(programs.url(), tmp_path, network=net) as other,
    ):
        calls = [browser.open(programs.url()) for _ in range(2)]
        pages: list[CallPage | FirefoxPage] = [*calls, other]
        for page in pages:
            page.press()
        for page in pages:
            page.wait_for_state("open")
        for call in calls:
            call.wait_for_audio()
        other.wait_for_audio(4)
        bound = net.run("ss", "--no-header", "--udp", "--all", "--numeric")
        audio = other.recording()
        for page in pages:
            page.press()
        for page in pages:
            page.wait_for_state("idle")
    assert bound.count(" 127.0.0.1:50000 ") == 1
    assert np.abs(audio[-RATE_HZ:]).max() > 0.01
    assert pitch_hz(audio[-RATE_HZ:], RATE_HZ) == pytest.approx(MICROPHONE_HZ, abs=8)

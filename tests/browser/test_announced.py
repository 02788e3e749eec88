"""Announcements in a page: played, and reported with the delay that the browser has."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Playwright
from support.browser import RATE_HZ, chromium
from support.programs import running
from support.speech import write_microphone

pytestmark = pytest.mark.browser

ESTIMATED_MS = 100
"""The delay of a page that reports none."""


def test_a_page_plays_it_and_reports_its_own_delay(
    playwright: Playwright, tmp_path: Path, artifacts: Path
) -> None:
    microphone = write_microphone(tmp_path / "silence.wav", [])
    page_file = Path(__file__).with_name("announced.py")
    with running(page_file) as program, chromium(playwright, microphone) as browser:
        call = browser.open(program.url())
        call.press()
        call.wait_for_state("open")
        call.page.get_by_text("speaking").first.wait_for()
        call.wait_for_message("Heard 1.5 s")
        call.page.screenshot(path=artifacts / "announced.png")
        loud = np.abs(call.recording()) > 0.05
        written = call.conversation.inner_text()
        call.press()
        call.wait_for_state("idle")
        assert call.problems == []
    found = re.search(r"(\d+) ms later", written)
    assert found is not None
    assert 0 < int(found[1]) < 1000
    assert int(found[1]) != ESTIMATED_MS
    # A tone is quiet for a part of each wave.
    assert loud.sum() / RATE_HZ > 0.8 * 2.5 * 0.9

"""A camera's page that writes something down for each frame: neither waits for the other."""

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Playwright
from support.browser import WAIT_MS, chromium
from support.programs import Programs, running

pytestmark = pytest.mark.browser

UPDATES = 20
FRAMES_SHOWN = "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"


def test_frames_flow_while_the_page_is_slow_and_it_shows_none_that_is_old(
    playwright: Playwright, artifacts: Path
) -> None:
    page_file = Path(__file__).with_name("camera.py")
    with running(page_file) as program, chromium(playwright) as browser:
        call = browser.open(program.url())
        call.press()
        call.wait_for_state("open")
        _wait_for_updates(program, 5)
        call.page.wait_for_function(f"{FRAMES_SHOWN} > 0", timeout=WAIT_MS)
        begin, updates = call.page.evaluate(FRAMES_SHOWN), len(program.notes("shown"))
        _wait_for_updates(program, updates + UPDATES)
        frames = call.page.evaluate(FRAMES_SHOWN) - begin
        shown = [each["number"] for each in program.notes("shown")]
        measured = program.notes("frame")[-1]["number"]
        call.page.screenshot(path=artifacts / "camera.png")
        brightness = call.page.get_by_label("Brightness").input_value()
        call.press()
        call.wait_for_state("idle")
        assert call.problems == []
    # One frame an update, or fewer, where one waits for the other.
    assert frames > 2 * UPDATES
    assert all(earlier < later for earlier, later in pairwise(shown))
    # The one that waits is replaced: what is shown was measured a few updates ago at most.
    assert measured - shown[-1] < 3 * frames / UPDATES
    assert brightness.endswith("of 255")


def _wait_for_updates(program: Programs, count: int) -> None:
    program.wait_for(lambda: len(program.notes("shown")) >= count)

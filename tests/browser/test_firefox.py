"""A second browser holds an audio call and a video call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.firefox import MICROPHONE_HZ, RATE_HZ, firefox
from support.programs import ROOT, Programs, running
from support.signals import pitch_hz

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

COLOURS = """(() => {
  const video = [...document.querySelectorAll("video")].find((each) => each.videoWidth);
  if (!video) return "";
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const at = (x) => [...context.getImageData(x * canvas.width, canvas.height / 2, 1, 1).data];
  return [at(0.25), at(0.75)].map((colour) => colour.slice(0, 3).join(" ")).join(" ");
})()"""
"""Red, green and blue of the shown frame, in the middle of its left and of its right half."""


@pytest.fixture(scope="module")
def pages() -> Iterator[Programs]:
    with running(ROOT / "demo" / "echo.py", Path(__file__).with_name("mirrored.py")) as programs:
        yield programs


def test_firefox_gets_its_own_audio_back(pages: Programs, tmp_path: Path) -> None:
    with firefox(pages.url(0), tmp_path) as page:
        page.press()
        page.wait_for_state("open")
        page.wait_for_audio(4)
        audio = page.recording()
        page.press()
        page.wait_for_state("idle")
    assert np.abs(audio[-RATE_HZ:]).max() > 0.01
    assert pitch_hz(audio[-RATE_HZ:], RATE_HZ) == pytest.approx(MICROPHONE_HZ, abs=8)


def test_firefox_connects_from_a_page_that_has_no_secret(tmp_path: Path) -> None:
    """All of its candidates come before the answer, and the server has to send the first check."""
    with (
        running(ROOT / "demo" / "own_page.py") as program,
        firefox(program.url(), tmp_path, "#button") as page,
    ):
        page.evaluate("document.querySelector('#button').click()")
        page.wait_for("document.querySelector('#state').textContent === 'connected'")
        page.wait_for_audio(1)
        page.evaluate("document.querySelector('#button').click()")
        page.wait_for("document.querySelector('#state').textContent === 'Not connected.'")


def test_firefox_sees_what_the_function_made_of_its_camera(
    pages: Programs, tmp_path: Path, artifacts: Path
) -> None:
    with firefox(pages.url(1), tmp_path) as page:
        page.press()
        page.wait_for_state("open")
        page.wait_for(COLOURS)
        page.wait_for("document.querySelector('video').currentTime > 3")
        colours = np.array(page.evaluate(COLOURS).split(), dtype=int)
        page.screenshot(artifacts / "firefox-video.png")
        page.press()
        page.wait_for_state("idle")
    # Firefox's camera shows one plain colour, and in its corner a number that counts.
    left, right = colours[:3], colours[3:]
    assert np.ptp(left) > 100
    assert np.abs(left + right - 255).max() < 24

"""A second browser holds an audio call and a video call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.audio_server import audio_server
from support.browser import COLOURS
from support.firefox import MICROPHONE_HZ, RATE_HZ, firefox
from support.networks import Network, network
from support.programs import ROOT, Programs, running
from support.signals import pitch_hz

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

WITHOUT_WEBSOCKET = "delete window.RTCPeerConnection; delete window.WebSocket;"
"""And without WebRTC, for which no page need wait twice."""


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def pages(net: Network) -> Iterator[Programs]:
    programs = (ROOT / "demo" / "echo.py", Path(__file__).with_name("mirrored.py"))
    with running(*programs, network=net) as started:
        yield started


def test_firefox_gets_its_own_audio_back(net: Network, pages: Programs, tmp_path: Path) -> None:
    with firefox(pages.url(0), tmp_path, network=net) as page:
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
        running(ROOT / "tests" / "guide" / "pages" / "posting_page.py") as program,
        firefox(program.url(), tmp_path, "#button") as page,
    ):
        page.evaluate("document.querySelector('#button').click()")
        page.wait_for("document.querySelector('#state').textContent === 'connected'")
        page.wait_for_audio(1)
        page.evaluate("document.querySelector('#button').click()")
        page.wait_for("document.querySelector('#state').textContent === 'Not connected.'")


@pytest.fixture
def blocked(net: Network) -> Iterator[Network]:
    """The network while UDP does not arrive."""
    net.block("udp")
    yield net
    net.unblock()


@pytest.mark.parametrize("script", ["", WITHOUT_WEBSOCKET], ids=["websocket", "http"])
def test_firefox_gets_its_own_audio_back_without_udp(
    script: str, blocked: Network, pages: Programs, tmp_path: Path
) -> None:
    folders = [tmp_path / "audio", tmp_path / "profile"]
    for folder in folders:
        folder.mkdir()
    with (
        audio_server(folders[0]) as server,
        firefox(
            pages.url(0), folders[1], script=script, network=blocked, audio_server=server
        ) as page,
    ):
        page.press()
        page.wait_for_state("open")
        page.wait_for("document.querySelector('[data-transport=link]')")
        page.wait_for_audio(4)
        audio = page.recording()
        page.press()
        page.wait_for_state("idle")
    assert np.abs(audio[-RATE_HZ:]).max() > 0.01
    assert pitch_hz(audio[-RATE_HZ:], RATE_HZ) == pytest.approx(MICROPHONE_HZ, abs=8)


def test_firefox_sees_what_the_function_made_of_its_camera(
    net: Network, pages: Programs, tmp_path: Path, artifacts: Path
) -> None:
    with firefox(pages.url(1), tmp_path, network=net) as page:
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

"""The networks of the tests do what they say: UDP vanishes in them, and TCP arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.browser import WAIT_MS, chromium
from support.firefox import firefox
from support.networks import Network, network
from support.programs import ROOT, Programs, running
from support.reverse_proxy import reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

ENOUGH = 4
"""The number of datagrams that show that a page has tried."""

CONNECT = """(async () => {
  const ends = [new RTCPeerConnection(), new RTCPeerConnection()];
  ends.forEach((end, k) => {
    end.onicecandidate = ({ candidate }) => candidate && ends[1 - k].addIceCandidate(candidate);
  });
  window.__states = () => ends.map((end) => end.iceConnectionState).join();
  ends[0].createDataChannel("any");
  for (const [k, end] of [...ends.entries()]) {
    await end.setLocalDescription();
    await ends[1 - k].setRemoteDescription(end.localDescription);
  }
})()"""
"""Lets a page connect to itself, which takes UDP."""

CONNECTED = "/^(connected|completed),(connected|completed)$/.test(__states())"


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def echo(net: Network) -> Iterator[Programs]:
    with running(ROOT / "demo" / "echo.py", network=net) as programs:
        yield programs


@pytest.fixture
def blocked(net: Network) -> Iterator[Network]:
    """The network while UDP does not arrive."""
    net.block("udp")
    yield net
    net.unblock()


def wait_until_dropped(net: Network, evaluate: Any) -> None:
    """Returns when datagrams of a page have been dropped."""
    before = net.dropped()
    while net.dropped() < before + ENOUGH:
        evaluate("new Promise((resolve) => setTimeout(resolve, 50))")


def test_chromium_holds_a_call_in_a_network_of_its_own(
    net: Network, echo: Programs, playwright: Playwright
) -> None:
    with chromium(playwright, network=net) as browser:
        call = browser.open(echo.url())
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio()
        assert call.page.evaluate("navigator.onLine")


def test_nothing_of_chromium_connects_over_udp_that_is_blocked(
    blocked: Network, echo: Programs, playwright: Playwright
) -> None:
    with chromium(playwright, network=blocked) as browser:
        page = browser.open(echo.url()).page
        page.evaluate(CONNECT)
        wait_until_dropped(blocked, page.evaluate)
        assert not page.evaluate(CONNECTED)
        blocked.unblock()
        page.wait_for_function(CONNECTED, timeout=WAIT_MS)


def test_nothing_of_firefox_connects_over_udp_that_is_blocked(
    blocked: Network, echo: Programs, tmp_path: Path
) -> None:
    with firefox(echo.url(), tmp_path, network=blocked) as page:
        page.evaluate(CONNECT)
        wait_until_dropped(blocked, page.evaluate)
        assert not page.evaluate(CONNECTED)
        blocked.unblock()
        page.wait_for(CONNECTED)


@pytest.mark.parametrize("websocket", [True, False])
def test_a_page_is_called_from_behind_a_proxy(
    net: Network, playwright: Playwright, tmp_path: Path, *, websocket: bool
) -> None:
    environment = {"GRADIO_ROOT_PATH": "/talk"}
    program = ROOT / "demo" / "echo.py"
    with (
        running(program, environment=environment, network=net) as programs,
        reverse_proxy(
            programs.url(), tmp_path, websocket=websocket, prefix="/talk", network=net
        ) as url,
        chromium(playwright, network=net) as browser,
    ):
        call = browser.open(f"{url}/")
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio()

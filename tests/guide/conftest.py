"""The fixtures that the tests of the guide share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aioice.ice
import pytest
from playwright.sync_api import Playwright, sync_playwright
from support.browser import Chromium, chromium
from support.guide import Guide, guide
from support.programs import Programs, running
from support.turn_server import turn_server
from support.turn_services import turn_services

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ("C01", "C02", "C03", "C04", "C05", "C06", "C07", "C08")

EDITS = {
    # The component is made under one name and used under another.
    "C02": [("audio = WebRTC(", "webrtc = WebRTC(")],
    # A line that is no Python.
    "C06": [("... your detection code here ...", "modified_frame = detect(image, conf_threshold)")],
}
"""The pieces of programs that differ from the guide."""

PAGES = Path(__file__).with_name("pages")

PAGES_IN_ORDER = ("prose", "places", "behind_a_login", "rendered_on_the_server", "mounted")
"""The last one stays in the foreground, as a server that is not Gradio's must."""


@pytest.fixture(scope="package")
def twilio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of somebody who has a Twilio account, whose TURN server runs here."""
    with turn_server(tmp_path_factory.mktemp("turn")) as relay, turn_services() as services:
        services.give({"ice_servers": [relay.ice_server("udp")]})
        yield {
            "STAND_IN_FOR_TWILIO": services.url,
            "TWILIO_ACCOUNT_SID": "an-account",
            "TWILIO_AUTH_TOKEN": "its-token",
        }


@pytest.fixture(scope="package")
def examples(twilio: dict[str, str]) -> Iterator[Guide]:
    """The guide's programs; one process runs them all."""
    with guide(*EXAMPLES, edits=EDITS, environment=twilio) as running:
        yield running


@pytest.fixture(scope="package")
def pages() -> Iterator[Programs]:
    """The programs of pages/, in a process of theirs."""
    with running(*(PAGES / f"{name}.py" for name in PAGES_IN_ORDER)) as running_pages:
        yield running_pages


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The driver of browsers. Not for the session: while it runs, no other event loop can."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Chromium]:
    """With Chromium's own camera, which is green, and microphone, which beeps once a second."""
    with chromium(playwright) as started:
        yield started


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients have the address 127.0.0.1 alone, as the programs that they call."""
    monkeypatch.setattr(
        aioice.ice, "get_host_addresses", lambda use_ipv4, **_: ["127.0.0.1"] * use_ipv4
    )

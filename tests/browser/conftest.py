"""The fixtures that the tests with a browser share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import Playwright, sync_playwright
from support.browser import Chromium, chromium
from support.programs import ROOT, Programs, running
from talk_speech import Ears, Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

GUIDE = ROOT / "tests" / "data" / "guide"
GUIDE_LEAVES_OUT = """
import numpy as np

sampling_rate = 24_000
_times = np.arange(2400) / sampling_rate
_chunk = (8000 * np.sin(2 * np.pi * 440 * _times)).astype(np.int16)[np.newaxis]
generated_audio = [_chunk, _chunk, _chunk]
"""
"""The names that the guide's examples use without defining them. The audio is three chunks of
0.1 s; each holds 44 whole periods of its tone, so that they join without a click."""


class Servers(NamedTuple):
    """The processes that the tests use."""

    talk: Programs
    pages: Programs


@pytest.fixture(scope="package")
def servers() -> Iterator[Servers]:
    """Both processes, which start while the first tests wait for one of them."""
    pages = (GUIDE / "C01.py", GUIDE / "C03.py", Path(__file__).with_name("short_call.py"))
    with (
        running(ROOT / "demo" / "talk.py") as talk,
        running(*pages, prelude=GUIDE_LEAVES_OUT) as others,
    ):
        yield Servers(talk, others)


@pytest.fixture(scope="package")
def talk_url(servers: Servers) -> str:
    """The address of demo/talk.py."""
    return servers.talk.url()


@pytest.fixture(scope="package")
def c01_url(servers: Servers) -> str:
    """The address of the guide's first example, `ReplyOnPause`."""
    return servers.pages.url(0)


@pytest.fixture(scope="package")
def c03_url(servers: Servers) -> str:
    """The address of the guide's third example, `StreamHandler`."""
    return servers.pages.url(1)


@pytest.fixture(scope="package")
def short_call_url(servers: Servers) -> str:
    """The address of short_call.py."""
    return servers.pages.url(2)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The driver of browsers. Not for the session: while it runs, no other event loop can."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def beeping_browser(playwright: Playwright) -> Iterator[Chromium]:
    """A browser with Chromium's own microphone, which beeps once a second."""
    with chromium(playwright) as browser:
        yield browser


@pytest.fixture
def beeping(beeping_browser: Chromium) -> Iterator[Chromium]:
    """The beeping browser, without any page."""
    yield beeping_browser
    beeping_browser.close_pages()


@pytest.fixture(scope="module")
def refusing_browser(playwright: Playwright) -> Iterator[Chromium]:
    """A browser whose user refuses the microphone."""
    with chromium(playwright, refuse=True) as browser:
        yield browser


@pytest.fixture
def refusing(refusing_browser: Chromium) -> Iterator[Chromium]:
    """The refusing browser, without any page."""
    yield refusing_browser
    refusing_browser.close_pages()


@pytest.fixture(scope="package")
def ears() -> Ears:
    """Transcribes the audio that a page has received."""
    return Ears()


@pytest.fixture(scope="package")
def voice() -> Voice:
    """Speaks for the user."""
    return Voice()


@pytest.fixture(scope="package")
def artifacts() -> Path:
    """The folder in which screenshots of the page are left to be looked at; git ignores it."""
    folder = Path(__file__).with_name("artifacts")
    folder.mkdir(exist_ok=True)
    return folder

"""Every state that a user can see, reached as a user reaches it, with a screenshot."""

from pathlib import Path
from typing import get_args

import pytest
from playwright.sync_api import Route
from support.browser import WAIT_MS, CallPage, Chromium, Scheme

pytestmark = pytest.mark.browser

SCHEMES = get_args(Scheme)

ASK_THE_USER = """
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
const answer = new Promise((resolve) => { window.__allow = resolve; });
navigator.mediaDevices.getUserMedia = async (wanted) => { await answer; return ask(wanted); };
"""
"""Keeps the question for the microphone open until the test answers it with `__allow()`."""


class Album:
    """Screenshots of one page, named after what they show."""

    def __init__(self, folder: Path, scheme: Scheme) -> None:
        self._folder = folder
        self._scheme = scheme

    def add(self, call: CallPage, state: str) -> None:
        call.page.screenshot(
            path=self._folder / f"{state}-{self._scheme}.png", animations="disabled"
        )


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    chosen: Scheme = request.param
    return chosen


@pytest.fixture
def album(artifacts: Path, scheme: Scheme) -> Album:
    return Album(artifacts, scheme)


def hold_signalling(call: CallPage) -> list[Route]:
    """Keep what the page asks the server from arriving, until the test lets it go on."""
    held: list[Route] = []
    call.page.route("**/component_server*", lambda route: held.append(route))  # noqa: PLW0108 - it hangs an attribute on the function
    return held


def release(call: CallPage, held: list[Route]) -> None:
    call.page.unroute("**/component_server*")
    for route in held:
        route.continue_()


def test_call_opens_and_stops(
    c03_url: str, beeping: Chromium, scheme: Scheme, album: Album
) -> None:
    call = beeping.open(c03_url, scheme=scheme, script=ASK_THE_USER)
    album.add(call, "idle")
    held = hold_signalling(call)
    call.press()
    call.wait_for_state("permission")
    album.add(call, "permission")
    call.page.evaluate("__allow()")
    call.wait_for_state("connecting")
    album.add(call, "connecting")
    release(call, held)
    call.wait_for_state("open")
    call.wait_for_audio()
    album.add(call, "open")
    call.press()
    call.wait_for_state("idle")
    album.add(call, "stopped")
    assert call.states == ["idle", "permission", "connecting", "open", "idle"]
    assert call.problems == []


def test_call_ends_at_its_time_limit(
    short_call_url: str, beeping: Chromium, scheme: Scheme, album: Album
) -> None:
    call = beeping.open(short_call_url, scheme=scheme)
    call.press()
    call.wait_for_state("ended")
    album.add(call, "ended")
    assert "open" in call.states
    assert call.status
    assert call.problems == []
    # What has ended can be started again.
    call.press()
    call.page.wait_for_function(
        "__received.states.filter((state) => state === 'open').length === 2", timeout=WAIT_MS
    )


def test_second_user_reads_that_the_line_is_taken(
    c03_url: str, beeping: Chromium, scheme: Scheme, album: Album
) -> None:
    first = beeping.open(c03_url, scheme=scheme)
    second = beeping.open(c03_url, scheme=scheme)
    first.press()
    first.wait_for_state("open")
    second.press()
    second.wait_for_state("failed")
    album.add(second, "limit-reached")
    assert second.status
    first.press()
    first.wait_for_state("idle")
    # The place is free at once.
    second.press()
    second.wait_for_state("open")
    assert first.problems == []
    assert second.problems == []


def test_refused_microphone_is_explained(
    c03_url: str, refusing: Chromium, scheme: Scheme, album: Album
) -> None:
    call = refusing.open(c03_url, scheme=scheme)
    call.press()
    call.wait_for_state("failed")
    album.add(call, "permission-refused")
    assert "microphone" in call.status.lower()
    assert call.problems == []

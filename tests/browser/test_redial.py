"""Pages whose server goes away in a call: they call again by themselves, without a reload."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from support.programs import ROOT, running

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from support.browser import CallPage, Chromium
    from support.programs import Programs

pytestmark = pytest.mark.browser


class Place:
    """An address at which servers come and go."""

    def __init__(self) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]

    def serve(self) -> AbstractContextManager[Programs]:
        """A server there, until the block ends: by Ctrl-C, unless it was killed."""
        environment = {"GRADIO_SERVER_PORT": str(self._port)}
        return running(ROOT / "demo" / "echo.py", environment=environment)


def wait_for_more_audio(call: CallPage) -> None:
    call.wait_for_state("open")
    call.wait_for_audio(after_s=call.received_s)


def test_a_call_outlives_its_servers(beeping: Chromium, artifacts: Path) -> None:
    def take_screenshot(state: str) -> None:
        call.page.screenshot(path=artifacts / f"{state}.png", animations="disabled")

    place = Place()
    with place.serve() as server:
        call = beeping.open(server.url())
        call.press()
        wait_for_more_audio(call)
        server.kill()
        call.wait_for_state("redialling")
        assert "Calling again" in call.status
        take_screenshot("redialling-lost")
    with place.serve() as server:
        server.url()
        wait_for_more_audio(call)
        take_screenshot("redialled")
    # It ended by Ctrl-C, and sent the reason.
    call.wait_for_state("redialling")
    assert "The server is restarting" in call.status
    take_screenshot("redialling-stopping")
    with place.serve() as server:
        server.url()
        wait_for_more_audio(call)
        call.press()
        call.wait_for_state("idle")
    calls = ["open", "redialling", "open", "redialling", "open"]
    # The page's own record: a reload would have begun it again.
    assert call.states == ["idle", "permission", "connecting", *calls, "idle"]


def test_a_button_is_left_when_no_server_comes_back(beeping: Chromium, artifacts: Path) -> None:
    place = Place()
    with place.serve() as server:
        call = beeping.open(server.url())
        call.press()
        wait_for_more_audio(call)
        # From here on the page's time is ours: three tries take half a minute.
        call.page.clock.install()
        server.kill()
        call.wait_for_state("redialling")
    call.page.clock.run_for(60_000)
    call.wait_for_state("failed")
    assert "The connection was lost" in call.status
    assert "Try again" in call.page.get_by_test_id("webrtc-button").inner_text()
    call.page.screenshot(path=artifacts / "given-up.png", animations="disabled")
    with place.serve() as server:
        server.url()
        call.press()
        wait_for_more_audio(call)
        call.press()
        call.wait_for_state("idle")
    assert call.states[-5:] == ["failed", "permission", "connecting", "open", "idle"]

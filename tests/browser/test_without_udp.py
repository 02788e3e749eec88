"""Calls where no datagram gets through: over a WebSocket, and over HTTP where none does either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from support.browser import RATE_HZ, CallPage, chromium
from support.programs import ROOT, Programs, running
from support.signals import correlation, pieces_found, speech
from support.speech import Line, write_microphone

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

REPEATED = ROOT / "tests" / "browser" / "repeated.py"
HEARD_HZ = 16_000
"""The rate of what the program notes."""

SPOKEN_AT_S = 2.0
"""After the microphone is opened. The first call without UDP stands after four seconds."""

NO_WEBSOCKET = "delete window.WebSocket;"
NO_WEBRTC = "delete window.RTCPeerConnection;"

SOCKETS = """
  window.__sockets = [];
  window.WebSocket = class extends window.WebSocket {
    constructor(...options) { super(...options); window.__sockets.push(this); }
  };
"""
"""Lets a test end the WebSockets of a page."""


def spoken() -> NDArray[np.int16]:
    """Six seconds of speech, int16 ``(n,)`` at 16 kHz."""
    rate_hz, samples = speech("asterisk_vm_newuser_16k")
    assert rate_hz == HEARD_HZ
    return samples


def microphone_of(folder: Path, *, at_s: float = SPOKEN_AT_S, times: int = 1) -> Path:
    """Writes a microphone's recording in which it is spoken, once or more."""
    samples = soxr.resample(spoken().astype(np.float32) / 32768, HEARD_HZ, RATE_HZ)
    lines = [Line(at_s + 7 * time, samples) for time in range(times)]
    return write_microphone(folder / "microphone.wav", lines)


def heard(programs: Programs) -> NDArray[np.int16]:
    """What came to the server, int16 ``(n,)`` at 16 kHz."""
    return np.concatenate([note["samples"] for note in programs.notes("heard")])


def played(call: CallPage) -> NDArray[np.int16]:
    """What the page has played, int16 ``(n,)`` at 16 kHz."""
    samples = soxr.resample(call.recording(), RATE_HZ, HEARD_HZ)
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def share_found(received: NDArray[np.int16]) -> float:
    """The share of what was spoken that is in what was received, in pieces of 0.1 s."""
    found = pieces_found(received, spoken(), HEARD_HZ // 10)
    return sum(at >= 0 for at in found) / len(found)


def listen(call: CallPage, seconds: float) -> None:
    """Returns when the page has received audio for so long."""
    end = call.received_s + seconds
    call.page.wait_for_function("end => __received.samples > end", arg=end * RATE_HZ)


def transport_of(call: CallPage) -> str | None:
    return call.page.get_by_test_id("webrtc").get_attribute("data-transport")


def hang_up(call: CallPage) -> None:
    call.press()
    call.wait_for_state("idle")


@pytest.mark.parametrize("script", ["", NO_WEBSOCKET], ids=["websocket", "http"])
def test_speech_goes_both_ways(
    script: str, playwright: Playwright, tmp_path: Path, artifacts: Path
) -> None:
    with (
        running(REPEATED, environment={"FALLBACK": "always"}) as programs,
        chromium(playwright, microphone_of(tmp_path)) as browser,
    ):
        call = browser.open(programs.url(), script=NO_WEBRTC + script)
        call.press()
        call.wait_for_state("open")
        assert transport_of(call) == "link"
        note = call.page.get_by_test_id("webrtc-note")
        assert note.inner_text() == "Connected without UDP: sound may lag a little."
        call.page.screenshot(path=artifacts / "without-udp.png")
        listen(call, SPOKEN_AT_S + 7)
        repeated = played(call)
        hang_up(call)
        programs.wait_for(lambda: bool(programs.notes("over")))
        similarity, _ = correlation(heard(programs), spoken())
        assert call.problems == []
    assert similarity >= 0.8
    assert share_found(repeated) >= 0.9

"""Calls where no datagram gets through: over a WebSocket, and over HTTP where none does either."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from support.browser import COLOURS, RATE_HZ, CallPage, Chromium, chromium
from support.networks import Network, free_port, network
from support.programs import ROOT, Programs, running
from support.reverse_proxy import reverse_proxy
from support.signals import pieces_found, pitch_hz, speech
from support.speech import Line, write_microphone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

REPEATED = ROOT / "tests" / "browser" / "repeated.py"
HEARD_HZ = 16_000
"""The rate of what the program notes."""

SPOKEN_AT_S = 2.0
"""After the microphone is opened: a call that begins over the link stands by then."""

NO_WEBSOCKET = "delete window.WebSocket;"
NO_WEBRTC = "delete window.RTCPeerConnection;"

PATHS = "sessionStorage.getItem('gradio_webrtc_paths')"
"""The page's notes on its network."""

LOUD = 0.005
"""As recorder.js: -46 dBFS."""


def spoken(name: str = "asterisk_ss_noservice_16k") -> NDArray[np.int16]:
    """Speech, int16 ``(n,)`` at 16 kHz; by default five seconds."""
    found: tuple[int, NDArray[np.int16]] = speech(name)
    assert found[0] == HEARD_HZ
    return found[1]


def microphone_of(folder: Path, samples: NDArray[np.int16], *at_s: float) -> Path:
    """Writes the recording of a microphone into which this is spoken at these times."""
    loud = soxr.resample(samples.astype(np.float32) / 32768, HEARD_HZ, RATE_HZ)
    lines = [Line(time_s, loud) for time_s in at_s or [SPOKEN_AT_S]]
    return write_microphone(folder / "microphone.wav", lines)


def heard(programs: Programs) -> NDArray[np.int16]:
    """What came to the server, int16 ``(n,)`` at 16 kHz."""
    notes: list[NDArray[np.int16]] = [each["samples"] for each in programs.notes("heard")]
    return np.concatenate(notes)


def played(call: CallPage) -> NDArray[np.int16]:
    """What the page has played, int16 ``(n,)`` at 16 kHz."""
    samples: NDArray[np.float32] = soxr.resample(call.recording(), RATE_HZ, HEARD_HZ)
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def share_found(received: NDArray[np.int16]) -> float:
    """The share of what was spoken that is in what was received, in pieces of a quarter second.

    On a machine that stutters the page's buffer grows, and its microphone misses a moment: both
    part a piece.
    """
    found = pieces_found(received, spoken(), HEARD_HZ // 4)
    return sum(at >= 0 for at in found) / len(found)


def loud_s(recording: NDArray[np.float32], tone_hz: float) -> float:
    """The time for which a tone of this pitch is in a recording, in seconds."""
    block = RATE_HZ // 20
    blocks = recording[: recording.size // block * block].reshape(-1, block)
    loud = [each for each in blocks if np.abs(each).max() > LOUD]
    return sum(abs(pitch_hz(each, RATE_HZ) - tone_hz) < 50 for each in loud) / 20


def listen(call: CallPage, seconds: float) -> None:
    """Returns when the page has received audio for so long."""
    end = call.received_s + seconds
    call.page.wait_for_function("end => __received.samples > end", arg=end * RATE_HZ)


def transport_of(call: CallPage) -> str | None:
    return call.page.get_by_test_id("webrtc").get_attribute("data-transport")


def hang_up(call: CallPage) -> None:
    call.press()
    call.wait_for_state("idle")


def hold_a_call(call: CallPage) -> None:
    """Calls over the link, receives its own audio, and hangs up."""
    begin_s = call.received_s
    call.press()
    call.wait_for_state("open")
    assert transport_of(call) == "link"
    call.wait_for_audio(after_s=begin_s)
    hang_up(call)


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network(block=["udp"]) as made:
        yield made


@pytest.fixture(scope="module")
def repeated(net: Network) -> Iterator[Programs]:
    """The page in a network without UDP."""
    with running(REPEATED, network=net) as programs:
        yield programs


@pytest.fixture(scope="module")
def beeping_there(net: Network, playwright: Playwright) -> Iterator[Chromium]:
    """A browser in that network whose microphone beeps."""
    with chromium(playwright, network=net) as browser:
        yield browser


@pytest.mark.parametrize("script", ["", NO_WEBSOCKET], ids=["websocket", "http"])
def test_speech_goes_both_ways(
    script: str, playwright: Playwright, tmp_path: Path, artifacts: Path
) -> None:
    with (
        running(REPEATED, environment={"FALLBACK": "always"}) as programs,
        chromium(playwright, microphone_of(tmp_path, spoken())) as browser,
    ):
        call = browser.open(programs.url(), script=script)
        call.press()
        call.wait_for_state("open")
        assert transport_of(call) == "link"
        note = call.page.get_by_test_id("webrtc-note")
        assert note.inner_text() == "Connected without UDP: audio may lag a little."
        call.page.screenshot(path=artifacts / "without-udp.png")
        listen(call, SPOKEN_AT_S + 5.5)
        repeated = played(call)
        hang_up(call)
        programs.wait_for(lambda: bool(programs.notes("over")))
        received = heard(programs)
        assert call.problems == []
    assert share_found(received) >= 0.8
    assert share_found(repeated) >= 0.6


def test_a_page_goes_on_without_udp_and_does_not_try_it_again(
    net: Network, repeated: Programs, beeping_there: Chromium
) -> None:
    call = beeping_there.open(repeated.url())
    before = net.dropped()
    hold_a_call(call)
    tried = net.dropped()
    assert tried > before
    hold_a_call(call)
    assert net.dropped() == tried
    # The place of the session that did not connect was free: there is one for everybody.
    assert call.states == ["idle", *["permission", "connecting", "open", "idle"] * 2]
    assert call.problems == []
    beeping_there.close_pages()


@pytest.mark.parametrize("websocket", [True, False], ids=["websocket", "http"])
def test_behind_a_proxy_under_a_path_and_with_a_login(
    websocket: bool,  # noqa: FBT001 - a test's parameter
    net: Network,
    beeping_there: Chromium,
    tmp_path: Path,
) -> None:
    environment = {"GRADIO_ROOT_PATH": "/talk", "LOGIN": "ann:word"}
    with (
        running(REPEATED, environment=environment, network=net) as programs,
        reverse_proxy(
            programs.url(), tmp_path, websocket=websocket, prefix="/talk", network=net
        ) as url,
    ):
        call = beeping_there.open(f"{url}/", login=("ann", "word"))
        hold_a_call(call)
        assert ("websocket" in call.page.evaluate(PATHS)) != websocket
        beeping_there.close_pages()


def test_behind_the_proxy_of_server_side_rendering(beeping: Chromium) -> None:
    environment = {"GRADIO_SSR_MODE": "True", "LOGIN": "ann:word", "FALLBACK": "always"}
    with running(REPEATED, environment=environment) as programs:
        call = beeping.open(programs.url(), login=("ann", "word"))
        assert "Node proxy" in programs.output
        hold_a_call(call)
        assert "websocket" in call.page.evaluate(PATHS)
        beeping.close_pages()


@pytest.mark.parametrize("websocket", [True, False], ids=["websocket", "http"])
def test_a_call_outlives_what_carries_it(
    websocket: bool,  # noqa: FBT001 - a test's parameter
    playwright: Playwright,
    tmp_path: Path,
) -> None:
    port = free_port(None)
    folders = [tmp_path / "before", tmp_path / "after"]
    for folder in folders:
        folder.mkdir()
    with (
        running(REPEATED, environment={"FALLBACK": "always"}) as programs,
        chromium(playwright, microphone_of(tmp_path, spoken())) as browser,
    ):
        proxies = (
            reverse_proxy(programs.url(), folder, websocket=websocket, port=port)
            for folder in folders
        )
        with next(proxies) as url:
            call = browser.open(url)
            call.press()
            call.wait_for_state("open")
            listen(call, SPOKEN_AT_S + 1)
        with next(proxies):
            listen(call, 5)
            hang_up(call)
        assert call.states == ["idle", "permission", "connecting", "open", "idle"]
        programs.wait_for(lambda: bool(programs.notes("over")))
        # It broke in the middle of the speech, of which nothing is missing.
        received = heard(programs)
    assert share_found(received) >= 0.8


def test_an_interruption_ends_what_is_being_played(playwright: Playwright, tmp_path: Path) -> None:
    greeting = spoken("asterisk_hello_world_16k")
    with (
        running(Path(__file__).with_name("interrupted.py")) as programs,
        chromium(playwright, microphone_of(tmp_path, greeting, 1.0, 6.0)) as browser,
    ):
        call = browser.open(programs.url())
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio()
        call.page.wait_for_function("__received.samples > 11 * 48000")
        recording = call.recording()
        hang_up(call)
        assert call.problems == []
    first_s, second_s = (loud_s(recording, tone_hz) for tone_hz in (400, 1000))
    # The first answer ends with what is said into it, and not after its twenty seconds.
    assert 0.5 < first_s < 6
    assert second_s > 0.5


def test_a_closed_page_leaves_at_once(repeated: Programs, beeping_there: Chromium) -> None:
    # There is one place, which a page that vanished would hold for six seconds.
    for script in ("", NO_WEBSOCKET, ""):
        call = beeping_there.open(repeated.url(), script=NO_WEBRTC + script)
        call.press()
        call.wait_for_state("open")
        call.wait_for_audio()
        beeping_there.close_pages()


def test_video_goes_both_ways(beeping: Chromium, artifacts: Path) -> None:
    with running(Path(__file__).with_name("mirrored.py")) as programs:
        call = beeping.open(programs.url(), script=NO_WEBRTC)
        call.press()
        call.wait_for_state("open")
        call.page.wait_for_function(COLOURS)
        call.page.wait_for_function("document.querySelector('video').currentTime > 2")
        colours = np.array(call.page.evaluate(COLOURS).split(), dtype=int)
        note = call.page.get_by_test_id("webrtc-note").inner_text()
        call.page.screenshot(path=artifacts / "video-without-udp.png")
        hang_up(call)
        # The test reads from the canvas, and Chromium has advice for that.
        assert [each for each in call.problems if "willReadFrequently" not in each] == []
    assert note == "Connected without UDP: video may lag a little."
    # The right half is the left one in opposite colours, and both went through two JPEGs.
    assert np.abs(colours[:3] + colours[3:] - 255).max() < 24

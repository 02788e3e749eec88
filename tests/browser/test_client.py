"""Pages of one's own: the demos in HTML and in React, and a page that uses all of the client."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from playwright.sync_api import Page, expect
from support.browser import RATE_HZ, WAIT_MS, CallPage, Chromium, chromium
from support.programs import ROOT, Programs, running
from support.reverse_proxy import reverse_proxy
from support.signals import correlation, speech
from support.speech import Line, write_microphone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

HEARD_HZ = 16_000

STEP_SAMPLES = RATE_HZ // 100

WHOLE = 0.85
"""The likeness of a whole echo is 0.90 to 0.94; without its first 0.2 s it is 0.73 at most."""

SPOKEN_AT_S = 2.0
"""After the microphone is opened; and again, since a busy machine may miss the first time."""

NO_WEBRTC = "delete window.RTCPeerConnection;"

CALL_AGAIN = """async (fallback) => {
  const { connect } = await import("./voice/client.js");
  const outcomes = [];
  let call = window.call;
  for (let count = 0; count < 5; count++) {
    call.close();
    call = connect({ url: "voice", fallback });
    const isMade = (state) => state === "open" || state === "failed";
    const made = new Promise((done) => call.on("state", (state) => isMade(state) && done(state)));
    outcomes.push(await made);
  }
  return outcomes;
}"""
"""Ends the page's call and makes another one at once, five times."""

DEVICES = """
  window.__opened = [];
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await open.call(this, constraints);
    window.__opened.push(...stream.getTracks());
    return stream;
  };
"""
"""Notes every track of a device that the page has opened."""


def spoken() -> NDArray[np.int16]:
    """Some words, int16 ``(n,)`` at 16 kHz."""
    rate_hz, samples = speech("asterisk_hello_world_16k")
    assert rate_hz == HEARD_HZ
    return samples


@pytest.fixture(scope="module")
def react(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo in React, built with the packages of the front end.

    Built for development, where React runs every effect twice in StrictMode.
    """
    folder = tmp_path_factory.mktemp("react") / "react"
    shutil.copytree(ROOT / "demo" / "react", folder, ignore=shutil.ignore_patterns("dist"))
    installed = ROOT / "frontend" / "node_modules"
    modules = folder / "node_modules"
    (modules / "@gradio-webrtc").mkdir(parents=True)
    for name in ("react", "react-dom", "scheduler"):
        (modules / name).symlink_to(installed / name)
    client = ROOT / "frontend" / "client"
    (modules / "@gradio-webrtc" / "client").symlink_to(client)
    node = shutil.which("node") or "node"
    vite = str(installed / "vite" / "bin" / "vite.js")
    development = {"NODE_ENV": "development"}
    for command, place in (
        ([node, "build.mjs"], client),
        ([node, vite, "build", "--base", "./", "--mode", "development"], folder),
    ):
        built = subprocess.run(
            command,
            cwd=place,
            env=os.environ | development,
            check=False,
            capture_output=True,
            text=True,
        )
        assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def programs(react: Path) -> Iterator[Programs]:
    page = ROOT / "tests" / "browser" / "own_pages.py"
    with running(page, environment={"REACT_DEMO": str(react)}) as started:
        yield started


@pytest.fixture(scope="module")
def speaking(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chromium]:
    """A browser in whose every page somebody speaks."""
    samples = soxr.resample(spoken().astype(np.float32) / 32768, HEARD_HZ, RATE_HZ)
    microphone = tmp_path_factory.mktemp("microphone") / "words.wav"
    write_microphone(microphone, [Line(at_s, samples) for at_s in (SPOKEN_AT_S, 10.0, 20.0)])
    with chromium(playwright, microphone) as started:
        yield started


@pytest.fixture
def browser(speaking: Chromium) -> Iterator[Chromium]:
    yield speaking
    speaking.close_pages()


def levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The level of each 10 ms at 48 kHz (RMS)."""
    steps = samples[: samples.size // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    found: NDArray[np.float64] = np.sqrt((steps.astype(np.float64) ** 2).mean(axis=1))
    return found


def likeness(call: CallPage) -> float:
    """The likeness of what the page has played, once it is quiet again, to what was spoken.

    The correlation of their levels, 1 at most. Browsers change the phases of a voice, and speech to
    text may take the words of a whole recording for others.
    """
    call.wait_for_quiet(0.7)
    said = levels(soxr.resample(spoken().astype(np.float32) / 32768, HEARD_HZ, RATE_HZ))
    played = np.lib.stride_tricks.sliding_window_view(levels(call.recording()), said.size)
    apart = played - played.mean(axis=1, keepdims=True)
    scale = np.linalg.norm(apart, axis=1) * np.linalg.norm(said - said.mean())
    return float(np.max(apart @ (said - said.mean()) / np.maximum(scale, 1e-9)))


def devices(page: Page) -> list[str]:
    """The state of each track of a device that the page has opened."""
    states: list[str] = page.evaluate("__opened.map(({ readyState }) => readyState)")
    return states


@pytest.mark.parametrize("script", ["", NO_WEBRTC], ids=["webrtc", "link"])
def test_the_page_in_html_repeats_what_is_said(
    script: str, programs: Programs, browser: Chromium, artifacts: Path
) -> None:
    call = browser.open(f"{programs.url()}/html/", script=DEVICES + script, is_shown=False)
    button, status = call.page.locator("#button"), call.page.get_by_role("status")
    call.page.get_by_label("Volume").fill("0.5")
    button.click()
    expect(status).to_have_text("Speak.", timeout=WAIT_MS)
    assert likeness(call) >= WHOLE
    expect(call.page.get_by_role("listitem").first).to_contain_text(
        "s at a volume of 0.5", timeout=WAIT_MS
    )
    call.page.screenshot(path=artifacts / "own-page.png")
    button.click()
    expect(status).to_have_text("Not connected.", timeout=WAIT_MS)
    assert devices(call.page) == ["ended"]
    assert call.problems == []


def test_the_page_of_the_guide_makes_one_call_at_a_time(
    programs: Programs, browser: Chromium
) -> None:
    call = browser.open(f"{programs.url()}/guide/", script=DEVICES, is_shown=False)
    button, status = call.page.get_by_role("button", name="Talk"), call.page.get_by_role("status")
    button.click()
    expect(status).to_have_text("open", timeout=WAIT_MS)
    button.click()
    call.page.wait_for_function("__opened.length === 2 && __opened[0].readyState === 'ended'")
    expect(status).to_have_text("open", timeout=WAIT_MS)
    assert call.problems == []


def test_the_page_in_react_repeats_what_is_said_and_written(
    programs: Programs, browser: Chromium, artifacts: Path
) -> None:
    call = browser.open(f"{programs.url()}/react/", script=DEVICES, is_shown=False)
    call.page.get_by_role("button", name="Start").click()
    expect(call.page.get_by_role("status")).to_have_text("open", timeout=WAIT_MS)
    call.page.get_by_label("Message").fill("hello")
    call.page.get_by_role("button", name="Send").click()
    expect(call.page.get_by_role("listitem").first).to_have_text("HELLO", timeout=WAIT_MS)
    assert likeness(call) >= WHOLE
    expect(call.page.get_by_role("listitem").nth(1)).to_contain_text(
        "You spoke for", timeout=WAIT_MS
    )
    call.page.screenshot(path=artifacts / "react.png")
    assert devices(call.page) == ["live"], "StrictMode opens no second microphone"
    call.page.get_by_role("button", name="Stop").click()
    expect(call.page.get_by_role("button", name="Start")).to_be_visible(timeout=WAIT_MS)
    assert devices(call.page) == ["ended"]
    assert call.problems == []


def open_everything(browser: Chromium, url: str, query: str = "", *, script: str = "") -> CallPage:
    """Opens the page that uses all of the client. Its policy admits no recorder."""
    address = f"{url}/everything/{query}"
    return browser.open(address, script=DEVICES + script, is_shown=False, is_recorded=False)


def wait(page: Page, condition: str) -> None:
    """Returns when something holds. Playwright's own wait is against the policy of the page."""
    page.evaluate(f"window.until(() => {condition})")


def use_everything(page: Page, transport: str) -> None:
    wait(page, "window.call?.state === 'open'")
    found = page.evaluate("[call.transport, call.problem, call.id.length]")
    assert found == [transport, None, 32]
    wait(page, "got.track.length")
    page.evaluate("call.send({ text: 'ä' })")
    wait(page, "got.message.length")
    page.evaluate("call.setInputs([4])")
    page.evaluate("call.setInputs([11])")
    page.evaluate("for (const text of ['outputs', 'warn']) call.send(text)")
    wait(page, "got.message.length === 3 && got.output.length === 3 && got.notice.length")
    first, *others = page.evaluate("got.message")
    assert first["got"] == {"text": "ä"}
    assert [each["inputs"] for each in others] == [[4], [4]]
    assert page.evaluate("got.output") == [[0, []], [1, [0]], [2, [0, 1]]]
    assert page.evaluate("got.notice[0].text") == "Mind the step."
    assert "Value 11 is greater" in page.evaluate("got.error[0].text")
    # Somebody speaks, and it comes back.
    wait(page, "got.level.some(({ local }) => local.loudness > 0.5)")
    wait(page, "got.level.some(({ remote }) => remote.loudness > 0.5)")
    # Two seconds of silence behind it.
    wait(page, "got.level.slice(-25).every(({ remote }) => remote.loudness < 0.1)")
    assert page.evaluate("got.state") == ["permission", "connecting", "open"]
    assert page.evaluate("violations") == []


def check_heard(programs: Programs, since: int, overs: int) -> None:
    programs.wait_for(lambda: len(programs.notes("over")) > overs)
    heard = np.concatenate([note["samples"] for note in programs.notes("heard")[since:]])
    similarity, _ = correlation(heard, spoken())
    assert similarity >= 0.8


@pytest.mark.parametrize(
    ("query", "transport", "script"),
    [
        ("", "webrtc", ""),
        ("?fallback=always", "link", ""),
        ("?fallback=always", "link", "delete window.WebSocket;"),
    ],
    ids=["webrtc", "websocket", "http"],
)
def test_all_of_the_client_works_under_a_strict_policy(
    query: str, transport: str, script: str, programs: Programs, browser: Chromium
) -> None:
    since, overs = len(programs.notes("heard")), len(programs.notes("over"))
    call = open_everything(browser, programs.url(), query, script=script)
    use_everything(call.page, transport)
    call.page.evaluate("call.mute()")
    assert call.page.evaluate("call.local.getAudioTracks()[0].enabled") is False
    call.page.evaluate("call.close()")
    assert call.page.evaluate("[call.state, call.local]") == ["idle", None]
    assert devices(call.page) == ["ended"]
    check_heard(programs, since, overs)
    assert call.problems == []


@pytest.mark.parametrize("fallback", ["never", "always"])
def test_the_next_call_gets_the_only_place_from_the_last_one(
    fallback: str, programs: Programs, browser: Chromium
) -> None:
    call = open_everything(browser, programs.url(), f"?fallback={fallback}")
    wait(call.page, "window.call?.state === 'open'")
    assert call.page.evaluate(CALL_AGAIN, fallback) == ["open"] * 5
    assert devices(call.page) == ["ended"] * 5 + ["live"]
    for _ in range(3):
        call.page.reload()
        wait(call.page, "window.call?.state === 'open'")
    assert call.problems == []


def test_it_works_below_the_path_of_a_proxy_and_ends_with_its_page(
    programs: Programs, browser: Chromium, tmp_path: Path
) -> None:
    since, overs = len(programs.notes("heard")), len(programs.notes("over"))
    with reverse_proxy(programs.url(), tmp_path, websocket=False, prefix="/below/it") as url:
        call = open_everything(browser, url, "?fallback=always")
        use_everything(call.page, "link")
        call.page.goto("about:blank")
        check_heard(programs, since, overs)


def test_a_browser_that_plays_nothing_yet_is_reported(
    playwright: Playwright, programs: Programs
) -> None:
    def blocked() -> list[bool]:
        return [note["isBlocked"] for note in programs.notes("blocked")]

    with chromium(playwright, plays_at_once=False) as browser:
        page = open_everything(browser, programs.url(), "?receive").page
        programs.wait_for(lambda: blocked() == [True])
        page.get_by_role("button").click()
        programs.wait_for(lambda: blocked() == [True, False])

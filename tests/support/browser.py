"""Chromium with a WAV file as its microphone, and a recorder in the page for the answer."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    ViewportSize,
)

from .networks import Network

CHROMIUM = "/usr/bin/chromium"
"""The distribution's browser. Playwright's own download is not needed."""

RATE_HZ = 48_000
"""The rate at which the page's audio is recorded."""

WAIT_MS = 60_000
"""The time for which a test waits for a state of the page before it fails."""

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

_RECORDER = Path(__file__).with_name("recorder.js").read_text(encoding="utf-8")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    # Media stays on 127.0.0.1, and no candidate is hidden behind a name that needs mDNS.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]

Scheme = Literal["light", "dark"]


@dataclass
class CallPage:
    """A page with one `WebRTC` component.

    Attributes:
        page: Playwright's page.
        problems: Lines that a user would find in the console, failed requests, and requests that
            left 127.0.0.1. A test ends by asserting that there are none.
    """

    page: Page
    problems: list[str] = field(default_factory=list)

    def press(self) -> None:
        """Press the component's button: start, or stop."""
        self.page.get_by_test_id("webrtc-button").click()

    def wait_for_state(self, state: str) -> None:
        """Return when the component's `data-state` is `state`."""
        selector = f"[data-testid=webrtc][data-state={state}]"
        self.page.locator(selector).wait_for(timeout=WAIT_MS)

    @property
    def conversation(self) -> Locator:
        """The messages of a `gr.Chatbot`."""
        return self.page.get_by_label("chatbot conversation")

    def wait_for_message(self, text: str) -> None:
        """Return when `text` is to be read in the conversation."""
        self.conversation.get_by_text(text).first.wait_for(timeout=WAIT_MS)

    @property
    def status(self) -> str:
        """The text of the component's live region, which a screen reader reads out."""
        return self.page.get_by_test_id("webrtc-status").inner_text()

    @property
    def states(self) -> list[str]:
        """Every value that `data-state` has had, in order."""
        return list(self.page.evaluate("__received.states"))

    @property
    def received_s(self) -> float:
        """The length of the audio received so far, silence included, in seconds."""
        return float(self.page.evaluate("__received.samples")) / RATE_HZ

    def wait_for_audio(self, *, after_s: float = 0.0, timeout_ms: float = WAIT_MS) -> None:
        """Return when the page has received audio later than `after_s` on the recording."""
        self.page.wait_for_function(
            "after => __received.lastLoud > after", arg=after_s * RATE_HZ, timeout=timeout_ms
        )

    def wait_for_quiet(
        self, quiet_s: float, *, after_s: float = 0.0, timeout_ms: float = WAIT_MS
    ) -> None:
        """Return when audio came after `after_s` and then nothing for `quiet_s` seconds."""
        self.wait_for_audio(after_s=after_s, timeout_ms=timeout_ms)
        self.page.wait_for_function(
            "quiet => __received.samples - __received.lastLoud > quiet",
            arg=quiet_s * RATE_HZ,
            timeout=timeout_ms,
        )

    def recording(self) -> npt.NDArray[np.float32]:
        """All audio that the page has received: float32, (samples,), -1 to 1, at `RATE_HZ`."""
        pcm = base64.b64decode(self.page.evaluate("__recording()"))
        samples: npt.NDArray[np.float32] = np.frombuffer(pcm, "<i2").astype(np.float32)
        samples /= 32767
        return samples


class Component:
    """One component of a page that has several, found by its `elem_id`."""

    def __init__(self, page: CallPage, name: str) -> None:
        self._page = page
        self._name = name

    def press(self) -> None:
        """Press the component's button: start, or stop."""
        button = self._page.page.locator(f"#{self._name}").get_by_test_id("webrtc-button")
        button.click(timeout=WAIT_MS)

    def wait_for_state(self, state: str) -> None:
        """Return when the component's `data-state` is `state`."""
        selector = f"#{self._name}[data-state={state}]"
        self._page.page.locator(selector).wait_for(timeout=WAIT_MS)

    def hold_a_session(self) -> None:
        """Call, hear the answer, and hang up."""
        begin_s = self._page.received_s
        self.press()
        self.wait_for_state("open")
        self._page.wait_for_audio(after_s=begin_s)
        self.press()
        self.wait_for_state("idle")


class Chromium:
    """A running Chromium whose pages can be called from."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def close_pages(self) -> None:
        """Close every page, as a user closes windows, whatever state they are in."""
        for context in self._browser.contexts:
            context.close()

    def open(
        self,
        url: str,
        *,
        scheme: Scheme = "light",
        script: str = "",
        login: tuple[str, str] | None = None,
        is_shown: bool = True,
        is_recorded: bool = True,
    ) -> CallPage:
        """Open `url` in a window of its own, and return when its first component is shown.

        Args:
            url: The page's address.
            scheme: The colours that the user prefers.
            script: JavaScript that runs in the page before the page's own.
            login: The user's name and password, where the page asks for them.
            is_shown: False when the page shows no component at first: returns at once.
            is_recorded: False for a page whose policy admits no recorder.
        """
        size: ViewportSize = {"width": 1100, "height": 720}
        # Certificates of tests are signed by nobody.
        context = self._browser.new_context(
            viewport=size, color_scheme=scheme, ignore_https_errors=True
        )
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(_RECORDER + script if is_recorded else script)
        page = context.new_page()
        call = CallPage(page)
        page.on("console", lambda message: _note_console(call, message))
        page.on("pageerror", lambda error: call.problems.append(f"exception: {error}"))
        page.on("request", lambda request: _note_request(call, request))
        page.on("requestfailed", lambda request: _note_failure(call, request))
        page.goto(url, wait_until="domcontentloaded")
        if login is not None:
            for label, text in zip(("username", "password"), login, strict=True):
                page.get_by_label(label).fill(text)
            page.get_by_role("button", name="Login").click()
        if is_shown:
            page.get_by_test_id("webrtc").first.wait_for(timeout=WAIT_MS)
        return call


@contextmanager
def chromium(
    playwright: Playwright,
    microphone: Path | None = None,
    *,
    refuse: bool = False,
    plays_at_once: bool = True,
    network: Network | None = None,
) -> Iterator[Chromium]:
    """Start Chromium, and end it with the block.

    Args:
        playwright: The driver. A thread can have only one at a time.
        microphone: The WAV file that each page gets as its microphone, once; without it,
            Chromium's own beeps.
        refuse: The user refuses when a page asks for the microphone.
        plays_at_once: False if it plays audio only after a click, as outside of tests.
        network: The network in which it runs; by default the machine's.
    """
    flags = [*_FLAGS, "--deny-permission-prompts" if refuse else "--use-fake-ui-for-media-stream"]
    gesture = "no-user-gesture" if plays_at_once else "document-user-activation"
    flags.append(f"--autoplay-policy={gesture}-required")
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with TemporaryDirectory() as folder:
        program = network.script(Path(folder), CHROMIUM) if network else CHROMIUM
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def _note_console(call: CallPage, message: ConsoleMessage) -> None:
    if message.type in {"error", "warning"}:
        url = message.location["url"]
        call.problems.append(f"{message.type}: {message.text} ({url})")


def _note_failure(call: CallPage, request: Request) -> None:
    # Gradio's page cancels requests itself: its stream of events when it expects none any more.
    if request.failure != "net::ERR_ABORTED":
        call.problems.append(f"failed: {request.url}: {request.failure}")


def _note_request(call: CallPage, request: Request) -> None:
    address = urlsplit(request.url)
    if address.scheme in {"http", "https", "ws", "wss"} and address.hostname != "127.0.0.1":
        call.problems.append(f"left this machine: {request.url}")

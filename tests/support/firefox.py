"""Firefox, driven over WebDriver BiDi, which it speaks itself: no driver program is needed.

Its microphone hums and its camera shows changing colours, both of Firefox's own making.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import av
import numpy as np
from websockets.sync.client import ClientConnection, connect

from .networks import prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from .networks import Network

FIREFOX = "/usr/bin/firefox-esr"
"""The distribution's browser."""

MICROPHONE_HZ = 700
"""The tone that the pages get as their microphone."""

RATE_HZ = 48_000
"""The rate of a recording."""

WAIT_S = 120
"""The time that the browser may take to start, and a state of the page to come."""

_RECORDER = """() => {
  // Web Audio stands still on a machine without an audio device; a media recorder does not.
  let chunks = [];
  // A track takes the place of the one before, as when WebRTC does not connect.
  function record(track) {
    if (track.kind !== "audio") return;
    const own = (chunks = []);
    window.__recorder = new MediaRecorder(new MediaStream([track]));
    window.__recorder.ondataavailable = ({ data }) => own.push(data);
    window.__recorder.start();
    window.__recordingSince = performance.now();
  }
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      this.addEventListener("track", ({ track }) => record(track));
    }
  };
  // Without WebRTC the page makes the track itself.
  const createDestination = AudioContext.prototype.createMediaStreamDestination;
  AudioContext.prototype.createMediaStreamDestination = function () {
    const node = createDestination.call(this);
    record(node.stream.getAudioTracks()[0]);
    return node;
  };
  window.__recording = () => new Promise((resolve) => {
    window.__recorder.onstop = () => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(",")[1]);
      reader.readAsDataURL(new Blob(chunks));
    };
    window.__recorder.stop();
  });
}"""
_ADDRESS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
_PREFERENCES: dict[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.navigator.audio.fake_frequency": MICROPHONE_HZ,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Media stays on 127.0.0.1, and no candidate is hidden behind a name that needs mDNS.
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.peerconnection.ice.default_address_only": False,
    # It would fetch a video codec from the network. VP8 is its own.
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-manager.url": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "",
}


class FirefoxPage:
    """One tab with one `WebRTC` component."""

    def __init__(self, session: _Session) -> None:
        self._session = session

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression or promise: a string, a number or a truth value.

        Raises:
            AssertionError: It threw.
        """
        answer = self._session.command(
            "script.evaluate",
            expression=expression,
            target={"context": self._session.tab},
            awaitPromise=True,
            # As a user's: audio may start.
            userActivation=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Return when a JavaScript condition holds; the page looks at it 20 times a second.

        Raises:
            AssertionError: It took longer than `WAIT_S`.
        """
        waiting = f"""new Promise((resolve) => {{
            const end = performance.now() + {WAIT_S * 1000};
            (function look() {{
                if ({condition}) resolve(true);
                else if (performance.now() > end) resolve(false);
                else setTimeout(look, 50);
            }})();
        }})"""
        assert self.evaluate(waiting), f"in vain: {condition}\n{self.describe()}"

    def wait_for_state(self, state: str) -> None:
        """Return when the component's `data-state` is `state`."""
        self.wait_for(f"document.querySelector('[data-testid=webrtc][data-state={state}]')")

    def press(self) -> None:
        """Press the component's button: start, or stop."""
        self.evaluate("document.querySelector('[data-testid=webrtc-button]').click()")

    def describe(self) -> str:
        """The text of the page, for the message of a failed test."""
        return str(self.evaluate("document.body.innerText"))

    def wait_for_audio(self, seconds: float) -> None:
        """Return when the page has received audio, or silence, for so long."""
        self.wait_for(f"performance.now() - window.__recordingSince > {1000 * seconds}")

    def recording(self) -> NDArray[np.float32]:
        """All audio that the page has received, (samples,) from -1 to 1 at `RATE_HZ`; once."""
        file = io.BytesIO(base64.b64decode(self.evaluate("__recording()")))
        resampler = av.AudioResampler("fltp", "mono", RATE_HZ)
        with av.open(file, "r") as container:
            frames = [
                each for frame in container.decode(audio=0) for each in resampler.resample(frame)
            ]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])

    def screenshot(self, path: Path) -> None:
        """Leave a screenshot of the page."""
        answer = self._session.command(
            "browsingContext.captureScreenshot", context=self._session.tab
        )
        path.write_bytes(base64.b64decode(answer["data"]))


class _Session:
    """The conversation with one Firefox: a command, its answer, the next command."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.command("session.new", capabilities={})
        (tab,) = self.command("browsingContext.getTree")["contexts"]
        self.tab: str = tab["context"]

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(WAIT_S + 30))).get("id") != number:
            assert message["type"] == "event", message
        assert message["type"] == "success", f"{method}: {message}"
        return dict(message["result"])


@contextmanager
def firefox(
    url: str,
    profile: Path,
    *,
    script: str = "",
    network: Network | None = None,
    audio_server: str | None = None,
) -> Iterator[FirefoxPage]:
    """Open `url` in a Firefox of its own, which ends with the block.

    Args:
        url: The page's address.
        profile: An empty folder.
        script: JavaScript that runs in the page before the page's own.
        network: The network in which it runs; by default the machine's.
        audio_server: The address of one, without which Web Audio stands still; see `audio_server`.
    """
    lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile)]
    with subprocess.Popen(
        [*prefix_of(network), *command, "--remote-debugging-port=0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ({"PULSE_SERVER": audio_server} if audio_server else {}),
    ) as browser:
        try:
            address = _address(browser)
            # Nobody reads what it writes from here on, and a full pipe would stop it.
            threading.Thread(target=browser.communicate, daemon=True).start()
            port = urlsplit(address).port
            assert port is not None
            connection = network.connect(port) if network else None
            with connect(f"{address}/session", sock=connection, max_size=None) as socket:
                yield _open(url, _Session(socket), script)
        finally:
            browser.terminate()
            browser.wait(WAIT_S)


def _address(browser: subprocess.Popen[str]) -> str:
    """The address at which it listens, which it writes as soon as it does."""
    written: list[str] = []
    assert browser.stderr is not None
    for line in browser.stderr:
        if found := _ADDRESS.search(line):
            return found[1]
        written.append(line)
    raise AssertionError(f"Firefox ended before it listened:\n{''.join(written)}")


def _open(url: str, session: _Session, script: str) -> FirefoxPage:
    for function in (_RECORDER, f"() => {{ {script} }}"):
        session.command("script.addPreloadScript", functionDeclaration=function)
    session.command("browsingContext.navigate", context=session.tab, url=url, wait="complete")
    page = FirefoxPage(session)
    page.wait_for("document.querySelector('[data-testid=webrtc-button]')")
    return page

"""Handlers, `testing` and transports work where there is neither Gradio nor FastAPI."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gradio_webrtc

WEB = ("gradio", "gradio_client", "fastapi", "starlette", "uvicorn", "pandas")

OF_A_PAGE = {"WebRTC", "Stream", "UIArgs"}
"""The public names that are nothing without a page or a route."""

REFUSED = f"""
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WEB!r}:
            raise ModuleNotFoundError(name + " is not installed", name=name)

sys.meta_path.insert(0, Refusal())
"""
"""Has an interpreter behave as if those packages were not installed."""

SIMULATED = """
import numpy as np
from gradio_webrtc import AsyncStreamHandler, ReplyOnPause, StreamHandler
from gradio_webrtc.testing import simulate

class Echo(StreamHandler):
    frame = None
    def receive(self, frame):
        self.frame = frame
    def emit(self):
        frame, self.frame = self.frame, None
        return frame
    def copy(self):
        return Echo()

class Recorder(AsyncStreamHandler):
    async def receive(self, frame):
        self.frames = getattr(self, "frames", 0) + 1
    async def emit(self):
        return None
    def copy(self):
        return self

def greet():
    yield 24_000, np.full(4_800, 8_000, np.int16)

second = (16_000, np.full(16_000, 1_000, np.int16))
assert np.abs(simulate(Echo(), second).audio[1]).max() > 500
recorder = Recorder()
simulate(recorder, second)
assert recorder.frames >= 50, recorder.frames
greeter = ReplyOnPause(lambda audio: None, startup_fn=greet)
assert np.abs(simulate(greeter, second).audio[1]).max() > 4_000
"""

TRANSPORTS = """
import gradio_webrtc._session.manager
import gradio_webrtc._session.signaling
import gradio_webrtc._transport.link
import gradio_webrtc._transport.telephone
import gradio_webrtc._transport.webrtc
import gradio_webrtc._transport.websocket
"""


def loaded_by(program: str) -> set[str]:
    """The packages of `WEB` that a program loads in an interpreter of its own."""
    program += (
        f"\nimport sys\nprint(*({set(WEB)!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import gradio_webrtc",
        "from gradio_webrtc import "
        + ", ".join(name for name in gradio_webrtc.__all__ if name not in OF_A_PAGE),
        "from gradio_webrtc import errors, reply_on_pause, testing, tracks, types, utils",
        TRANSPORTS,
        SIMULATED,
    ],
    ids=["the package", "every name", "public modules", "transports", "simulated"],
)
def test_a_program_without_a_page_loads_nothing_of_the_web(program: str) -> None:
    assert loaded_by(program) == set()


@pytest.mark.parametrize("program", [TRANSPORTS, SIMULATED], ids=["transports", "simulated"])
def test_a_program_without_a_page_runs_where_gradio_is_not_installed(program: str) -> None:
    assert loaded_by(REFUSED + program) == set()


def test_the_component_is_there_as_soon_as_somebody_asks_for_it() -> None:
    assert "gradio" in loaded_by("from gradio_webrtc import WebRTC")


def test_gradio_finds_the_component_by_its_name() -> None:
    program = (
        "import gradio, gradio_webrtc, gradio.utils\n"
        "found = gradio.utils.component_or_layout_class('webrtc')\n"
        "assert found is gradio_webrtc.WebRTC, found"
    )
    assert "gradio" in loaded_by(program)

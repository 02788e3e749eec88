"""Programs of the shapes of fastrtc's 26 demos, and stand-ins for all that they would reach.

A file of tests imports the fixtures, too, which then serve all of its tests.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

import gradio as gr
import httpx
import numpy as np
import pytest

from gradio_webrtc import Stream
from gradio_webrtc._turns import text_to_speech

from .signals import speech_at_48k
from .vendors import Kokoro, speak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PROGRAMS = Path(__file__).parent.parent / "guide" / "fastrtc"
NAMES = sorted(each.stem for each in PROGRAMS.glob("*.py"))

ICE_SERVER = {"urls": "turn:127.0.0.1:9?transport=tcp", "username": "a", "credential": "b"}
"""A relay that refuses at once: what is asked for credentials gives this."""


def serve_outside(request: httpx.Request) -> httpx.Response:
    """A stand-in for all servers on the internet."""
    if request.url.path.endswith("/bytes"):
        return httpx.Response(200, content=speak())
    servers = [ICE_SERVER]
    return httpx.Response(200, json={"iceServers": servers, "ice_servers": servers})


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand-ins for the services and the weights that the package itself would ask for."""
    with httpx.Client(transport=httpx.MockTransport(serve_outside)) as client:
        monkeypatch.setattr(httpx, "request", client.request)
        monkeypatch.setattr(httpx, "stream", client.stream)
        for name in ("HF_TOKEN", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "CARTESIA_API_KEY"):
            monkeypatch.setenv(name, f"the {name}")
        package: Any = ModuleType("kokoro_onnx")
        package.__spec__, package.Kokoro = sys.__spec__, Kokoro
        monkeypatch.setitem(sys.modules, "kokoro_onnx", package)
        monkeypatch.setattr(text_to_speech, "_download", lambda file: file)
        yield
    text_to_speech._load.cache_clear()  # noqa: SLF001  # the next test has Kokoro itself, or none


@pytest.fixture(autouse=True)
def kept_log() -> Iterator[None]:
    """A program may set up the log of the package."""
    logger = logging.getLogger("gradio_webrtc")
    level, handlers = logger.level, [*logger.handlers]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def load(name: str) -> Any:
    """A program, imported for the first time; launching its page does nothing."""
    spec = importlib.util.spec_from_file_location(f"fastrtc_{name}", PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    with (
        mock.patch.dict(sys.modules, {spec.name: program}),
        mock.patch.object(gr.Blocks, "launch"),
    ):
        spec.loader.exec_module(program)
    check_pages(program)
    return program


def check_pages(program: ModuleType) -> None:
    """The pages of a program have a component each."""
    streams = [each for each in vars(program).values() if isinstance(each, Stream)]
    pages = [each.ui for each in streams] or [program.demo]
    for page in pages:
        kinds = [each["type"] for each in page.get_config_file()["components"]]
        assert kinds.count("webrtc") == 1


@cache
def goodbye() -> NDArray[np.int16]:
    """One word, int16 ``(n,)`` at 48 kHz, behind a moment of silence."""
    word = speech_at_48k("asterisk_demo_thanks_16k")[: 48_000 * 11 // 10]
    return np.append(np.zeros(9_600, np.int16), word)

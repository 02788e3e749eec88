"""Callbacks of a handler that can never work as they are written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gradio_webrtc import AsyncStreamHandler, AudioVideoStreamHandler, StreamHandler
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc.testing import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAID = (48_000, np.zeros(24_000, np.int16))


class Fine(StreamHandler):
    def copy(self) -> Any:
        return type(self)()

    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return None


class FineAsync(AsyncStreamHandler):
    def copy(self) -> Any:
        return type(self)()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        return None


class CorrectVideo(AudioVideoStreamHandler):
    def copy(self) -> Any:
        return type(self)()

    def video_receive(self, frame: Any) -> None: ...

    def video_emit(self) -> Any:
        return None


@pytest.mark.parametrize(
    ("kind", "name", "method", "write"),
    [
        (Fine, "receive", lambda _self: None, r"def receive\(self, frame\)"),
        (Fine, "receive", lambda _self, _rate, _samples: None, r"def receive\(self, frame\)"),
        (Fine, "emit", lambda _self, _frame: None, r"def emit\(self\)"),
        (Fine, "start_up", lambda _self, _call: None, r"def start_up\(self\)"),
        (Fine, "shutdown", lambda _self, _call: None, r"def shutdown\(self\)"),
        (Fine, "copy", lambda _self, _call: None, r"def copy\(self\)"),
        (FineAsync, "receive", lambda _self: None, r"def receive\(self, frame\)"),
        (CorrectVideo, "video_receive", lambda _self: None, r"def video_receive\(self, frame\)"),
        (CorrectVideo, "video_emit", lambda _self, _n: None, r"def video_emit\(self\)"),
    ],
)
async def test_one_that_takes_other_arguments_is_refused_when_the_page_is_built(
    kind: Any, name: str, method: Callable[..., Any], write: str
) -> None:
    handler = type("Odd", (kind,), {name: method})()
    modality: Any = "audio-video" if kind is CorrectVideo else "audio"
    with pytest.raises(TypeError, match=rf"Odd\.{name} cannot be called as it is.*{write}"):
        make_template(handler, "send-receive", modality)


async def test_defaults_and_further_arguments_are_accepted() -> None:
    class Roomy(Fine):
        def receive(self, *args: Any, **options: Any) -> None: ...

        def emit(self, timeout_s: float = 1.0) -> Any: ...

    make_template(Roomy(), "send-receive", "audio")


def decorated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any) -> Any:
        return method(*args)

    return call


@pytest.mark.parametrize("kind", [Fine, FineAsync])
def test_a_generator_behind_a_decorator_is_reported_at_the_first_frame(kind: Any) -> None:
    def receive(_self: Any, frame: Any) -> Iterator[Any]:
        yield frame

    call = simulate(type("Hidden", (kind,), {"receive": decorated(receive)})(), SAID)
    (event,) = (event for event in call.events if event.name == "error")
    assert "receive returned a generator" in str(event.data["error"])
    assert "ReplyOnPause(fn)" in str(event.data["error"])

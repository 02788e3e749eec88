"""The plainest handlers, and one that is bound to a session."""

from __future__ import annotations

from typing import Any

from gradio_webrtc import ReplyOnPause, StreamHandler

from .fake_session import FakeSession


class Plain(StreamHandler):
    def receive(self, frame: Any) -> None: ...

    def emit(self) -> Any:
        return None

    def copy(self) -> Any:
        return type(self)()


class OwnEmit(ReplyOnPause):
    def emit(self) -> Any:
        return super().emit()


class OwnReceive(ReplyOnPause):
    def receive(self, frame: Any) -> None:
        super().receive(frame)


def echo(audio: Any) -> Any:
    yield audio


def bound(template: Any) -> Any:
    handler = template.copy()
    handler.bind(FakeSession())
    return handler

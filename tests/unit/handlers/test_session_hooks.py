"""The functions of a handler that a session calls, in place of ``emit`` and ``receive``."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from support.plain_handlers import OwnEmit, OwnReceive, Plain, bound, echo

from gradio_webrtc import AsyncStreamHandler, ReplyOnPause


class PlainAsync(AsyncStreamHandler):
    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> Any:
        return None

    def copy(self) -> Any:
        return type(self)()


class OwnAsyncReceive(ReplyOnPause):
    async def receive(self, frame: Any) -> None:  # type: ignore[override]
        super().receive(frame)


@pytest.mark.parametrize("make", [Plain, PlainAsync])
async def test_they_are_receive_and_emit_by_default(make: Any) -> None:
    handler = bound(make())
    assert handler.session_receive == handler.receive
    assert handler.session_emit == handler.emit


@pytest.mark.parametrize("name", ["receive", "emit"])
async def test_what_a_program_sets_on_an_instance_is_called(name: str) -> None:
    handler = bound(Plain())
    own = object()
    setattr(handler, name, own)
    assert getattr(handler, f"session_{name}") is own


@pytest.mark.parametrize("name", ["session_receive", "session_emit"])
async def test_they_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(bound(Plain()), name, None)


async def test_a_reply_is_awaited_on_the_loop() -> None:
    handler = bound(ReplyOnPause(echo))
    assert handler.session_emit == handler.emit_async
    assert inspect.iscoroutinefunction(handler.session_emit)
    assert handler.session_receive == handler.receive
    assert not {"emit", "receive"} & vars(handler).keys()
    await handler.release()


async def test_an_emit_of_a_subclass_is_called_in_a_thread() -> None:
    handler = bound(OwnEmit(echo))
    assert handler.session_emit == handler.emit
    await handler.release()


async def test_a_receive_of_a_subclass_is_called_as_a_whole_unless_it_is_async() -> None:
    handler, other = bound(OwnReceive(echo)), bound(OwnAsyncReceive(echo))
    assert handler.session_receive == handler._rtc_receive_whole  # noqa: SLF001 - it has no other name
    assert other.session_receive == other.receive
    await handler.release()
    await other.release()


async def test_an_emit_that_is_set_on_a_reply_on_pause_counts_from_bind_on() -> None:
    own = object()
    template: Any = ReplyOnPause(echo)
    template.emit = own
    handler = bound(template)
    assert handler.session_emit == handler.emit_async, "a copy has the emit of its class"
    handler.emit = own
    assert handler.session_emit is own
    await handler.release()

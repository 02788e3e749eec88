"""A session whose client sets inputs and reads outputs by itself, without Gradio's page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from support.transports import Line

from gradio_webrtc import AdditionalOutputs, AsyncStreamHandler
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._session.session import Session

if TYPE_CHECKING:
    import pytest


class Silent(AsyncStreamHandler):
    """Emits nothing, and notes its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[list[Any]] = []
        self.emitting = asyncio.Event()

    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        self.emitting.set()
        await asyncio.Event().wait()

    def set_args(self, args: list[Any]) -> None:
        self.inputs.append(args)

    def copy(self) -> Silent:
        return Silent()


async def test_a_client_that_may_sets_the_inputs_by_messages() -> None:
    handler = Silent()
    session = Session("client", Line(), handler, SessionConfig(mode="receive"))
    session.accept_inputs(lambda values: values if isinstance(values, list) else None)
    running = asyncio.get_running_loop().create_task(session.run())
    await asyncio.sleep(0.05)
    assert not handler.emitting.is_set(), "it waits for the inputs of a click"
    session.transport.on_message('{"type": "set_inputs"}')
    await handler.emitting.wait()
    assert handler.inputs == [], "without values the handler keeps its own"
    session.transport.on_message('{"type": "set_inputs", "data": [1]}')
    assert handler.inputs == [[1]]
    session.end("enough")
    await running
    session.transport.on_message('{"type": "set_inputs", "data": [2]}')
    assert handler.inputs == [[1]]


async def test_outputs_are_read_as_json_and_what_is_none_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = Session("client", Line(), Silent())
    running = asyncio.get_running_loop().create_task(session.run())
    await asyncio.sleep(0)
    for value in ("first", object(), "third"):
        session.put_outputs(AdditionalOutputs(value))
    await asyncio.sleep(0.05)
    assert session.read_outputs() == [["first"], ["third"]]
    assert session.read_outputs() == []
    assert "value 1 of AdditionalOutputs" in caplog.text
    session.end("enough")
    await running

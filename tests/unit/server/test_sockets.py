"""The carrier of a session over a WebSocket: its bounds, and its end from either side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect
from support.fake_websocket import FakeWebSocket
from support.transport_ends import PlainDialect

from gradio_webrtc._server import sockets as module
from gradio_webrtc._server.sockets import carry, receive, send
from gradio_webrtc._transport import OrderedTransport
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gradio_webrtc._transport import Wire


@pytest.fixture
async def transport() -> AsyncIterator[OrderedTransport]:
    made = OrderedTransport(PlainDialect())
    yield made
    await made.close()


async def carried(websocket: Any, transport: OrderedTransport, read: Any = lambda _: None) -> str:
    """Carries until the end, and returns the reason."""
    async with asyncio.timeout(5):
        await carry(websocket, transport, read)
    return await transport.wait_closed()


async def test_messages_are_received_until_the_client_leaves() -> None:
    websocket: Any = FakeWebSocket()
    websocket.client_sends("text")
    websocket.client_sends(b"bytes")
    websocket.client_leaves()
    assert [await receive(websocket) for _ in range(3)] == ["text", b"bytes", None]


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    websocket: Any = FakeWebSocket()
    websocket.client_sends("x" * (module.MAX_MESSAGE_BYTES + 1))
    with pytest.raises(ConnectionLost, match="more than"):
        await receive(websocket)
    assert websocket.code == module.TOO_LARGE
    # A frame of control has 125 bytes, of which the code takes two.
    assert 0 < len(websocket.reason) <= 123


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), RuntimeError("closed"), OSError()])
async def test_a_client_that_left_is_a_lost_connection(error: Exception) -> None:
    websocket: Any = FakeWebSocket()
    await send(websocket, "text")
    await send(websocket, b"bytes")
    assert websocket.sent == ["text", b"bytes"]
    websocket.breaks = error
    with pytest.raises(ConnectionLost):
        await send(websocket, "text")


async def test_what_the_client_sends_is_read_until_it_leaves(transport: OrderedTransport) -> None:
    websocket = FakeWebSocket()
    read: list[Wire] = []
    websocket.client_sends("one")
    websocket.client_leaves()
    assert await carried(websocket, transport, read.append) == "the client left"
    assert read == ["one"]
    assert websocket.code == module.NORMAL


async def test_the_server_closes_after_what_waits(transport: OrderedTransport) -> None:
    websocket = FakeWebSocket()
    carrying = asyncio.ensure_future(carried(websocket, transport))  # noqa: TID251  # awaited below
    transport.send_text("goodbye")
    await asyncio.sleep(0)
    await transport.close()
    assert await carrying == "closed by the server"
    assert websocket.sent == ["goodbye"]
    assert websocket.code == module.NORMAL


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), RuntimeError("closed"), OSError()])
async def test_a_websocket_that_is_closed_already_is_no_error(
    transport: OrderedTransport, error: Exception
) -> None:
    websocket = FakeWebSocket()
    websocket.breaks = error
    websocket.client_leaves()
    assert await carried(websocket, transport) == "the client left"


async def test_a_flood_of_messages_ends_the_session(transport: OrderedTransport) -> None:
    websocket = FakeWebSocket()
    read: list[Wire] = []
    # As many again as come in another ten seconds, which this cannot take.
    sent = 2 * round(module.MESSAGES_PER_S * module.AT_ONCE_S)
    for _ in range(sent):
        websocket.client_sends("x")
    assert await carried(websocket, transport, read.append) == "the client sent too much"
    assert len(read) < sent


async def test_a_flood_of_bytes_ends_the_session(transport: OrderedTransport) -> None:
    websocket = FakeWebSocket()
    read: list[Wire] = []
    for _ in range(8):
        websocket.client_sends("x" * module.MAX_MESSAGE_BYTES)
    assert await carried(websocket, transport, read.append) == "the client sent too much"
    assert len(read) == 5


async def test_others_have_their_turn_while_a_client_sends_without_a_pause(
    transport: OrderedTransport,
) -> None:
    websocket = FakeWebSocket()
    turns: list[int] = []
    read = 0

    def note(_wire: Wire) -> None:
        nonlocal read
        read += 1

    async def be_another() -> None:
        while websocket.code is None:
            turns.append(read)
            await asyncio.sleep(0)

    for _ in range(1000):
        websocket.client_sends("x")
    websocket.client_leaves()
    await asyncio.gather(carried(websocket, transport, note), be_another())
    assert read == 1000
    assert max(np.diff(turns)) <= 2


async def test_a_fault_of_ours_ends_one_session_and_is_logged(
    transport: OrderedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    websocket = FakeWebSocket()
    websocket.client_sends("x")

    def fail(_wire: object) -> None:
        raise KeyError("a fault")

    assert await carried(websocket, transport, fail) == "a fault of the server's"
    assert "could not be read" in caplog.text


async def test_a_server_that_ends_ends_the_session(transport: OrderedTransport) -> None:
    carrying = asyncio.ensure_future(carried(FakeWebSocket(), transport))  # noqa: TID251  # awaited below
    await asyncio.sleep(0)
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert await transport.wait_closed() == "the server closed the connection"

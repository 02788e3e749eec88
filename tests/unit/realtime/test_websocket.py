"""A WebSocket to a service on the loopback address, and the ways in which there is none."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from support.realtime_service import serving
from websockets.asyncio.server import ServerConnection, serve

from gradio_webrtc._realtime import websocket as module
from gradio_webrtc._realtime.line import ServiceLost, ServiceRefused
from gradio_webrtc._realtime.websocket import open_line

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

pytestmark = pytest.mark.network


async def test_events_go_there_and_back() -> None:
    async with serving() as (url, sides), open_line(url, {"X-Test": "yes"}) as line:
        assert json.loads(await line.receive())["type"] == "session.created"
        await line.send('{"type":"session.update","session":{}}')
        assert json.loads(await line.receive())["type"] == "session.updated"
        assert len(sides[0].received) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (HTTPStatus.UNAUTHORIZED, ServiceRefused),
        (HTTPStatus.FORBIDDEN, ServiceRefused),
        (HTTPStatus.NOT_FOUND, ServiceRefused),
        (HTTPStatus.FOUND, ServiceRefused),
        (HTTPStatus.TOO_MANY_REQUESTS, ServiceLost),
        (HTTPStatus.SERVICE_UNAVAILABLE, ServiceLost),
    ],
)
async def test_an_answer_of_http_is_a_refusal_or_an_invitation_to_try_again(
    status: HTTPStatus, error: Any
) -> None:
    async with serving() as (elsewhere, sides):

        def answer(connection: ServerConnection, request: Request) -> Response:
            assert request.headers["Authorization"] == "Bearer secret"
            response = connection.respond(status, "no")
            response.headers["Location"] = elsewhere
            return response

        async with serving(process_request=answer) as (url, _):
            with pytest.raises(error, match=str(status.value)) as raised:
                async with open_line(url, {"Authorization": "Bearer secret"}):
                    pass
        assert "secret" not in str(raised.value)
        assert sides == [], "a redirection is not followed: the key is for another address"


async def test_a_service_that_is_not_there_may_come_back() -> None:
    async with serving() as (url, _):
        pass
    with pytest.raises(ServiceLost, match="could not be reached"):
        async with open_line(url, {}):
            pass


async def test_a_server_that_never_answers_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_TIMEOUT_S", 0.05)
    left = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(be_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ServiceLost, match="could not be reached"):
        async with open_line(f"ws://127.0.0.1:{port}", {}):
            pass
    await left.wait()
    server.close()
    await server.wait_closed()


async def test_a_server_that_speaks_something_else_is_lost() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n" * 10)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ServiceLost, match="could not be reached"):
        async with open_line(f"ws://127.0.0.1:{port}", {}):
            pass
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("code", "error"),
    [(1000, ServiceLost), (1011, ServiceLost), (1008, ServiceRefused), (3000, ServiceRefused)],
)
async def test_the_end_of_a_connection_has_its_code_and_reason(code: int, error: Any) -> None:
    async def leave(socket: ServerConnection) -> None:
        await socket.close(code, "the reason")

    async with serve(leave, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with open_line(f"ws://127.0.0.1:{port}", {}) as line:
            with pytest.raises(error, match=f"code {code}: the reason"):
                await line.receive()
            with pytest.raises(error, match=f"code {code}"):
                await line.send("{}")


async def test_a_connection_that_breaks_off_is_lost() -> None:
    async def vanish(socket: ServerConnection) -> None:
        socket.transport.abort()

    async with serve(vanish, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with open_line(f"ws://127.0.0.1:{port}", {}) as line:
            with pytest.raises(ServiceLost, match="broke off"):
                await line.receive()


async def test_an_event_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENT_BYTES", 1000)

    async def flood(socket: ServerConnection) -> None:
        await socket.send("x" * 1001)
        await socket.wait_closed()

    async with serve(flood, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with open_line(f"ws://127.0.0.1:{port}", {}) as line:
            with pytest.raises(ServiceLost, match="1009"):
                await line.receive()


async def test_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as (url, _), open_line(url, {"Authorization": "Bearer secret"}) as line:
        await line.receive()
    assert "secret" not in caplog.text

"""The ends of links whose clients read nothing, or whose connections died without a sign."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets
from support.link_client import BYE, TEXT, WELCOME, split
from support.link_server import LinkServer
from websockets.asyncio.client import connect

from gradio_webrtc._server import ended_links
from gradio_webrtc._transport.link import LinkTerms, LinkTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAIT_S = 60.0
"""A busy machine takes seconds for what should take one."""


class End:
    """A link whose only client reads nothing.

    Attributes:
        transport: The link.
        server: Serves it.
        url: Its address.
        session: Its name and the secret.
    """

    def __init__(self, transport: LinkTransport, server: LinkServer, url: str) -> None:
        self.transport = transport
        self.server = server
        self.url = url
        self.session = ".".join(server.names.values())

    async def get(self, received: int = 0, session: str | None = None) -> httpx.Response:
        name = (session or self.session).encode()
        headers = {b"x-link-session": name, b"x-link-received": b"%d" % received}
        async with httpx.AsyncClient() as http:
            return await http.get(self.url, headers=headers)

    async def post(self) -> int:
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                self.url, headers={"x-link-session": self.session}, content=b""
            )
        return answer.status_code

    async def receive_websocket(self) -> bytes:
        """All that comes over a WebSocket."""
        options: Any = {"subprotocols": ["link", f"{self.session}.0"]}
        async with connect(self.url.replace("http", "ws"), **options) as carrier:
            return b"".join([each async for each in carrier if isinstance(each, bytes)])


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: link, {}.0\r\n\r\n"
)


@asynccontextmanager
async def stuck(carrier: str = "http") -> AsyncIterator[End]:
    """A client that opens a carrier, gets its head, and reads no more."""
    transport = LinkTransport(LinkTerms("opus"))
    server = LinkServer(transport, is_patient=True)
    end = End(transport, server, await server.start())
    host, port = end.url.split("/")[2].split(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)  # noqa: FBT003 - its only argument
        await loop.sock_connect(client, (host, int(port)))
        headers = f"X-Link-Session: {end.session}\r\nX-Link-Received: 0\r\n\r\n"
        if carrier == "websocket":
            headers = UPGRADE.format(end.session)
        request = f"GET /link HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}"
        await loop.sock_sendall(client, request.encode())
        assert await loop.sock_recv(client, 8) == b"HTTP/1.1"
        await transport.connect()
        try:
            yield end
        finally:
            async with asyncio.timeout(WAIT_S):
                await transport.close()
                await server.stop()


def kinds_in(wire: bytes) -> list[tuple[int, bytes]]:
    return [(kind, payload) for kind, _, payload in split(bytearray(wire)) if kind != WELCOME]


@pytest.mark.parametrize("carrier", ["http", "websocket"])
@pytest.mark.parametrize("messages", [1, 20])
async def test_a_server_stops_although_a_client_reads_nothing(messages: int, carrier: str) -> None:
    async with stuck(carrier) as end:
        # More than the kernel takes, or than the server, and less than ends the session.
        for _ in range(messages):
            end.transport.send_text("x" * 60_000)
        await end.transport.close()
        # The end of the block waits for the server.


@pytest.mark.parametrize("carrier", ["http", "websocket"])
async def test_a_client_whose_connection_died_gets_the_reason_over_another(carrier: str) -> None:
    async with stuck() as end:
        end.transport.send_text("the reason")
        await end.transport.close()
        # Its POSTs get through, over other connections: they lead it to open another GET.
        assert await end.post() == 410
        if carrier == "http":
            wire = (await end.get()).raise_for_status().content
        else:
            wire = await end.receive_websocket()
        assert kinds_in(wire) == [(TEXT, b"the reason"), (BYE, b"closed by the server")]
        # It had the message, and then not the end.
        assert [kind for kind, _ in kinds_in((await end.get(1)).content)] == [BYE]


async def test_strangers_get_no_reason() -> None:
    async with stuck() as end:
        await end.transport.close()
        for session in ("the-session.wrong", "the-session.", "another.wrong", "the-session.é"):
            assert (await end.get(session=session)).status_code == 404
        end.session = "the-session.wrong"
        with pytest.raises(websockets.InvalidStatus):
            await end.receive_websocket()


async def test_a_reason_is_kept_for_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_links, "KEPT_S", 0.0)
    async with stuck() as end:
        await end.transport.close()
        assert (await end.get()).status_code == 404
        assert await end.post() == 404


async def test_a_client_that_lacks_too_much_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_links, "MOST_BYTES", 100)
    async with stuck() as end:
        end.transport.send_text("x" * 200)
        await end.transport.close()
        assert (await end.get()).status_code == 404


async def test_of_too_many_links_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_links, "MOST_LINKS", 0)
    async with stuck() as end:
        await end.transport.close()
        assert (await end.get()).status_code == 404

"""A WebSocket of Starlette's without a network: the test plays the client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect


class FakeWebSocket:
    """What routes use of a WebSocket.

    Args:
        client: The address of the client; ``None`` for a server that has none.
        path: The path of the request.
        headers: Its headers, written with underscores.

    Attributes:
        sent: All messages to the client.
        code: The code with which the server closed it; ``None`` while it is open.
        is_accepted: True once the server accepted it.
        breaks: Set by a test in which nothing can be sent.
    """

    def __init__(
        self,
        client: str | None = "198.51.100.1",
        path: str = "/websocket/offer",
        scheme: str = "ws",
        **headers: str,
    ) -> None:
        fields = {"host": "voice.example", **headers}
        self.headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
        self.client = None if client is None else (client, 1)
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": scheme,
            "path": path,
            "root_path": "",
            "query_string": b"",
            "client": self.client,
            "server": ("198.51.100.7", 443),
        }
        self.sent: list[str | bytes] = []
        self.code: int | None = None
        self.is_accepted = False
        self.breaks: Exception | None = None
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    # The client's side

    def client_sends(self, message: object) -> None:
        """Sends an object as JSON; text and bytes as they are."""
        if isinstance(message, bytes):
            self._messages.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self._messages.put_nowait({"type": "websocket.receive", "text": text})

    def client_leaves(self) -> None:
        """Closes it."""
        self._messages.put_nowait({"type": "websocket.disconnect", "code": 1000})

    def objects(self) -> list[Any]:
        """What was sent, as objects."""
        return [json.loads(each) for each in self.sent]

    # The server's side

    async def accept(self) -> None:
        self.is_accepted = True

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send_text(self, text: str) -> None:
        await self._send(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.breaks is not None:
            raise self.breaks
        if self.code is not None:
            raise RuntimeError("it is closed already")
        self.code, self.reason = code, reason

    async def _send(self, wire: str | bytes) -> None:
        if self.breaks is not None:
            raise self.breaks
        if self.code is not None:
            raise WebSocketDisconnect(self.code)
        self.sent.append(wire)

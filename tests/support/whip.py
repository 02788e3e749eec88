"""Clients of WHIP and WHEP, made of aiortc: they send or play media, and have no data channel."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from .client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx
    from fastapi import FastAPI

SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


class Endpoint:
    """As much of a server as a `Client` needs, behind an endpoint.

    Attributes:
        reply: The last answer to an offer.
    """

    def __init__(self, http: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> None:
        self.reply: httpx.Response | None = None
        self._http = http
        self._path = path
        self._headers = {**SDP, **headers}

    async def handle_request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        content = body["sdp"].encode()
        self.reply = await self._http.post(self._path, content=content, headers=self._headers)
        if self.reply.status_code != 201:
            return {"status": "failed", "meta": self.reply.json()}
        return {"type": "answer", "sdp": self.reply.text, "secret": "", "webrtc_id": "none"}


class WhipClient(Client):
    """One client; `call` starts its session.

    Args:
        http: Sends the requests.
        path: That of the endpoint.
        microphone: The audio that it sends, int16 ``(n,)`` at 48 kHz; then silence.
        headers: Further headers of the offer.
        options: Those of `Client`. The mode "send" offers sendonly, "send-receive" sendrecv.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        path: str = "/whip",
        microphone: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.endpoint = Endpoint(http, path, headers or {})
        defaults = {"mode": "receive" if path.endswith("/whep") else "send"}
        server: Any = self.endpoint
        super().__init__(server, microphone, **(defaults | options))

    def open_channel(self, **_options: Any) -> None:
        """Opens none."""

    def send_inputs(self, *inputs: Any) -> None:
        """Sends none: it has no page."""
        assert not inputs

    @property
    def reply(self) -> httpx.Response:
        """The answer to the offer."""
        assert self.endpoint.reply is not None
        return self.endpoint.reply

    @property
    def location(self) -> str:
        """The address of the session."""
        return str(self.reply.headers["location"])


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """Serves an app on the loopback address of this event loop, for clients elsewhere."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.get_running_loop().create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task

"""The routes of links in an app of this process, behind a real server on the loopback address."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from gradio_webrtc._server.link import LinkRoutes
from gradio_webrtc._session.origins import Site
from gradio_webrtc.errors import SessionUnknown

if TYPE_CHECKING:
    from gradio_webrtc._transport import LinkTransport

SECRET = "a-secret-that-nobody-guesses"  # noqa: S105 - of a test


class WithoutSignals(uvicorn.Server):
    """A server beside others on one event loop, which leaves signals alone."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


class AppServer:
    """Serves an app.

    Args:
        app: Any ASGI app.
        is_patient: True to wait at the end for all clients, as uvicorn does by default, and to
            notice soon that one reads nothing: little waits in its connection.

    Attributes:
        root: Its address, once it is started.
    """

    def __init__(self, app: Any, *, is_patient: bool = False) -> None:
        self.root = ""
        self._is_patient = is_patient
        grace_s = None if is_patient else 5
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", timeout_graceful_shutdown=grace_s
        )
        self._server = WithoutSignals(config)
        self._listening: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Starts it; returns its address."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        if self._is_patient:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.root = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        serving = self._server.serve([self._listening])
        self._task = asyncio.get_running_loop().create_task(serving)
        return self.root

    async def stop(self) -> None:
        """Stops it; safe to repeat."""
        if self._task is not None and self._listening is not None:
            self._server.should_exit = True
            await self._task
            self._listening.close()


class LinkServer(AppServer):
    """Serves the link of one transport, without a session.

    Args:
        transport: The transport.
        is_patient: As for `AppServer`.

    Attributes:
        names: The session and the secret, as an answer has them.
    """

    def __init__(self, transport: LinkTransport, *, is_patient: bool = False) -> None:
        self.names = {"webrtc_id": "the-session", "secret": SECRET}
        self._transport = transport
        routes = LinkRoutes()
        routes.serve(self, Site())  # type: ignore[arg-type]  # the part of it that is needed
        app = FastAPI()
        app.router.add_websocket_route("/link", routes.websocket)
        app.add_api_route("/link", routes.get, methods=["GET"])
        app.add_api_route("/link", routes.post, methods=["POST"])
        super().__init__(app, is_patient=is_patient)

    async def start(self) -> str:
        return f"{await super().start()}/link"

    def find_link(self, webrtc_id: object, secret: object) -> LinkTransport:
        """As `Signaling.find_link`."""
        names = {"webrtc_id": webrtc_id, "secret": secret}
        if names != self.names or self._transport.is_over:
            raise SessionUnknown
        return self._transport

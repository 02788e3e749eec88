"""The route ``/websocket/offer``, for clients that speak fastrtc's own protocol over a WebSocket.

`_transport.websocket` has the protocol. A session over it is one like any other: with its limits,
its messages, its inputs and its outputs. Runs on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import WebSocket  # noqa: TC002 - FastAPI reads the annotations of routes

from gradio_webrtc._transport import (
    LEAD_S,
    MediaDialect,
    MediaReader,
    OrderedTransport,
    read_encoding,
)
from gradio_webrtc.errors import AudioError, ConnectionLost, InvalidOffer

from .newcomers import ending_session, receive_start, refuse
from .sockets import carry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import APIRouter

    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._session.manager import SessionManager
    from gradio_webrtc._session.origins import Site

PATH: Final = "/websocket/offer"


class StartedSocket:
    """The transport factory of a client that sent a ``start``; see `TransportFactory`.

    Args:
        start: The object that it sent.

    Attributes:
        dialect: Writes what the session sends, once `check` was called.
        transport: The connection, once `make` was called.
    """

    dialect: MediaDialect
    transport: OrderedTransport

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._start = start

    def check(self, config: SessionConfig) -> None:
        """Reads the start."""
        check_has_audio(config)
        self.dialect = MediaDialect(read_encoding(self._start))

    def make(self, config: SessionConfig) -> OrderedTransport:
        """Returns the connection, not yet open."""
        self.transport = OrderedTransport(self.dialect, config, lead_s=LEAD_S)
        return self.transport

    async def answer(self) -> None:
        """Does nothing: the client waits for no answer."""


def check_has_audio(config: SessionConfig) -> None:
    """Raises `InvalidOffer` unless a client without video can take part."""
    if not config.has_audio:
        raise InvalidOffer("this stream has video alone: connect over WebRTC")


class WebSocketRoute:
    """Holds the sessions of clients that connect to ``/websocket/offer``.

    Args:
        sessions: Admits them.
        site: The addresses of the server, and the origins of pages that may call from elsewhere.
    """

    def __init__(self, sessions: SessionManager, site: Site) -> None:
        self._sessions = sessions
        self._site = site

    def add_to(self, router: APIRouter) -> None:
        """Adds the route."""
        router.add_api_websocket_route(PATH, self.open, name="websocket_offer")

    async def open(self, websocket: WebSocket) -> None:
        """Holds the session of one client, from its WebSocket to the end."""
        try:
            start = await receive_start(websocket, self._site, self._site.trusted_proxies)
            await self._hold(websocket, start)
        except ConnectionLost:
            return
        except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever went wrong
            await refuse(websocket, error)

    async def _hold(self, websocket: WebSocket, start: Mapping[str, Any]) -> None:
        offered = StartedSocket(start)
        alias = start.get("websocket_id")
        _, session = await self._sessions.admit(offered, alias, websocket)
        handler, transport = session.handler, offered.transport
        try:
            offered.dialect.set_rate(handler.output_sample_rate)
        except AudioError:
            session.end("")
            raise
        reader = MediaReader(transport, offered.dialect.encoding, lambda: handler.input_sample_rate)
        await carry(websocket, transport, ending_session(session, reader.read))

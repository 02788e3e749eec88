"""WebSockets of clients that have not asked for a session yet.

Anybody can open one and stay silent. So each has a few seconds, and their number is bounded: the
oldest is closed for a new one, so that a flood of silent ones keeps out nobody who speaks at once.
Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc._messages import decode_message
from gradio_webrtc._session.client_address import client_address
from gradio_webrtc._session.origins import check_socket
from gradio_webrtc._session.reporting import report_error
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc._transport import BrokenMessage
from gradio_webrtc._workers.per_loop import PerLoop
from gradio_webrtc.errors import (
    ConnectionLost,
    InvalidOffer,
    RequestFailed,
    RequestRefused,
    SignalingError,
)

from .sockets import NORMAL, receive, send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from fastapi import WebSocket

    from gradio_webrtc._session.origins import Site
    from gradio_webrtc._session.session import Session
    from gradio_webrtc._transport import Wire

START_TIMEOUT_S: Final = 5.0
"""The time that a client has from the WebSocket to its ``start``, in seconds. Clients send it at
once; a packet that was lost twice comes within three."""

MAX_PER_ADDRESS: Final = 16
"""WebSockets without a ``start`` of one address. Behind a proxy many clients may share one."""

MAX_IN_ALL: Final = 256
"""And of all addresses. Each takes some 50 kB."""

MAX_MESSAGES: Final = 16
"""Messages before the ``start``: a client may ask whether the server is there."""

MAX_START_CHARS: Final = 64 * 1024
"""The longest ``start``: with as many parameters as a telephone service passes on."""


class Newcomers:
    """The WebSockets of one event loop whose clients have not asked for a session yet."""

    def __init__(self) -> None:
        # In the order in which they came.
        self._limits: dict[asyncio.Timeout, str] = {}

    def __len__(self) -> int:
        return len(self._limits)

    @asynccontextmanager
    async def entering(self, address: str) -> AsyncIterator[None]:
        """Holds a place for the length of a block.

        Args:
            address: The client's, by which they are counted.

        Raises:
            TimeoutError: `START_TIMEOUT_S` has passed, or the place went to a newer one.
        """
        own = [limit for limit, other in self._limits.items() if other == address]
        self._make_room(own, MAX_PER_ADDRESS)
        self._make_room(self._limits, MAX_IN_ALL)
        async with asyncio.timeout(START_TIMEOUT_S) as limit:
            self._limits[limit] = address
            try:
                yield
            finally:
                self._limits.pop(limit, None)

    def _make_room(self, limits: Iterable[asyncio.Timeout], most: int) -> None:
        held = [limit for limit in limits if limit in self._limits]
        for limit in held[: max(0, len(held) - most + 1)]:
            del self._limits[limit]
            limit.reschedule(asyncio.get_running_loop().time())


_newcomers: Final = PerLoop(Newcomers)


async def receive_start(
    websocket: WebSocket, site: Site, trusted_proxies: Iterable[str]
) -> Mapping[str, Any]:
    """Accepts a WebSocket and returns the client's ``start``.

    Args:
        websocket: The client's, not accepted yet.
        site: The addresses of the server.
        trusted_proxies: Proxies that name the client's address.

    Raises:
        ConnectionLost: The client may not call, or has left; the WebSocket is closed.
        InvalidOffer: It sent something else, or nothing in time.
    """
    try:
        check_socket(websocket, site)
    except RequestRefused as error:
        await websocket.close()
        raise ConnectionLost("the client was refused") from error
    try:
        async with _newcomers.here().entering(client_address(websocket, trusted_proxies)):
            await websocket.accept()
            return await _find_start(websocket)
    except TimeoutError as error:
        raise InvalidOffer(f'expected "start" within {START_TIMEOUT_S:g} s') from error


async def _find_start(websocket: WebSocket) -> Mapping[str, Any]:
    for _ in range(MAX_MESSAGES):
        wire = await receive(websocket)
        if wire is None:
            raise ConnectionLost("the client left")
        message = decode_message(wire) if len(wire) <= MAX_START_CHARS else None
        match None if message is None else message.get("event"):
            case "start" if message is not None:
                return message
            case "ping":
                await send(websocket, '{"event":"pong"}')
            case "connected":
                continue
            case _:
                break
    raise InvalidOffer('expected an object with the event "start" first')


async def refuse(websocket: WebSocket, error: Exception) -> None:
    """Sends the client the reason why it gets no session, and closes its WebSocket.

    Args:
        websocket: The client's, accepted.
        error: A `SignalingError` as it is; of any other nothing but an id, which is in the log.
    """
    if not isinstance(error, SignalingError):
        shown = report_error(error, "the start of a session", "the client is refused")
        error = RequestFailed("" if shown is None else shown.text)
    with suppress(ConnectionLost, RuntimeError, OSError):
        await send(websocket, json.dumps(refusal_of(error)))
        await websocket.close(NORMAL)


def ending_session(session: Session, read: Callable[[Wire], None]) -> Callable[[Wire], None]:
    """Returns a reader that ends a session, with the reason for its client, at a broken message."""

    def read_or_end(wire: Wire) -> None:
        try:
            read(wire)
        except BrokenMessage as error:
            session.end(str(error), InvalidOffer.code)

    return read_or_end

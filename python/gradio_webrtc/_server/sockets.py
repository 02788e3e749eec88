"""The WebSockets of clients whose sessions run over an ordered connection.

Starlette's WebSocket on one side, an `OrderedTransport` on the other; the routes read the messages.
Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from fastapi import WebSocketDisconnect

from gradio_webrtc._transport import TokenBucket
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import WebSocket

    from gradio_webrtc._transport import OrderedTransport, Wire

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""The largest message of a client that is looked at; a larger one ends its connection. A second of
uncompressed audio in Base64 has an eighth of it."""

MESSAGES_PER_S: Final = 500
"""Messages that a client may send in a second, in the long run: one for each 128 samples, which is
what an AudioWorklet gets at once, at 48 kHz, and a few more."""

BYTES_PER_S: Final = 512 * 1024
"""Bytes of them, in the long run: four times as many as uncompressed audio at 48 kHz has."""

AT_ONCE_S: Final = 10.0
"""Seconds of each that may come at once, as `AUDIO_AT_ONCE_S`."""

TOO_LARGE: Final = 1009
NORMAL: Final = 1000
"""Codes of the end of a WebSocket (RFC 6455 section 7.4.1)."""


async def receive(websocket: WebSocket) -> Wire | None:
    """Returns the client's next message; ``None`` once it has left.

    Raises:
        ConnectionLost: The message is too large.
    """
    # The server returns a message that waits at once: thousands of a client that sends without a
    # pause would leave no turn to others.
    await asyncio.sleep(0)
    try:
        message = await websocket.receive()
    except WebSocketDisconnect:
        return None
    if message["type"] != "websocket.receive":
        return None
    wire: Wire | None = message.get("text")
    if wire is None:
        wire = message.get("bytes") or b""
    if len(wire) > MAX_MESSAGE_BYTES:
        await websocket.close(TOO_LARGE, f"a message has at most {MAX_MESSAGE_BYTES} bytes here")
        raise ConnectionLost(f"the client sent a message of more than {MAX_MESSAGE_BYTES} bytes")
    return wire


async def send(websocket: WebSocket, wire: Wire) -> None:
    """Sends one message; returns once the client has taken enough of those before it.

    Raises:
        ConnectionLost: The client has left.
    """
    try:
        if isinstance(wire, str):
            await websocket.send_text(wire)
        else:
            await websocket.send_bytes(wire)
    except (WebSocketDisconnect, RuntimeError, OSError) as error:
        # Starlette raises RuntimeError for a WebSocket that is closed.
        raise ConnectionLost("the client left") from error


async def carry(
    websocket: WebSocket, transport: OrderedTransport, read: Callable[[Wire], None]
) -> None:
    """Carries a session over an accepted WebSocket, until either side ends it; then closes it.

    Args:
        websocket: The client's, accepted.
        transport: That of its session.
        read: Called with each message of the client. It delivers what is in it to the transport.
    """
    tasks = TaskScope()
    transport.attach(lambda wire: send(websocket, wire))
    reading = tasks.start(_read_all(websocket, transport, read))
    try:
        await transport.wait_hung_up()
        await _close(websocket)
    finally:
        # The server may cancel this, which ends the session too.
        transport.hang_up("the server closed the connection")
        reading.cancel()
        await tasks.close()


class _Budget:
    """The messages that one client may send: what each costs is spent before it is looked at."""

    def __init__(self) -> None:
        self._messages = TokenBucket(MESSAGES_PER_S, MESSAGES_PER_S * AT_ONCE_S)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_PER_S * AT_ONCE_S)

    def take(self, wire: Wire) -> None:
        """Raises `ConnectionLost` if the client has sent more than that."""
        if not self._messages.take() or not self._bytes.take(len(wire)):
            raise ConnectionLost("the client sent too much")


async def _read_all(
    websocket: WebSocket, transport: OrderedTransport, read: Callable[[Wire], None]
) -> None:
    budget = _Budget()
    try:
        while (wire := await receive(websocket)) is not None:
            budget.take(wire)
            read(wire)
    except ConnectionLost as error:
        transport.hang_up(str(error))
    except Exception:
        # A fault of ours, which ends one session and is not lost.
        logger.exception("a message of a client could not be read")
        transport.hang_up("a fault of the server's")
    else:
        transport.hang_up()


async def _close(websocket: WebSocket) -> None:
    try:
        await websocket.close(NORMAL)
    except (WebSocketDisconnect, RuntimeError, OSError):
        # It is closed already: the client left, or was sent away.
        await asyncio.sleep(0)

"""A WebSocket to a service: opened with a key, bounded, and closed whatever happens.

The only user of the package ``websockets``, which an extra brings: imported when the first
connection is opened. Runs on the event loop; logs no key and no address.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gradio_webrtc._messages import printable

from .line import ServiceLost, ServiceRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .line import Line

OPEN_TIMEOUT_S: Final = 10.0
"""The time for the connection and its handshake."""

CLOSE_TIMEOUT_S: Final = 0.5
"""The time that a service has to answer the end of the connection. A session's end waits for it."""

PING_S: Final = 20.0
"""Seconds between two pings, and those after which an unanswered one counts as a lost service."""

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""The largest event of a service: half a minute of audio in one piece has 2 MB of Base64."""

MAX_WAITING_EVENTS: Final = 16
"""Events that are read ahead; behind them the service waits."""

TRY_AGAIN: Final = frozenset({408, 425, 429})
"""Answers of 4xx to a handshake after which another one may succeed (RFC 9110, 6585 and 8470)."""

FINAL_CODES: Final = frozenset({1008, 3000, 3003})
"""Codes of the end of a WebSocket that name a refusal: of a policy, or of a missing permission."""


@asynccontextmanager
async def open_line(url: str, headers: Mapping[str, str]) -> AsyncIterator[Line]:
    """Opens a WebSocket to a service; see `OpenLine`.

    Raises:
        ServiceLost: It could not be reached, or has no room at the moment.
        ServiceRefused: It refuses this client.
    """
    opening = _Connect(
        url,
        additional_headers=dict(headers),
        compression=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        max_size=MAX_EVENT_BYTES,
        max_queue=MAX_WAITING_EVENTS,
    )
    try:
        connection = await opening
    except InvalidStatus as error:
        status = error.response.status_code
        text = f"the service answered the request for a connection with status {status}"
        may_succeed = status >= 500 or status in TRY_AGAIN  # noqa: PLR2004 - RFC 9110 section 15.6
        raise (ServiceLost if may_succeed else ServiceRefused)(text) from None
    except (OSError, EOFError, InvalidHandshake) as error:
        # A time that has run out is an OSError.
        reason = printable(error) or type(error).__name__
        raise ServiceLost(f"the service could not be reached: {reason}") from None
    async with connection:
        yield _WebSocketLine(connection)


class _Connect(connect):
    """The way to a connection that follows no redirection: the key is for the address given."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Returns the error."""
        return exc


class _WebSocketLine:
    """A connection of ``websockets`` as a `Line`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _end_of(error) from None

    async def receive(self) -> str | bytes:
        try:
            event: str | bytes = await self._connection.recv()
        except ConnectionClosed as error:
            raise _end_of(error) from None
        return event


def _end_of(error: Any) -> ServiceLost | ServiceRefused:
    """Returns the end of a connection in our terms, with the service's own code and reason."""
    close = error.rcvd or error.sent
    if close is None:
        return ServiceLost("the connection broke off")
    text = f"the connection was closed with code {close.code}: {printable(close.reason) or '-'}"
    is_final = error.rcvd is not None and close.code in FINAL_CODES
    return ServiceRefused(text) if is_final else ServiceLost(text)

"""One connection to a service, as the rest of this package uses it, and the errors of one.

Runs on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager


class ServiceLost(Exception):
    """The connection to a service is gone, or never came about; another one may succeed."""


class ServiceRefused(Exception):
    """The service refuses this client: the same request would be refused again."""


class Line(Protocol):
    """An open connection to a service."""

    async def send(self, text: str) -> None:
        """Sends one event; returns once there is room for the next.

        Raises:
            ServiceLost: The connection is over.
        """

    async def receive(self) -> str | bytes:
        """Returns the next event of the service.

        Raises:
            ServiceLost: The connection is over.
            ServiceRefused: The service ended it, with a code that forbids to come back.
        """


OpenLine: TypeAlias = "Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[Line]]"
"""Opens a connection to an address, with the headers of the request; closes it at the end."""


def check_url(url: object) -> str:
    """Returns the address of a service.

    Raises:
        TypeError: It is no text.
        ValueError: It is no address of a WebSocket.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be text such as 'wss://host/v1/realtime'; got {url!r:.200}")
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        # Not quoted: a query may hold a key.
        raise ValueError(
            "url must begin with wss:// or ws:// and a host, such as 'wss://host/v1/realtime'; "
            f"got the scheme {parts.scheme!r}"
        )
    return url

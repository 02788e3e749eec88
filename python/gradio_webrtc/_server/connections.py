"""The connection below a request, for clients that do not read what is written to them.

A server keeps the last bytes for such a client, and waits for it when it is to stop, both for ever:
ASGI has no word for that. uvicorn's ``receive`` is a method of an object that has the connection. A
middleware with a ``receive`` of its own hides it, and everything is as without this module. Runs on
the event loop.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator


def cut(receive: Any) -> None:
    """Ends the connection of a request, and drops what waits in it."""
    connection = _connection_of(receive)
    if connection is not None:
        connection.abort()


@contextmanager
def without_buffer(receive: Any) -> Iterator[None]:
    """Within the block, a write waits until the client has taken all those before it.

    Args:
        receive: That of the request.
    """
    connection = _connection_of(receive)
    if connection is None:
        yield
        return
    connection.set_write_buffer_limits(0)
    try:
        yield
    finally:
        connection.set_write_buffer_limits()


def _connection_of(receive: Any) -> asyncio.Transport | None:
    found = getattr(getattr(receive, "__self__", None), "transport", None)
    names = ("abort", "set_write_buffer_limits")
    return found if all(callable(getattr(found, name, None)) for name in names) else None

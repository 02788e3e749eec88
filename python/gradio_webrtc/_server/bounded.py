"""Routes whose requests have a bounded body.

FastAPI reads a body whole before any code of a route runs, however long it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, MutableMapping

    from fastapi import Response

MAX_BODY_BYTES: Final = 64 * 1024
"""The longest body of a request: twice the longest offer that is read, which JSON may escape."""


class BoundedRoute(APIRoute):
    """A route that answers longer bodies with status 413 (RFC 9110 section 15.5.14), unread."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Returns FastAPI's handler behind a reader that counts."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            left = MAX_BODY_BYTES
            receive = request.receive

            async def receive_bounded() -> MutableMapping[str, Any]:
                nonlocal left
                message = await receive()
                left -= len(message.get("body", b""))
                if left < 0:
                    raise HTTPException(413, f"expected at most {MAX_BODY_BYTES} bytes")
                return message

            return await handle(Request(request.scope, receive_bounded))

        return handle_bounded

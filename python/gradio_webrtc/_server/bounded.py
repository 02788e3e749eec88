"""Routes whose requests have a bounded body, and whose refusals repeat nothing of it.

FastAPI reads a body whole before any code of a route runs, however long it is, and its refusal of a
wrong one quotes it: what JSON can carry and UTF-8 or JSON's numbers cannot becomes a status 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, MutableMapping

    from fastapi import Response

MAX_BODY_BYTES: Final = 64 * 1024
"""The longest body of a request: twice the longest offer that is read, which JSON may escape."""


class RouteRequest(Request):
    """A request to a route, with what functions read of a ``gr.Request``.

    Attributes:
        username: ``None``: the users are those of the app.
        session_hash: ``None``: there is no Gradio session.
        is_of_route: By this `client_of` distinguishes it from a ``gr.Request``.
    """

    username: str | None = None
    session_hash: str | None = None
    is_of_route = True


class BoundedRoute(APIRoute):
    """A route that answers longer bodies with status 413 (RFC 9110 section 15.5.14), unread.

    Wrong ones are answered with FastAPI's status 422 and the reason, without what the client sent.
    """

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

            try:
                return await handle(RouteRequest(request.scope, receive_bounded))
            except RequestValidationError as error:
                raise _without_input(error) from None

        return handle_bounded


def _without_input(error: RequestValidationError) -> RequestValidationError:
    """Returns an error with the same reasons, which quotes nothing of the request."""
    reasons = [
        {name: value for name, value in each.items() if name in ("type", "loc", "msg")}
        for each in error.errors()
    ]
    return RequestValidationError(reasons)

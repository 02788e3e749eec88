"""Routes whose requests have a bounded body, whose refusals repeat nothing of it, and texts.

FastAPI reads a body whole before any code of a route runs, however long it is, and its refusal of a
wrong one quotes it: what JSON can carry and UTF-8 or JSON's numbers cannot becomes a status 500.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from .problems import RequestProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, MutableMapping

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

    async def has_left(self) -> bool:
        """True if the client has closed the connection; see `client_address.has_left`."""
        return await self.is_disconnected()


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


async def read_text(request: Request, kind: str, accepted: Mapping[str, str]) -> str:
    """Returns the body of a request to a `BoundedRoute` as text.

    Args:
        request: The request.
        kind: The content type that it must have.
        accepted: The header that names this type to a client that sent another.

    Raises:
        RequestProblem: It is of another kind, too long, cut off or no text.
    """
    got = request.headers.get("content-type", "")
    if got.partition(";")[0].strip().lower() != kind:
        raise RequestProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected the content type {kind}", accepted
        )
    try:
        return (await request.body()).decode()
    except HTTPException as error:  # of the reader that bounds it
        status = HTTPStatus(error.status_code)
        raise RequestProblem(status, str(error.detail)) from error
    except UnicodeDecodeError as error:
        raise RequestProblem(HTTPStatus.BAD_REQUEST, "expected text in UTF-8") from error
    except Exception as error:  # Starlette's, of a client that left
        raise RequestProblem(HTTPStatus.BAD_REQUEST, "the request was cut off") from error

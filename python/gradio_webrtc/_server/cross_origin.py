"""Pages of other origins: those that a browser lets have an answer (Fetch standard, section 3.2).

Functions without state, for the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import Response

if TYPE_CHECKING:
    from fastapi import Request

    from gradio_webrtc._session.origins import Site

PREFLIGHT_AGE_S: Final = 600
"""The time for which a browser may keep the answer to a preflight, in seconds."""


def allow_origin(request: Request, response: Response, site: Site) -> bool:
    """Lets the browser give the answer to a page of a listed origin; True for such a one."""
    origin = request.headers.get("origin")
    response.headers.append("Vary", "Origin")
    if origin is None or not site.allows(origin):
        return False
    response.headers["Access-Control-Allow-Origin"] = origin
    return True


def answer_preflight(request: Request, site: Site, methods: str, headers: str) -> Response:
    """Answers the question of a browser if a page of another origin may send a request.

    Args:
        request: The question.
        site: Lists the origins.
        methods: Those that are allowed.
        headers: The headers that are allowed, beside those that need no permission.
    """
    response = Response(status_code=204)
    if allow_origin(request, response, site):
        response.headers["Access-Control-Allow-Methods"] = methods
        response.headers["Access-Control-Allow-Headers"] = headers
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE_S)
    return response

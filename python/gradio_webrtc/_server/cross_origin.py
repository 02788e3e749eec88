"""Cross-origin resource sharing: the origins whose pages a browser lets read an answer.

Part of the Fetch standard, section 3.2. Functions without state beyond the lists. Runs on the event
loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request, Response

    from gradio_webrtc._session.origins import Site

PREFLIGHT_AGE_S: Final = 600
"""The time for which a browser may keep the answer to a preflight, in seconds."""


class CrossOrigin:
    """Lets pages of listed origins use a route; browsers keep all others from it.

    Args:
        site: The listed origins.
        methods: The methods of the route.
        headers: Headers that a page may send.
        exposed: Headers of an answer that a page may read, besides the usual ones.
    """

    def __init__(
        self,
        site: Site,
        methods: Sequence[str],
        headers: Sequence[str],
        exposed: Sequence[str] = (),
    ) -> None:
        self._site = site
        self._methods = ", ".join(methods)
        self._headers = ", ".join(headers)
        self._exposed = ", ".join(exposed)

    def allow(self, request: Request, response: Response) -> bool:
        """Lets the browser give the answer to a page of a listed origin; True for such a one."""
        origin = request.headers.get("origin")
        response.headers.append("Vary", "Origin")
        if origin is not None and self._exposed:
            # Also where a middleware of the app lets the page in.
            response.headers["Access-Control-Expose-Headers"] = self._exposed
        if origin is None or not self._site.allows(origin):
            return False
        response.headers["Access-Control-Allow-Origin"] = origin
        return True

    def allow_requests(self, request: Request, response: Response) -> None:
        """Lets the browser of such a page send its request: the answer to a preflight."""
        if self.allow(request, response):
            response.headers["Access-Control-Allow-Methods"] = self._methods
            response.headers["Access-Control-Allow-Headers"] = self._headers
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE_S)

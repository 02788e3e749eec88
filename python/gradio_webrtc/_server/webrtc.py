"""The route ``/webrtc/offer``, over which pages of any make ask for sessions.

A page that was written for fastrtc has no secrets. The answer to its offer sets a cookie with the
secret of the session, which the browser sends with the page's candidates; scripts cannot read it,
and pages of other sites cannot use it. Programs, and pages of other origins, send the secret
themselves. Runs on the event loop.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request, Response  # noqa: TC002 - FastAPI reads the annotations

from gradio_webrtc._session.origins import Site, check_mounted
from gradio_webrtc._session.signaling import refusal_of
from gradio_webrtc.errors import SignalingError

from .cross_origin import allow_origin, answer_preflight
from .link import LINK
from .schemas import Body, Reply

if TYPE_CHECKING:
    from fastapi import APIRouter

    from gradio_webrtc._session.client_inputs import ReadInputs
    from gradio_webrtc._session.signaling import Signaling

PATH: Final = "/webrtc/offer"

COOKIE_AGE_S: Final = 300
"""The life of a cookie, in seconds: candidates follow an offer within moments. Each offer sets one,
and browsers keep about 180 for a host."""


class OfferRoute:
    """Answers the requests to ``/webrtc/offer``.

    Args:
        signaling: Answers what they ask for.
        site: The addresses of the server, and the origins of pages that may call from elsewhere.
        read_inputs: Checks the input values that clients send.
    """

    def __init__(self, signaling: Signaling, site: Site, read_inputs: ReadInputs) -> None:
        self._signaling = signaling
        self._site = site
        self._read_inputs = read_inputs

    def add_to(self, router: APIRouter) -> None:
        """Adds the route, and that of the preflights for it."""
        router.post(
            PATH,
            name="webrtc_offer",
            summary="Ask for a session over WebRTC",
            response_model=Reply,
            response_model_exclude_unset=True,
        )(self.post)
        router.options(PATH, include_in_schema=False)(self.preflight)

    async def post(self, body: Body, request: Request, response: Response) -> Any:
        """Answers an offer, a candidate, or another request about a session.

        The status is 200 also for a refusal, which the answer names, as in fastrtc.
        """
        try:
            check_mounted(request, self._site)
        except SignalingError as error:
            return refusal_of(error)
        allow_origin(request, response, self._site)
        asked = body.model_dump(exclude_none=True)
        cookie = _cookie_of(body.webrtc_id)
        if "secret" not in asked and cookie in request.cookies:
            asked["secret"] = request.cookies[cookie]
        answer = await self._signaling.handle_request(asked, request, read_inputs=self._read_inputs)
        if answer.get("type") == "link":
            answer["path"] = LINK
        if "secret" in answer:
            # Without a path it is that of the route's folder as the browser sees it, which a proxy
            # may have put below another one.
            response.set_cookie(
                cookie,
                answer["secret"],
                max_age=COOKIE_AGE_S,
                path=None,
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
        return answer

    async def preflight(self, request: Request) -> Response:
        """Answers the question of a browser if a page of another origin may send a request."""
        return answer_preflight(request, self._site, "POST", "content-type")


def _cookie_of(webrtc_id: str) -> str:
    """Returns the name of a session's cookie, in which any text may stand for an id."""
    return f"webrtc-{hashlib.sha256(webrtc_id.encode(errors='replace')).hexdigest()[:16]}"

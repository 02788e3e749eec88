"""The routes of WHIP and WHEP: sessions over plain HTTP for programs that send, or that play.

WHIP is RFC 9725, WHEP draft-ietf-wish-whep; they differ in the direction of the media alone. A
client posts an offer and gets the answer with the address of its session, to which it may send more
candidates, and which it deletes in the end. It has no data channel, as a rule. Runs on the event
loop.
"""

from __future__ import annotations

import hashlib
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.params import Security
from fastapi.security import HTTPBearer

from gradio_webrtc._session.client_address import client_address
from gradio_webrtc._session.origins import check_mounted
from gradio_webrtc._session.reporting import report_error
from gradio_webrtc._session.signaling import OneAnswerPeer
from gradio_webrtc._transport import read_fragment
from gradio_webrtc.errors import RequestFailed, SessionUnknown, SignalingError

from .bounded import read_text
from .cross_origin import CrossOrigin
from .ice_links import links_of
from .problems import RequestProblem, problem_of
from .whip_schemas import CREATED, FRAGMENT, SDP, body_of, refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fastapi import APIRouter

    from gradio_webrtc._session.origins import Site
    from gradio_webrtc._session.session import Session
    from gradio_webrtc._session.signaling import Signaling
    from gradio_webrtc._transport import PeerTransport
    from gradio_webrtc.types import Mode

    from .bearer import BearerToken

MUX: Final = "a=rtcp-mux\r\n"
MUX_ONLY: Final = f"{MUX}a=rtcp-mux-only\r\n"
"""The lines of a section that each answer must have (RFC 9725 section 4.4.1)."""

KEY_BYTES: Final = 24
"""Of the random key in a session's address, which nobody can guess."""


class Protocol(NamedTuple):
    """WHIP or WHEP.

    Attributes:
        name: The last part of the path.
        mode: The direction of the media from the client's side; ``None`` for that of the stream.
        summary: One line for OpenAPI.
    """

    name: str
    mode: Mode | None
    summary: str


WHIP: Final = Protocol("whip", None, "Send media to a session of its own (WHIP, RFC 9725)")
WHEP: Final = Protocol("whep", "receive", "Play the media of a session of its own (WHEP)")


class WhipSettings(NamedTuple):
    """What the stream has for clients of both protocols.

    Attributes:
        token: The bearer token that they need.
        inputs: Returns the values of the inputs for a session.
        rtc_configuration: The W3C RTCConfiguration, or a function that returns it. Clients with a
            token get its servers.
    """

    token: BearerToken
    inputs: Callable[[], Sequence[Any]] = tuple
    rtc_configuration: Any = None


class _Resource(NamedTuple):
    """A session as its client can reach it.

    Attributes:
        session: The session.
        peer: Its connection.
        user_fragments: The names of the client's ICE sessions, which do not change.
        tag: The entity tag of these.
    """

    session: Session
    peer: PeerTransport
    user_fragments: frozenset[str]
    tag: str


class WhipRoutes:
    """Answers the requests of one protocol, under one path of an app.

    Args:
        protocol: The protocol.
        signaling: Has the sessions.
        site: The addresses of the server, and the origins of pages that may call from elsewhere.
        settings: The token, and whatever else the stream has for these clients.
    """

    def __init__(
        self, protocol: Protocol, signaling: Signaling, site: Site, settings: WhipSettings
    ) -> None:
        self._protocol = protocol
        self._signaling = signaling
        self._site = site
        self._settings = settings
        self._cors = CrossOrigin(
            site,
            methods=["POST", "PATCH", "DELETE"],
            headers=["authorization", "content-type", "if-match"],
            exposed=["ETag", "Link", "Location", "Retry-After"],
        )
        # By digests of their keys, so that the time of a look-up reveals nothing of them.
        self._resources: dict[bytes, _Resource] = {}

    def add_to(self, router: APIRouter) -> None:
        """Adds the routes."""
        name, is_locked = self._protocol.name, self._settings.token.is_required
        locks = [Security(HTTPBearer(auto_error=False))] if is_locked else []
        shown: dict[str, Any] = {"dependencies": locks, "response_class": Response}
        endpoint, session = f"/{name}", f"/{name}/{{key}}"
        router.post(
            endpoint,
            name=f"{name}_offer",
            summary=self._protocol.summary,
            status_code=HTTPStatus.CREATED,
            responses=CREATED | refused(400, 401, 403, 413, 415, 422, 429, 500, 503),
            openapi_extra=body_of(SDP, "The offer."),
            **shown,
        )(self.post)
        router.patch(
            session,
            name=f"{name}_candidates",
            summary="Send more ICE candidates of the client",
            status_code=HTTPStatus.NO_CONTENT,
            responses=refused(400, 401, 403, 404, 412, 413, 415, 422, 428),
            openapi_extra=body_of(FRAGMENT, "Candidates (RFC 8840). If-Match has the ETag."),
            **shown,
        )(self.patch)
        router.delete(
            session,
            name=f"{name}_end",
            summary="End a session",
            responses=refused(401, 403, 404),
            **shown,
        )(self.delete)
        hidden: dict[str, Any] = {"include_in_schema": False}
        router.options(endpoint, **hidden)(self.options)
        router.options(session, **hidden)(self.options_of_session)
        router.api_route(endpoint, methods=["GET", "HEAD"], **hidden)(self.get)
        router.api_route(session, methods=["GET", "HEAD"], **hidden)(self.get_session)
        router.api_route(endpoint, methods=["PUT", "PATCH", "DELETE"], **hidden)(self.refuse)
        router.api_route(session, methods=["PUT", "POST"], **hidden)(self.refuse_of_session)

    # The endpoint

    async def post(self, request: Request) -> Response:
        """Answers an offer of SDP with an answer of SDP and the address of the session.

        The answer has all candidates of the server, so it may take five seconds where a STUN server
        does not reply. Errors are problem documents.
        """
        return await self._respond(request, lambda: self._open(request))

    async def options(self, request: Request) -> Response:
        """Answers a preflight; and a client with a token gets the STUN and TURN servers."""
        response = Response(headers={"Accept-Post": SDP, "Allow": ALLOWED})
        self._cors.allow_requests(request, response)
        is_preflight = "access-control-request-method" in request.headers
        if not is_preflight and "authorization" in request.headers:

            async def with_links() -> Response:
                await self._add_links(request, response)
                return response

            return await self._respond(request, with_links)
        return response

    async def get(self) -> Response:
        """Answers with nothing but the content type, by which players detect the protocol."""
        return Response(media_type=SDP)

    async def refuse(self) -> Response:
        """Refuses another method."""
        return _refuse_method(ALLOWED)

    # A session

    async def patch(self, key: str, request: Request) -> Response:
        """Adds candidates of the client; those that may not be checked are left out.

        ICE restarts are refused with status 422: a client whose network has changed starts a new
        session.
        """
        return await self._respond(request, lambda: self._trickle(key, request))

    async def delete(self, key: str, request: Request) -> Response:
        """Ends the session."""

        async def end() -> Response:
            self._find(key).session.end("the client left")
            return Response()

        return await self._respond(request, end)

    async def options_of_session(self, request: Request) -> Response:
        """Answers a preflight."""
        response = Response(headers={"Accept-Patch": FRAGMENT, "Allow": ALLOWED_OF_SESSION})
        self._cors.allow_requests(request, response)
        return response

    async def get_session(self, key: str, request: Request) -> Response:
        """Answers with nothing, as long as the session lasts."""

        async def confirm() -> Response:
            self._find(key)
            return Response(status_code=HTTPStatus.NO_CONTENT)

        return await self._respond(request, confirm)

    async def refuse_of_session(self) -> Response:
        """Refuses another method."""
        return _refuse_method(ALLOWED_OF_SESSION)

    async def _respond(self, request: Request, act: Callable[[], Awaitable[Response]]) -> Response:
        """Returns what ``act`` does for a client that may ask for it, or the reason why not."""
        try:
            check_mounted(request, self._site, is_json=False)
            await self._settings.token.check(request)
            response = await act()
        except RequestProblem as problem:
            response = problem.answer()
        except SignalingError as error:
            response = problem_of(error).answer()
        except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever went wrong
            shown = report_error(error, "the answer to a request", "the request is refused")
            failed = RequestFailed("" if shown is None else shown.text)
            response = problem_of(failed).answer()
        self._cors.allow(request, response)
        return response

    async def _open(self, request: Request) -> Response:
        sdp = await read_text(request, SDP, {"Accept-Post": SDP})
        peer = OneAnswerPeer(
            sdp, self._signaling.ice_servers, self._protocol.mode, self._settings.inputs
        )
        response = Response(status_code=HTTPStatus.CREATED, media_type=SDP)
        # Before the session is made, which waits for its client from its answer on.
        await self._add_links(request, response)
        _, session = await self._signaling.sessions.admit(peer, None, request, adapt=peer.adapt)
        key, tag = secrets.token_urlsafe(KEY_BYTES), f'"{secrets.token_hex(8)}"'
        digest = _digest(key)
        fragments = frozenset() if peer.offer is None else peer.offer.user_fragments
        transport = cast("PeerTransport", peer.peer)
        self._resources[digest] = _Resource(session, transport, fragments, tag)
        session.when_over(lambda: self._resources.pop(digest, None))
        response.headers["Location"] = f"{_path_of(request)}/{key}"
        response.headers["ETag"] = tag
        response.body = peer.sent["sdp"].replace(MUX, MUX_ONLY).encode()
        response.headers["Content-Length"] = str(len(response.body))
        return response

    async def _trickle(self, key: str, request: Request) -> Response:
        resource = self._find(key)
        text = await read_text(request, FRAGMENT, {"Accept-Patch": FRAGMENT})
        _check_tag(request, resource.tag)
        fragment = read_fragment(text)
        if fragment.user_fragments - resource.user_fragments:
            raise RequestProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "expected candidates of the ICE session of the offer: ICE restarts are not "
                "supported; delete this session and post a new offer",
            )
        for candidate in fragment.candidates:
            await resource.peer.add_candidate(candidate)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _add_links(self, request: Request, response: Response) -> None:
        """Adds the STUN and TURN servers, which strangers must not get."""
        if not self._settings.token.is_required:
            return
        client = client_address(request, self._site.trusted_proxies)
        source = self._settings.rtc_configuration
        for link in links_of(await self._signaling.configurations.give(source, client)):
            response.headers.append("Link", link)

    def _find(self, key: str) -> _Resource:
        resource = self._resources.get(_digest(key))
        if resource is None or resource.session.is_over:
            raise SessionUnknown("no session has this address: it is over, or there was none")
        return resource


ALLOWED: Final = "GET, HEAD, OPTIONS, POST"
ALLOWED_OF_SESSION: Final = "DELETE, GET, HEAD, OPTIONS, PATCH"
"""The methods of an endpoint, and of a session."""


def _check_tag(request: Request, tag: str) -> None:
    """Raises unless a request is about the ICE session of this tag (RFC 9725 section 4.3.1)."""
    expected = request.headers.get("if-match")
    if expected is None:
        raise RequestProblem(
            HTTPStatus.PRECONDITION_REQUIRED, "expected If-Match with the ETag of the answer"
        )
    if not {"*", tag} & {each.strip() for each in expected.split(",")}:
        raise RequestProblem(
            HTTPStatus.PRECONDITION_FAILED, "expected If-Match with the ETag of the answer"
        )


def _refuse_method(allowed: str) -> Response:
    status, headers = HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allowed}
    return RequestProblem(status, f"expected one of the methods {allowed}", headers).answer()


def _path_of(request: Request) -> str:
    """Returns the path of a request as its client has it.

    An app behind a proxy that removes a part of the path has that part in ``root_path``. Servers
    differ in whether it is part of ``path``, too.
    """
    root, path = request.scope.get("root_path", "").rstrip("/"), request.scope["path"]
    return quote(path if path.startswith(f"{root}/") else root + path)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()

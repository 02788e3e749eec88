"""The routes of links: a WebSocket, and for clients that get none through, GET and POST.

They are served in the user's own app and in Gradio's. Nothing of a stranger is read: the names and
the secret of a session come in headers, which every route looks at first. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request, Response, WebSocket, WebSocketDisconnect
from fastapi.routing import APIRoute

from gradio_webrtc._session.origins import Site, check_socket
from gradio_webrtc._transport import FLUSH_TIMEOUT_S, BrokenRules, TooManyCarriers
from gradio_webrtc._workers.task_scope import TaskScope
from gradio_webrtc.errors import ConnectionLost, RequestRefused, SessionUnknown

from .access_log import leave_posts_out
from .connections import cut, without_buffer
from .cross_origin import CrossOrigin
from .ended_links import EndedLinks
from .sockets import MAX_MESSAGE_BYTES, NORMAL, receive, send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import APIRouter

    from gradio_webrtc._session.signaling import Signaling
    from gradio_webrtc._transport import Carrier, LinkTransport

logger = logging.getLogger(__name__)

SUBPROTOCOL: Final = "link"
"""The first one that a client lists. The second carries its session, since a browser lets pages
send no other header with a WebSocket, and addresses are logged everywhere."""

LINK: Final = "link"
PATH: Final = f"/webrtc/{LINK}"
"""The route in an app of the user's: in the folder of that for offers."""

SESSION_HEADER: Final = "x-link-session"
RECEIVED_HEADER: Final = "x-link-received"
"""The same over HTTP. ``Authorization`` is read by some proxies themselves."""

MAX_POSTS: Final = 8
"""POSTs of one client that are read at once. A client has two on their way."""

POST_TIMEOUT_S: Final = 10.0
"""The time that the body of a POST may take."""

BROKEN_RULES: Final = 4400
REPLACED: Final = 4409
"""Codes of the end of a WebSocket, of those for applications (RFC 6455 section 7.4.2)."""

STREAM_HEADERS: Final = {
    # Compressed or kept by a proxy, it would come too late.
    "cache-control": "no-store, no-transform",
    "content-encoding": "identity",
    "x-accel-buffering": "no",
}

UNKNOWN: Final = 404
GONE: Final = 410
BROKEN: Final = 400
TIMED_OUT: Final = 408
TOO_LARGE: Final = 413
TOO_MANY: Final = 429


class LinkSocket:
    """The WebSocket route of links: an ASGI app, since endpoints do not reach the connection.

    Args:
        open_websocket: The app.
    """

    def __init__(self, open_websocket: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._open = open_websocket

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        await self._open(scope, receive, send)


class LinkRoutes:
    """Answers the requests that carry links.

    Attributes:
        websocket: The route of WebSockets.
    """

    def __init__(self) -> None:
        # Starlette takes apps here, and FastAPI names endpoints alone.
        self.websocket: Any = LinkSocket(self._open_websocket)
        self._sites: weakref.WeakKeyDictionary[Signaling, Site] = weakref.WeakKeyDictionary()
        self._posts: weakref.WeakKeyDictionary[LinkTransport, int] = weakref.WeakKeyDictionary()
        self._ended = EndedLinks()
        leave_posts_out()

    def serve(self, signaling: Signaling, site: Site) -> None:
        """Serves the sessions of one component, too.

        Args:
            signaling: Finds them; held weakly.
            site: The addresses of the server, and the origins of pages that may call.
        """
        self._sites[signaling] = site

    async def _open_websocket(self, scope: Any, receive: Any, send: Any) -> None:
        """Carries a link over a WebSocket; the handshake of any other client fails."""
        websocket = WebSocket(scope, receive, send)
        try:
            session, received = _read_subprotocols(websocket)
            link, site = self._find_open_or_ended(session)
            check_socket(websocket, site)
            carrier = link.open(received)
        except (SessionUnknown, RequestRefused, ConnectionLost, BrokenRules, TooManyCarriers):
            await websocket.close()
            return
        try:
            await websocket.accept(SUBPROTOCOL)
            code = await _carry(websocket, link, carrier)
            with without_buffer(receive):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    # Of one that is closed, this waits until the client has taken that.
                    await websocket.close(code)
        except (ConnectionLost, TimeoutError) as error:
            logger.debug("a client takes nothing: %s", error)
            cut(receive)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            # Starlette raises RuntimeError for a WebSocket that is closed.
            logger.debug("a client left: %s", error)
        finally:
            link.leave(carrier)

    async def get(self, request: Request) -> Response:
        """Carries what a link sends to the client, for as long as it lasts."""
        try:
            link, _ = self._find_open_or_ended(request.headers.get(SESSION_HEADER, ""))
            received = _read_number(request.headers.get(RECEIVED_HEADER, ""))
            return LinkStream(link, link.open(received))
        except (SessionUnknown, ConnectionLost):
            return Response(status_code=UNKNOWN)
        except BrokenRules:
            return Response(status_code=BROKEN)
        except TooManyCarriers:
            return Response(status_code=TOO_MANY)

    async def post(self, request: Request) -> Response:
        """Takes frames of the client."""
        session = request.headers.get(SESSION_HEADER, "")
        try:
            link, _ = self._find(session)
        except SessionUnknown:
            return Response(status_code=GONE if self._ended.has(session) else UNKNOWN)
        reading = self._posts.get(link, 0)
        if reading >= MAX_POSTS:
            return Response(status_code=TOO_MANY)
        self._posts[link] = reading + 1
        try:
            return await _take_body(request, link)
        finally:
            self._posts[link] -= 1

    def _find_open_or_ended(self, session: str) -> tuple[LinkTransport, Site]:
        """Returns the link for a carrier, which may come for the reason of the end.

        Raises:
            SessionUnknown: There is no such session, or the secret is another.
        """
        try:
            link, site = self._find(session)
        except SessionUnknown:
            return self._ended.find(session)
        link.on_end = functools.partial(self._ended.keep, session, site)
        return link, site

    def _find(self, session: str) -> tuple[LinkTransport, Site]:
        """Returns the link of a session, and the site that it belongs to.

        Raises:
            SessionUnknown: There is no such session, or the secret is another.
        """
        webrtc_id, _, secret = session.partition(".")
        for signaling, site in list(self._sites.items()):
            with suppress(SessionUnknown):
                return signaling.find_link(webrtc_id, secret), site
        raise SessionUnknown


class LinkRoute:
    """The link of a `Stream`, beside its other routes in the user's app.

    Args:
        signaling: Finds the sessions.
        site: The addresses of the server, and the origins of pages that may call from elsewhere.
    """

    def __init__(self, signaling: Signaling, site: Site) -> None:
        self._routes = LinkRoutes()
        self._routes.serve(signaling, site)
        headers = ["content-type", SESSION_HEADER, RECEIVED_HEADER]
        self._cors = CrossOrigin(site, methods=["GET", "POST"], headers=headers)

    def add_to(self, router: APIRouter) -> None:
        """Adds the routes, and that of the preflights for them."""
        # Starlette's method, which takes apps; it adds no prefix of the router by itself.
        router.add_websocket_route(f"{router.prefix}{PATH}", self._routes.websocket)
        for method, endpoint in (("GET", self.get), ("POST", self.post), ("OPTIONS", self.ask)):
            # Frames are read as a stream, and bounded there.
            router.add_api_route(
                PATH,
                endpoint,
                methods=[method],
                include_in_schema=False,
                route_class_override=APIRoute,
            )

    async def get(self, request: Request) -> Response:
        """Carries what a link sends to the client."""
        response = await self._routes.get(request)
        self._cors.allow(request, response)
        return response

    async def post(self, request: Request) -> Response:
        """Takes frames of the client."""
        response = await self._routes.post(request)
        self._cors.allow(request, response)
        return response

    async def ask(self, request: Request) -> Response:
        """Answers the question of a browser if a page of another origin may send a request."""
        response = Response(status_code=204)
        self._cors.allow_requests(request, response)
        return response


class LinkStream(Response):
    """The streamed answer to a GET.

    Args:
        link: The transport.
        carrier: This response.
    """

    def __init__(self, link: LinkTransport, carrier: Carrier) -> None:
        super().__init__(media_type="application/octet-stream", headers=dict(STREAM_HEADERS))
        del self.headers["content-length"]
        self._link = link
        self._carrier = carrier

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Streams until the session is over, the client has gone, or another carrier took over."""
        tasks = TaskScope()
        writing = tasks.start(self._write(receive, send))
        leaving = tasks.start(_until_disconnected(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done() and not writing.result():
                cut(receive)
                with suppress(TimeoutError):
                    await asyncio.wait_for(leaving, FLUSH_TIMEOUT_S)
        finally:
            await tasks.close()
            self._link.leave(self._carrier)

    async def _write(self, receive: Any, send: Any) -> bool:
        """Writes the response; returns False if the client did not take it."""

        async def write(data: bytes, *, is_last: bool = False) -> None:
            try:
                await send({"type": "http.response.body", "body": data, "more_body": not is_last})
            except OSError as error:
                raise ConnectionLost("the client left") from error

        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            await self._link.carry(self._carrier, write)
            with without_buffer(receive):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await write(b"", is_last=True)
        except (ConnectionLost, OSError, TimeoutError) as error:
            logger.debug("a client left: %s", error)
            return False
        return True


async def _carry(websocket: WebSocket, link: LinkTransport, carrier: Carrier) -> int:
    """Carries a link over an accepted WebSocket; returns the code to close it with.

    Raises:
        ConnectionLost: The client left, or takes nothing.
    """
    tasks = TaskScope()
    writing = tasks.start(_write_all(websocket, link, carrier))
    reading = tasks.start(_read_all(websocket, link))
    try:
        await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        code = writing.result()
    finally:
        await tasks.close()
    if code is None:
        raise ConnectionLost("the client took nothing, or left")
    return code


async def _write_all(websocket: WebSocket, link: LinkTransport, carrier: Carrier) -> int | None:
    try:
        await link.carry(carrier, functools.partial(send, websocket))
    except ConnectionLost:
        return None
    return REPLACED if carrier.is_replaced else NORMAL


async def _read_all(websocket: WebSocket, link: LinkTransport) -> int:
    try:
        while (wire := await receive(websocket)) is not None:
            link.take(wire if isinstance(wire, bytes) else wire.encode(errors="replace"))
    except BrokenRules:
        return BROKEN_RULES
    except ConnectionLost:
        # It was closed: the message was too large.
        return NORMAL
    return NORMAL


async def _until_disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _take_body(request: Request, link: LinkTransport) -> Response:
    body, is_whole = bytearray(), False
    try:
        async with asyncio.timeout(POST_TIMEOUT_S):
            while not is_whole:
                message = await request.receive()
                is_whole = not message.get("more_body", False)
                body += message.get("body", b"")
                if len(body) > MAX_MESSAGE_BYTES:
                    return Response(status_code=TOO_LARGE)
        # Of a client that left in the middle, nobody reads the answer.
        if message["type"] == "http.request":
            link.take(bytes(body))
    except TimeoutError:
        return Response(status_code=TIMED_OUT)
    except BrokenRules:
        return Response(status_code=BROKEN)
    return Response(status_code=204)


def _read_subprotocols(websocket: WebSocket) -> tuple[str, int]:
    """Returns what a client sends with its WebSocket: the session, and the number it has."""
    listed = websocket.scope.get("subprotocols") or []
    if len(listed) != 2 or listed[0] != SUBPROTOCOL:  # noqa: PLR2004 - the name, and the session
        raise SessionUnknown
    session, _, received = str(listed[1]).rpartition(".")
    return session, _read_number(received)


def _read_number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(2**32)):
        raise BrokenRules("expected the number of the last frame that came")
    return int(text)

"""The context of Gradio's helpers in the code of a session: the way to its page, and its request.

Also finds the request and the app of a running server function. Uses Gradio's context variables,
which follow code into tasks and threads.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import gradio as gr
from gradio.context import LocalContext
from starlette.requests import Request

from gradio_webrtc._handlers.notices import holding, prepare_sessions, send_to_client
from gradio_webrtc._messages import WORDS, create_words
from gradio_webrtc._session.origins import Site, check_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradio_webrtc._handlers import Context
    from gradio_webrtc._messages import MessageType

MAX_QUERY_CHARS: Final = 8192
"""The longest query of a page's address: as much as servers commonly accept in a request line."""


class _StandIn:
    """Stands in for an object of Gradio's, which still answers for all that is not different here.

    Args:
        original: The object it stands for; ``None`` where there is none.
    """

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class SessionQueue(_StandIn):
    """The queue to which ``gr.Warning``, ``gr.Info`` and ``gr.Success`` send in a session."""

    def log_message(
        self,
        event_id: str,  # noqa: ARG002 - Gradio's arguments
        log: object,
        title: object,
        level: MessageType,
        duration: object = 10,
        visible: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        """Sends the message to the page of the session; in any thread."""
        if visible:
            send_to_client(create_words(level if level in WORDS else "info", log, title, duration))

    def set_progress(self, event_id: str, iterables: object) -> None:
        """Does nothing: ``gr.Progress`` has no place in the page of a session."""


class SessionBlocks(_StandIn):
    """The Blocks in which the code of a session runs, as Gradio's helpers find them."""

    is_running = has_launched = False

    def __init__(self, original: Any) -> None:
        super().__init__(original)
        self._queue = SessionQueue(getattr(original, "_queue", None))
        if original is not None:
            self.is_running = original.is_running
            self.has_launched = original.has_launched


class OfferRequest(gr.Request):
    """A ``gr.Request`` with the user and the session in its ``repr``, for logs."""

    async def has_left(self) -> bool:
        """True if the page has closed the connection; see `client_address.has_left`.

        For the running server function alone: the HTTP request is not kept.
        """
        request: Any = LocalContext.request.get(None)
        return isinstance(request, Request) and await request.is_disconnected()

    def __repr__(self) -> str:
        return f"Request(username={self.username!r}, session_hash={self.session_hash!r})"


@contextmanager
def gradio_in_session(context: Context) -> Iterator[None]:
    """Makes Gradio's helpers serve a session.

    Gradio looks for the app, the event and the request in context variables of its own; without an
    event its messages go to the terminal.
    """
    blocks: Any = LocalContext.blocks.get(None)
    if not isinstance(blocks, SessionBlocks):
        blocks = SessionBlocks(blocks)
    with ExitStack() as stack:
        stack.enter_context(holding(LocalContext.blocks, blocks))
        stack.enter_context(holding(LocalContext.event_id, context.webrtc_id))
        stack.enter_context(holding(LocalContext.request, context.request))
        yield


prepare_sessions(gradio_in_session)


async def find_request(body: object) -> gr.Request | None:
    """Returns the request that the running server function answers; ``None`` where there is none.

    Gradio passes the HTTP request to server functions, which has neither the user nor the session.

    Args:
        body: The offer. It carries the query of the page's address, which Gradio does not send to
            server functions.
    """
    request: Any = LocalContext.request.get(None)
    if request is None or isinstance(request, gr.Request):
        return request
    return OfferRequest(
        _with_query(request, body),
        username=await _username(request),
        session_hash=await _session_hash(request),
    )


def check_page(allowed_origins: frozenset[str], trusted_proxies: tuple[str, ...]) -> None:
    """Raises unless the running server function was called by a page of ours, or by a program.

    Args:
        allowed_origins: Origins of other pages that may open sessions.
        trusted_proxies: Proxies whose headers are believed; see `Site`.

    Raises:
        RequestRefused: A page of another server called.
    """
    request: Any = LocalContext.request.get(None)
    if isinstance(request, Request):
        check_request(request, site_of(allowed_origins, trusted_proxies))


def site_of(allowed_origins: frozenset[str], trusted_proxies: tuple[str, ...]) -> Site:
    """Returns the addresses of the server whose server function is running.

    Args:
        allowed_origins: Origins of other pages that may open sessions.
        trusted_proxies: Proxies whose headers are believed; see `Site`.
    """
    return Site(allowed_origins, _hosts(), trusted_proxies)


def _hosts() -> frozenset[str]:
    """Returns the names in the addresses that Gradio published, or was configured with."""
    blocks: Any = LocalContext.blocks.get(None)
    urls = (getattr(blocks, name, None) for name in ("share_url", "root_path"))
    names = (urlsplit(url).hostname for url in urls if isinstance(url, str))
    return frozenset(filter(None, names))


def find_app() -> Any:
    """Returns Gradio's app whose server function is running; ``None`` where there is none."""
    request: Any = LocalContext.request.get(None)
    # Gradio's own request converts every attribute that is read through it to JSON types.
    request = getattr(request, "request", None) if isinstance(request, gr.Request) else request
    scope = getattr(request, "scope", None)
    return scope.get("app") if isinstance(scope, dict) else None


def _with_query(request: Request, body: object) -> Request:
    """Returns the request with the page's query, and without its body, which is read by then."""
    scope = dict(request.scope)
    query = body.get("query") if isinstance(body, dict) else None
    if not scope.get("query_string") and isinstance(query, str) and len(query) <= MAX_QUERY_CHARS:
        scope["query_string"] = query.removeprefix("?").encode("latin-1", "replace")
    return Request(scope)


async def _username(request: Request) -> Any:
    """Returns the user who is logged in, found as Gradio finds it for its events."""
    app = request.scope.get("app")
    depends = getattr(app, "auth_dependency", None)
    if depends is not None:
        user = depends(request)
        user = await user if inspect.isawaitable(user) else user
    else:
        cookie = getattr(app, "cookie_id", None)
        kinds = ("access-token", "access-token-unsecure")
        sent = (request.cookies.get(f"{kind}-{cookie}") for kind in kinds)
        user = getattr(app, "tokens", {}).get(next(filter(None, sent), None))
    return user


async def _session_hash(request: Request) -> str | None:
    """Returns the Gradio session of the page, which the page sends in the body of the request."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return None
    posted: Mapping[str, object] = await request.json()
    session = posted.get("session_hash") if isinstance(posted, dict) else None
    return session if isinstance(session, str) else None

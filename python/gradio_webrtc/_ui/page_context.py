"""What Gradio's own helpers find in the code of a call: the way to its page, and its request."""

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

from .origins import Site, check_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradio_webrtc._handlers import Context
    from gradio_webrtc._messages import MessageType

MAX_QUERY_CHARS: Final = 8192
"""How long the query of a page's address may be: what servers commonly take in a request line."""


class _Standing:
    """Stands in for something of Gradio's, which still answers for all that is not different here.

    Args:
        original: That, or ``None`` where there is none.
    """

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class CallQueue(_Standing):
    """In a call's code, what ``gr.Warning``, ``gr.Info`` and ``gr.Success`` hand their words to."""

    def log_message(
        self,
        event_id: str,  # noqa: ARG002 - Gradio's arguments
        log: object,
        title: object,
        level: MessageType,
        duration: object = 10,
        visible: bool = True,  # noqa: FBT001, FBT002 - as above
    ) -> None:
        """Sends the words to the page of the call, in any thread."""
        if visible:
            send_to_client(create_words(level if level in WORDS else "info", log, title, duration))

    def set_progress(self, event_id: str, iterables: object) -> None:
        """Does nothing: ``gr.Progress`` has no place in the page of a call."""


class CallBlocks(_Standing):
    """In a call's code, what Gradio takes for the app that the code runs in."""

    is_running = has_launched = False

    def __init__(self, original: Any) -> None:
        super().__init__(original)
        self._queue = CallQueue(getattr(original, "_queue", None))
        if original is not None:
            self.is_running = original.is_running
            self.has_launched = original.has_launched


class OfferRequest(gr.Request):
    """A ``gr.Request`` that says in a log whose it is."""

    def __repr__(self) -> str:
        return f"Request(username={self.username!r}, session_hash={self.session_hash!r})"


@contextmanager
def gradio_in_call(context: Context) -> Iterator[None]:
    """Has Gradio's helpers serve a call.

    Gradio looks for the app, the event and the request in context variables of its own; without an
    event its words go to the terminal.
    """
    blocks: Any = LocalContext.blocks.get(None)
    if not isinstance(blocks, CallBlocks):
        blocks = CallBlocks(blocks)
    with ExitStack() as stack:
        stack.enter_context(holding(LocalContext.blocks, blocks))
        stack.enter_context(holding(LocalContext.event_id, context.webrtc_id))
        stack.enter_context(holding(LocalContext.request, context.request))
        yield


prepare_sessions(gradio_in_call)


async def find_request(body: object) -> gr.Request | None:
    """The request that the running server function answers; ``None`` where there is none.

    What Gradio hands to server functions is the HTTP request, which knows neither user nor session.

    Args:
        body: The offer. The query of the page's address is in it, since Gradio sends server
            functions none.
    """
    found: Any = LocalContext.request.get(None)
    if found is None or isinstance(found, gr.Request):
        return found
    return OfferRequest(
        _with_query(found, body), username=await _username(found), session_hash=await _hash(found)
    )


def check_page(allowed_origins: frozenset[str], trusted_proxies: tuple[str, ...]) -> None:
    """Raises unless the running server function was asked by a page of ours, or a program.

    Raises:
        RequestRefused: A page of another server asked.
    """
    request: Any = LocalContext.request.get(None)
    if isinstance(request, Request):
        check_request(request, Site(allowed_origins, _hosts(), trusted_proxies))


def _hosts() -> frozenset[str]:
    """The names in the addresses that Gradio gave out, or was told of."""
    blocks: Any = LocalContext.blocks.get(None)
    urls = (getattr(blocks, name, None) for name in ("share_url", "root_path"))
    names = (urlsplit(url).hostname for url in urls if isinstance(url, str))
    return frozenset(filter(None, names))


def find_app() -> Any:
    """Gradio's app whose server function is running; ``None`` where there is none."""
    found: Any = LocalContext.request.get(None)
    # Gradio's own request makes JSON of what it is asked for.
    found = getattr(found, "request", None) if isinstance(found, gr.Request) else found
    scope = getattr(found, "scope", None)
    return scope.get("app") if isinstance(scope, dict) else None


def _with_query(request: Request, body: object) -> Request:
    """The request with the page's query, and without its body, which is gone with the answer."""
    scope = dict(request.scope)
    query = body.get("query") if isinstance(body, dict) else None
    if not scope.get("query_string") and isinstance(query, str) and len(query) <= MAX_QUERY_CHARS:
        scope["query_string"] = query.removeprefix("?").encode("latin-1", "replace")
    return Request(scope)


async def _username(request: Request) -> Any:
    """Who is logged in, found as Gradio finds it for its events."""
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


async def _hash(request: Request) -> str | None:
    """The session of the page, which is in what Gradio's page posted."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return None
    posted: Mapping[str, object] = await request.json()
    session = posted.get("session_hash") if isinstance(posted, dict) else None
    return session if isinstance(session, str) else None

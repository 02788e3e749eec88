"""Requests of a page about its call: an offer, candidates, a goodbye.

What comes is anything that JSON can hold. Every request gets an answer, and nothing in it tells
whether a session exists to whoever does not know its secret. Runs on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gradio_webrtc._transport import PeerTransport
from gradio_webrtc.errors import (
    HandlerUnavailable,
    InvalidOffer,
    RequestFailed,
    SessionUnknown,
    SignalingError,
    TooManySessions,
)

from .client_address import page_of
from .reporting import report_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .session import Session


class Desk(Protocol):
    """What can answer the requests of pages."""

    def find(self, webrtc_id: object, secret: object, page: str | None = None) -> Session:
        """Returns a session for the page that knows its secret, or raises `SessionUnknown`."""

    async def answer(self, body: Mapping[str, object], request: Any) -> dict[str, Any]:
        """Returns our answer to an offer."""


async def handle_request(desk: Desk, body: object, request: Any = None) -> dict[str, Any]:
    """Answers one signalling request of a page.

    Args:
        desk: Whom it concerns.
        body: ``type`` "offer" with ``sdp`` and, if the page brings an id of its own, ``webrtc_id``;
            or "ice-candidate" with ``candidate``, "candidates" or "close", all with the
            ``webrtc_id`` and the ``secret`` of the answer.
        request: What `get_current_context` is to give as the request of an offer. Its
            ``session_hash`` names the page.

    Returns:
        The answer with ``webrtc_id`` and ``secret``, ``{"status": "success"}``, or
        ``{"status": "failed", "meta": {"error", "message"}}`` with ``limit`` where it applies.
    """
    try:
        return await _dispatch(desk, body, request)
    except SignalingError as error:
        return refusal_of(error)
    except Exception as error:  # noqa: BLE001  # a page gets an answer, whatever went wrong
        told = report_error(error, "the answer to a page's request", "the page is refused")
        return refusal_of(RequestFailed("" if told is None else told.text))


async def _dispatch(desk: Desk, body: object, request: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise InvalidOffer(f"expected a JSON object, got {type(body).__name__}")
    match body.get("type"):
        case "ice-candidate":
            session = _session_of(desk, body, request)
            await _peer_of(session).add_candidate(body.get("candidate"))
            return {"status": "success"}
        case "candidates":
            session = _session_of(desk, body, request)
            return {"candidates": await _peer_of(session).candidates()}
        case "close":
            _session_of(desk, body, request).end("the caller left")
            return {"status": "success"}
        case _:
            return await desk.answer(body, request)


def _session_of(desk: Desk, body: Mapping[str, object], request: Any) -> Session:
    return desk.find(body.get("webrtc_id"), body.get("secret"), page_of(request))


def _peer_of(session: Session) -> PeerTransport:
    if not isinstance(session.transport, PeerTransport):
        raise SessionUnknown
    return session.transport


def refusal_of(error: SignalingError) -> dict[str, Any]:
    """Returns the answer that tells a page why its request was refused."""
    meta: dict[str, Any] = {"error": error.code, "message": str(error)}
    if isinstance(error, TooManySessions):
        meta["limit"] = error.limit
    if isinstance(error, HandlerUnavailable) and error.title is not None:
        meta["title"] = error.title
    return {"status": "failed", "meta": meta}

"""Refusals of HTTP requests: their status, and a problem document with the reason (RFC 9457).

Functions without state. Imports no handler.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import Response
from pydantic import BaseModel

from gradio_webrtc import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_KIND: Final = "application/problem+json"

STATUSES: Final[Mapping[type[errors.SignalingError], HTTPStatus]] = {
    errors.InvalidOffer: HTTPStatus.BAD_REQUEST,
    # The SDP is in order, and asks for what this stream does not have.
    errors.UnsupportedTrack: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidCandidate: HTTPStatus.BAD_REQUEST,
    errors.SessionExists: HTTPStatus.CONFLICT,
    errors.SessionUnknown: HTTPStatus.NOT_FOUND,
    errors.TooManySessions: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyOffers: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ServerBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ServerStopping: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.HandlerUnavailable: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.RequestFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.RequestRefused: HTTPStatus.FORBIDDEN,
}
"""The statuses of our errors. Clients go by their class, 4 or 5 hundred, alone (RFC 9725 section
4.1)."""

RETRY_AFTER_S: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: 5,
    # The rate of offers counts for a minute; see `Limits.offers_per_minute`.
    HTTPStatus.TOO_MANY_REQUESTS: 60,
}
"""Seconds after which another try may succeed (RFC 9110 section 10.2.3)."""


class Problem(BaseModel):
    """The reason of a refusal, as RFC 9457 has it.

    Attributes:
        type: Always "about:blank": the status has the kind.
        title: The name of the status.
        status: The status.
        detail: A sentence for the developer of the client.
        error: A code, such as "concurrency_limit_reached"; as in the answers of `/webrtc/offer`.
        limit: The number of sessions at once, where that is the reason.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str | None = None
    limit: int | None = None


class RequestProblem(Exception):
    """A request that is refused with a status of HTTP.

    Args:
        status: The status.
        detail: A sentence for the developer of the client.
        headers: Headers that belong to the status.
        members: Further members of the problem document.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self._problem = Problem(title=status.phrase, status=int(status), detail=detail, **members)
        self._headers = dict(headers or {})
        if status in RETRY_AFTER_S:
            self._headers["Retry-After"] = str(RETRY_AFTER_S[status])

    def answer(self) -> Response:
        """Returns the answer to the request."""
        return Response(
            self._problem.model_dump_json(exclude_none=True),
            self._problem.status,
            self._headers,
            PROBLEM_KIND,
        )


def problem_of(error: errors.SignalingError) -> RequestProblem:
    """Returns a refusal of signalling as one of HTTP."""
    kinds = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    status = next(kinds, HTTPStatus.BAD_REQUEST)
    limit = error.limit if isinstance(error, errors.TooManySessions) else None
    return RequestProblem(status, str(error), error=error.code, limit=limit)

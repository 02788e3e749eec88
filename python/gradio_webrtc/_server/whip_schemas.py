"""The requests and answers of WHIP and WHEP, as OpenAPI documents them.

Plain data.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from .problems import PROBLEM_KIND, Problem

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
"""The content types of offers and answers, and of more candidates."""

CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {
        "description": "The answer.",
        "content": {SDP: {"schema": {"type": "string"}}},
        "headers": {
            "Location": {
                "description": "The address of the session.",
                "schema": {"type": "string"},
            },
            "ETag": {
                "description": "For the If-Match of requests with candidates.",
                "schema": {"type": "string"},
            },
            "Link": {
                "description": "A STUN or TURN server; for clients with a token.",
                "schema": {"type": "string"},
            },
        },
    }
}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the refusals of a route, for OpenAPI."""
    schema = Problem.model_json_schema()
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_KIND: {"schema": schema}},
        }
        for status in statuses
    }


def body_of(kind: str, description: str) -> dict[str, Any]:
    """Returns the body of a request, for OpenAPI."""
    content = {kind: {"schema": {"type": "string"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}

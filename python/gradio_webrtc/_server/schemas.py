"""The bodies of requests and answers of `/webrtc/offer`, as OpenAPI documents them.

Plain data. What a request may hold is checked where it is used: here stand only names and types.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field


class Body(BaseModel):
    """A request of a client: an offer, or something about its session.

    Attributes:
        audio: The codecs of a client that asks for a link; ``None`` in all other requests.
        video: The same for video.
        sdp: The offer as SDP (RFC 8866); ``None`` in all other requests.
        candidate: A W3C RTCIceCandidateInit; ``None`` but in a request of the type "ice-candidate".
        type: "offer", "ice-candidate", "candidates" (asks for more candidates of the server),
            "link" (asks for a session over a WebSocket or HTTP), "outputs" (asks for what the
            handler emitted besides media) or "close".
        webrtc_id: The id of the session, which the client has chosen.
        secret: The secret from the answer, in all requests after the offer. Pages of the same
            origin need not send it: a cookie has it.
    """

    audio: dict[str, Any] | None = None
    video: list[str] | None = None
    sdp: str | None = None
    candidate: dict[str, Any] | None = None
    type: str
    webrtc_id: str
    secret: str | None = Field(default=None, repr=False)


class Answer(BaseModel):
    """The answer to an offer.

    Attributes:
        type: "answer".
        sdp: The answer as SDP (RFC 8866).
        webrtc_id: The id of the session, made by the server; the client's own works as well.
        secret: The proof that all later requests about the session must bring.
        candidates_follow: True if the client should ask for more candidates.
    """

    type: Literal["answer"]
    sdp: str
    webrtc_id: str
    secret: str
    candidates_follow: bool = False


class LinkAnswer(BaseModel):
    """The answer to a request for a link.

    Attributes:
        type: "link".
        audio: Codec and rate; ``None`` without audio.
        video: "jpeg"; ``None`` without video.
        path: The address of the link, relative to that of this request.
        webrtc_id: The id of the session, made by the server.
        secret: The proof that all that follows must bring.
    """

    type: Literal["link"]
    audio: dict[str, Any] | None
    video: Literal["jpeg"] | None
    path: str
    webrtc_id: str
    secret: str


class Accepted(BaseModel):
    """The answer to a request that brings nothing back."""

    status: Literal["success"]


class Candidates(BaseModel):
    """The candidates of the server that came behind its answer, each an RTCIceCandidateInit."""

    candidates: list[dict[str, Any]]


class Outputs(BaseModel):
    """The AdditionalOutputs that waited, the oldest first, each with its values.

    The client is sent a message of the type "fetch_output" when there are more.
    """

    outputs: list[list[Any]]


class RefusalReason(BaseModel):
    """The reason of a refusal.

    Attributes:
        error: A code, such as "concurrency_limit_reached".
        message: A sentence for the user.
        limit: The number of sessions at once, where that is the reason.
        title: The title of an error that the handler raised.
    """

    error: str
    message: str = ""
    limit: int | None = None
    title: str | None = None


class Refusal(BaseModel):
    """The answer to a request that was refused. Its HTTP status is 200, as in fastrtc."""

    status: Literal["failed"]
    meta: RefusalReason


Reply: TypeAlias = Answer | LinkAnswer | Accepted | Candidates | Outputs | Refusal

"""The bodies of requests and answers of `/webrtc/offer`, as OpenAPI documents them.

Plain data. What a request may hold is checked where it is used: here stand only names and types.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field


class Body(BaseModel):
    """A request of a client: an offer, or something about its session."""

    audio: dict[str, Any] | None = Field(
        default=None,
        description="With the type link: codecs of audio, and the rate of uncompressed samples.",
    )
    video: list[str] | None = Field(
        default=None, description="With the type link: the forms of video frames."
    )
    sdp: str | None = Field(default=None, description="The offer as SDP (RFC 8866), else nothing.")
    candidate: dict[str, Any] | None = Field(
        default=None,
        description="A W3C RTCIceCandidateInit, with the type ice-candidate; nothing at their end.",
    )
    type: str = Field(
        description="offer, link (asks for a session over a WebSocket or HTTP), ice-candidate, "
        "candidates (asks for more of the server's), outputs (asks for what the handler emitted "
        "besides media) or close.",
        examples=["offer"],
    )
    webrtc_id: str = Field(
        description="The id of the session, which the client chooses: 1 to 128 letters, digits, "
        "hyphens and underscores that nobody guesses."
    )
    secret: str | None = Field(
        default=None,
        repr=False,
        description="The secret from the answer, in requests after the offer. Pages of the same "
        "origin have it as a cookie, and candidates need none.",
    )


class Answer(BaseModel):
    """The answer to an offer."""

    type: Literal["answer"] = Field(description="As in an RTCSessionDescriptionInit of the W3C.")
    sdp: str = Field(description="The answer as SDP (RFC 8866).")
    webrtc_id: str = Field(
        description="The id that the server made; the one of the client works as well."
    )
    secret: str = Field(description="The proof that later requests for the session bring.")
    candidates_follow: bool = Field(
        default=False, description="True if the client should ask for more candidates."
    )


class LinkAnswer(BaseModel):
    """The answer to a request for a link."""

    type: Literal["link"] = Field(description="As in the request.")
    audio: dict[str, Any] | None = Field(description="Codec and rate, if there is audio.")
    video: Literal["jpeg"] | None = Field(description="The form of frames, if there is video.")
    websocket: bool = Field(description="False if the server has no WebSockets.")
    path: str = Field(description="The address of the link, relative to that of this request.")
    webrtc_id: str = Field(description="The id of the session, made by the server.")
    secret: str = Field(description="The proof that all that follows must bring.")


class Accepted(BaseModel):
    """The answer to a request that brings nothing back."""

    status: Literal["success"] = Field(description="That it was done.")


class Candidates(BaseModel):
    """The candidates of the server that came behind its answer."""

    candidates: list[dict[str, Any]] = Field(description="Each a W3C RTCIceCandidateInit.")


class Outputs(BaseModel):
    """The AdditionalOutputs that waited, the oldest first, each with its values.

    The client is sent a message of the type "fetch_output" when there are more.
    """

    outputs: list[list[Any]] = Field(description="The values of each.")


class RefusalReason(BaseModel):
    """The reason of a refusal."""

    error: str = Field(description="A code.", examples=["concurrency_limit_reached"])
    message: str = Field(default="", description="A sentence for the user.")
    limit: int | None = Field(
        default=None, description="The number of sessions at once, where that is the reason."
    )
    title: str | None = Field(
        default=None, description="The title of an error that the handler raised."
    )


class Refusal(BaseModel):
    """The answer to a request that was refused. Its HTTP status is 200, as in fastrtc."""

    status: Literal["failed"] = Field(description="That it was refused.")
    meta: RefusalReason = Field(description="The reason.")


Reply: TypeAlias = Answer | LinkAnswer | Accepted | Candidates | Outputs | Refusal

"""The exception tree. Constructing an error does nothing but construct.

WebRTCError
├── SignalingError        InvalidOffer · SessionExists · SessionUnknown · TooManySessions
│                         TooManyOffers · ServerBusy · ServerStopping · HandlerUnavailable
│                         RequestFailed · RequestRefused
├── TransportError        ConnectionTimeout · ConnectionLost
├── HandlerError          the user's exception is its __cause__
└── AudioError            also a ValueError; raised by the Rust core

CredentialsError          a ValueError; no WebRTCError, since its text is not for callers
"""

from __future__ import annotations

from typing import ClassVar


class WebRTCError(Exception):
    """Something went wrong in a call, in words the caller may read.

    Raise it from a handler to end the turn and show its text in the page. The text of any other
    exception stays in the server's log.
    """


class SignalingError(WebRTCError):
    """An offer or a candidate that cannot be taken.

    Attributes:
        code: The word that the page maps to its own text, sent as ``meta.error``.
    """

    code: ClassVar[str] = "invalid_request"


class InvalidOffer(SignalingError):
    """The offer is not an SDP offer of a size and kind that we answer."""

    code = "invalid_offer"


class UnsupportedTrack(InvalidOffer, ValueError):
    """The offer brings a track of a kind that this stream has no use for.

    Args:
        kind: "audio" or "video".
        modality: What the stream takes.
    """

    def __init__(self, kind: str, modality: str) -> None:
        # The words of the predecessors, whose clients look for them.
        super().__init__(f"Unsupported track kind '{kind}' for modality '{modality}'")


class InvalidCandidate(SignalingError):
    """The ICE candidate cannot be read."""

    code = "invalid_candidate_format"


class SessionExists(SignalingError):
    """A session with this id is under way."""

    code = "connection_already_exists"


class SessionUnknown(SignalingError):
    """No session has this id and this secret; which of the two is wrong is not told."""

    code = "unknown_connection"

    def __init__(self, message: str = "no call with this id and this secret is under way") -> None:
        # One text for all: a second one would tell what exists.
        super().__init__(message)


class TooManySessions(SignalingError):
    """The concurrency limit is reached.

    Args:
        limit: How many sessions may be under way at once.
    """

    code = "concurrency_limit_reached"

    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} calls at once, and all are taken: try again later")
        self.limit = limit


class TooManyOffers(SignalingError):
    """One client made too many offers, or has too many that did not connect."""

    code = "too_many_offers"

    def __init__(self) -> None:
        super().__init__("too many calls were started from your address: try again in a minute")


class ServerBusy(SignalingError):
    """The server takes no new call at the moment.

    Args:
        message: What the page shows.
    """

    code = "server_busy"

    def __init__(self, message: str = "the server is busy: try again in a moment") -> None:
        super().__init__(message)


class HandlerUnavailable(SignalingError):
    """No handler could be made for the call: its ``copy()`` raised, took too long or gave none.

    Args:
        message: What the page shows; nothing of the exception, unless that is meant for a page.
        title: What the page shows above it, or ``None`` for words of its own.
    """

    code = "handler_failed"

    def __init__(self, message: str, title: str | None = None) -> None:
        super().__init__(message)
        self.title = title


class RequestFailed(SignalingError):
    """Something of ours went wrong over a page's request; its text has nothing of the exception."""

    code = "server_error"


class RequestRefused(SignalingError):
    """The request comes from a web page that may not use this server."""

    code = "request_refused"

    def __init__(self, message: str = "this page may not call here") -> None:
        super().__init__(message)


class ServerStopping(SignalingError):
    """The server is about to stop, and takes no new call; one that follows it may."""

    code = "server_stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping: call again in a moment")


class TransportError(WebRTCError):
    """The connection to the caller failed."""


class ConnectionTimeout(TransportError):
    """The caller did not connect in time after the answer."""


class ConnectionLost(TransportError):
    """The caller is gone."""


class HandlerError(WebRTCError):
    """The user's handler broke its contract, or raised: then that is the ``__cause__``."""


class AudioError(WebRTCError, ValueError):
    """Audio that cannot be used: says what was expected and what came. State is unchanged."""


class CredentialsError(ValueError):
    """A TURN service gave no credentials: says what is missing, or what the service answered.

    Nothing secret is in its text, nor in what it was raised from.
    """


class PictureError(WebRTCError, ValueError):
    """A picture that cannot be shown: says what was expected and what came."""

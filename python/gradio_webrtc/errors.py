"""The exceptions of the package. Constructing one does nothing but construct.

Behind a refusal of signalling stands its code, which the client receives as ``meta.error``::

    WebRTCError
    ├── SignalingError               invalid_request
    │   ├── InvalidOffer             invalid_offer
    │   │   └── UnsupportedTrack     the same code; also a ValueError
    │   ├── InvalidCandidate         invalid_candidate_format
    │   ├── SessionExists            connection_already_exists
    │   ├── SessionUnknown           unknown_connection
    │   ├── TooManySessions          concurrency_limit_reached
    │   ├── TooManyOffers            too_many_offers
    │   ├── ServerBusy               server_busy
    │   ├── ServerStopping           server_stopping
    │   ├── HandlerUnavailable       handler_failed
    │   ├── RequestFailed            server_error
    │   └── RequestRefused           request_refused
    ├── TransportError
    │   ├── ConnectionTimeout
    │   └── ConnectionLost
    ├── HandlerError                 its __cause__ is the error of the item that it is about
    ├── AudioError                   also a ValueError; raised by the Rust core
    └── PictureError                 also a ValueError

    ValueError
    └── CredentialsError             no WebRTCError, since its text is not for users

    Exception
    └── TurnDiscarded                no WebRTCError, since nobody is shown it

Imports nothing of ours.
"""

from __future__ import annotations

from typing import ClassVar


class WebRTCError(Exception):
    """Something went wrong in a session, in words that the user may read.

    Raise it from a handler to end the turn and show its text to the user. The text of any other
    exception stays in the server's log.

    Example:
        >>> def reply(audio):
        ...     raise WebRTCError("The model is still loading.")
    """


class SignalingError(WebRTCError):
    """A request of signalling, such as an offer or a candidate, that is refused.

    Attributes:
        code: The word that the client maps to its own text, sent as ``meta.error``. One that it has
            no text for is shown with the text of the exception.

    Example:
        >>> from gradio_webrtc.errors import ServerBusy
        >>> ServerBusy().code
        'server_busy'
    """

    code: ClassVar[str] = "invalid_request"


class InvalidOffer(SignalingError):
    """The offer is no SDP offer of a size and kind that is answered."""

    code = "invalid_offer"


class UnsupportedTrack(InvalidOffer, ValueError):
    """The offer has a track of a kind that this stream has no use for.

    Args:
        kind: The track's kind: "audio" or "video".
        modality: The stream's kinds of media: "audio", "video" or "audio-video".
    """

    def __init__(self, kind: str, modality: str) -> None:
        # In the words of gradio_webrtc 0.0.31 and fastrtc, which clients look for.
        super().__init__(f"Unsupported track kind '{kind}' for modality '{modality}'")


class InvalidCandidate(SignalingError):
    """The ICE candidate cannot be read (RFC 8839 section 5.1)."""

    code = "invalid_candidate_format"


class SessionExists(SignalingError):
    """A session with this id is under way already."""

    code = "connection_already_exists"


class SessionUnknown(SignalingError):
    """No session has this id and this secret; the text does not reveal which of the two is wrong.

    Args:
        message: The text for the client.
    """

    code = "unknown_connection"

    def __init__(self, message: str = "no call with this id and this secret is under way") -> None:
        # One text for all: a second one would reveal which sessions exist.
        super().__init__(message)


class TooManySessions(SignalingError):
    """The concurrency limit is reached.

    Args:
        limit: The number of sessions that may be under way at once, 1 or more.

    Attributes:
        limit: As passed; sent as ``meta.limit``.
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
    """The server takes no new session at the moment.

    Args:
        message: The text for the user.
    """

    code = "server_busy"

    def __init__(self, message: str = "the server is busy: try again in a moment") -> None:
        super().__init__(message)


class HandlerUnavailable(SignalingError):
    """No handler could be made for the session: its ``copy()`` raised, took too long or gave none.

    Args:
        message: The text for the user; nothing of the exception, unless that is a `WebRTCError`.
        title: The line above it; ``None`` for one of the client's own.

    Attributes:
        title: As passed; sent as ``meta.title``.
    """

    code = "handler_failed"

    def __init__(self, message: str, title: str | None = None) -> None:
        super().__init__(message)
        self.title = title


class RequestFailed(SignalingError):
    """A fault of ours in the answer to a request; its text has nothing of the exception."""

    code = "server_error"


class RequestRefused(SignalingError):
    """The request comes from a web page that may not use this server.

    Args:
        message: The text for the user.
    """

    code = "request_refused"

    def __init__(self, message: str = "this page may not call here") -> None:
        super().__init__(message)


class ServerStopping(SignalingError):
    """The server is about to stop and takes no new session; its successor may."""

    code = "server_stopping"

    def __init__(self) -> None:
        super().__init__("the server is stopping: call again in a moment")


class TransportError(WebRTCError):
    """The connection to the remote peer failed."""


class ConnectionTimeout(TransportError):
    """The remote peer did not connect in time after the answer."""


class ConnectionLost(TransportError):
    """The remote peer is gone: it left, or nothing has come from it for too long."""


class HandlerError(WebRTCError):
    """The user's handler broke its contract, for example by emitting text where audio belongs.

    Its text is for the developer and stays in the server's log; the user is shown a short id. If an
    item of the handler's was refused, for example by the audio core, that error is the
    ``__cause__``. An exception that the handler itself raised is reported as it is.
    """


class AudioError(WebRTCError, ValueError):
    """Audio that cannot be used.

    The text names what was expected and what came. The object that raised it is unchanged, and can
    be used with other audio.

    Example:
        >>> try:
        ...     mp3 = audio_to_bytes((24000, np.zeros((3, 10), np.int16)))
        ... except AudioError as error:
        ...     print(error)
        expected samples (n,), (1, n) or (2, n), got (3, 10)
    """


class PictureError(WebRTCError, ValueError):
    """A video frame that cannot be encoded. The text names what was expected and what came."""


class CredentialsError(ValueError):
    """A TURN service gave no credentials.

    The text names what is missing, or quotes what the service answered. Nothing secret is in it,
    nor in the exception that it was raised from.

    Example:
        >>> def turn_servers():
        ...     try:
        ...         return get_turn_credentials("twilio")
        ...     except CredentialsError:
        ...         return {"iceServers": []}  # without a relay
        >>> turn_servers()
        {'iceServers': []}
    """


class TurnDiscarded(Exception):
    """The turn whose answer was begun is not over: the user talked on, or left.

    Raised by ``get_turn().certain()``, so that the answer ends there. Nothing of it reaches the
    user, and neither does this.

    Args:
        turn: The number of the turn.

    Example:
        >>> TurnDiscarded(3)
        TurnDiscarded('turn 3 goes on: what was begun for it is dropped')
    """

    def __init__(self, turn: int) -> None:
        super().__init__(f"turn {turn} goes on: what was begun for it is dropped")

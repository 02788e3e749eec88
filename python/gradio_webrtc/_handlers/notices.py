"""The session that the running code serves, and messages to its client, from any of that code.

Context variables carry the session into every task and worker that its code starts. Nothing here
depends on the session beyond its id and its way to the client.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from gradio_webrtc._messages import create_message, printable
from gradio_webrtc.types import SessionControl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

T = TypeVar("T")

MAX_EARLY_MESSAGES: Final = 100
"""Messages that a handler may send while it is being made: the first; later ones are logged."""

_logger = logging.getLogger(__name__)


class Reachable(Protocol):
    """A session whose client can be sent messages; from any thread."""

    webrtc_id: str

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a JSON message to the client."""


class Channel:
    """The substitute for the data channel: an object with ``send(text)``; from any thread.

    Args:
        session: The session whose client it sends to.
    """

    def __init__(self, session: Reachable) -> None:
        self._session = session

    def send(self, message: str) -> None:
        """Sends a JSON object as text; other text arrives as a log message."""
        self._session.send(as_message(message))


def as_message(message: str | Mapping[str, object]) -> Mapping[str, object]:
    """Returns the JSON object in this text, or a log message with the text."""
    if isinstance(message, Mapping):
        return message
    try:
        decoded = json.loads(message)
    except ValueError:
        decoded = None
    return decoded if isinstance(decoded, dict) else create_message("log", message)


@dataclass(frozen=True)
class Context:
    """The client that the running code serves.

    Attributes:
        webrtc_id: The id of the session.
        websocket: The Starlette WebSocket of a session over one; ``None`` over WebRTC. Messages are
            sent by `StreamHandler.send_message`, which keeps them in order with the audio.
        request: The ``gr.Request`` of the offer, with ``username``, ``headers``, ``query_params``,
            ``session_hash`` and ``client``. Over the routes of a `Stream` it is the request of the
            app, whose ``username`` and ``session_hash`` are ``None``, or the WebSocket where there
            is one. ``None`` for a session that was made without a request.
        session: The session: its ``say(audio, when="now")`` plays something to the user, and its
            ``interrupt()`` ends what is played. ``None`` while the handler is being made.

    Example:
        >>> def name_of(context):
        ...     return context.request.username if context.request else "somebody"
        >>> name_of(Context("a session"))
        'somebody'
    """

    webrtc_id: str
    websocket: Any = None
    request: Any = None
    session: SessionControl | None = None


current_session: ContextVar[Reachable] = ContextVar("current_session")
"""The session that the running code serves. It is set by the session; tasks and workers carry it
on."""

current_context: ContextVar[Context | None] = ContextVar("current_context", default=None)
"""The client that the running code serves; `get_current_context` reads it."""

current_channel: ContextVar[Channel | None] = ContextVar("current_channel", default=None)
"""The data channel of the session that the running code serves."""

_preparations: Final[list[Callable[[Context], AbstractContextManager[None]]]] = []


def prepare_sessions(prepare: Callable[[Context], AbstractContextManager[None]]) -> None:
    """Has this context manager entered wherever code of a session begins, from now on.

    For other packages' context variables, such as Gradio's own.
    """
    _preparations.append(prepare)


@contextmanager
def holding(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Sets a context variable for the length of a block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextmanager
def in_session(session: Reachable, request: Any = None) -> Iterator[None]:
    """Has the block, and every task and worker that it starts, serve a session.

    Args:
        session: The session.
        request: The ``gr.Request`` of its offer. Without one, that of the current context stays.
    """
    context = current_context.get()
    if context is None or context.webrtc_id != session.webrtc_id or request is not None:
        context = Context(session.webrtc_id, _websocket_of(request), request)
    if isinstance(session, SessionControl):
        context = replace(context, session=session)
    with ExitStack() as stack:
        stack.enter_context(holding(current_session, session))
        stack.enter_context(holding(current_context, context))
        stack.enter_context(holding(current_channel, Channel(session)))
        for prepare in _preparations:
            stack.enter_context(prepare(context))
        yield


def _websocket_of(request: Any) -> Any:
    # A ``gr.Request`` converts each attribute to JSON, and fails for a scope.
    scope = getattr(request, "__dict__", {}).get("scope")
    return request if isinstance(scope, dict) and scope.get("type") == "websocket" else None


class MessageRelay:
    """The way to a client from before there is a session: messages wait until there is one.

    Args:
        webrtc_id: The id of the session to come.
    """

    def __init__(self, webrtc_id: str) -> None:
        self.webrtc_id = webrtc_id
        self._session: Reachable | None = None
        self._waiting: list[Mapping[str, object]] = []
        # A handler may be made in a thread, which goes on while the session connects the relay.
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a message, or keeps it until `connect`; from any thread."""
        with self._lock:
            session = self._session
            if session is None and len(self._waiting) < MAX_EARLY_MESSAGES:
                self._waiting.append(message)
                return
        if session is None:
            text = printable(message)
            _logger.warning("too many messages before the session: %s is not sent", text)
            return
        session.send(message)

    def connect(self, session: Reachable) -> None:
        """Sends the waiting messages, and from now on every message, to the client."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for message in waiting:
                session.send(message)
            self._session = session


def get_current_context() -> Context:
    """Returns the client that the running code serves; from any code that a handler runs.

    Raises:
        RuntimeError: Called from elsewhere, or in a thread that the handler started by itself.

    Example:
        >>> from gradio_webrtc.testing import simulate
        >>> def greet():
        ...     yield AdditionalOutputs(get_current_context().webrtc_id)
        >>> handler = ReplyOnPause(lambda audio: audio, startup_fn=greet)
        >>> simulate(handler, (16000, np.zeros(16000, np.int16))).outputs[0].args
        ('simulated',)
    """
    context, session = current_context.get(), current_session.get(None)
    if context is not None:
        return context
    if session is not None:
        return Context(session.webrtc_id)
    raise RuntimeError("No context found: this code was not called by a handler in a session")


def send_to_client(message: Mapping[str, object]) -> None:
    """Sends a message to the client that the running code serves, or to the log."""
    session = current_session.get(None)
    if session is None:
        _logger.warning("no client to show this to: %s", printable(message.get("data")))
        return
    session.send(message)


def Warning(message: str = "Warning issued.") -> None:  # noqa: A001, N802 - the name in fastrtc
    """Shows a warning to the user; the session and the turn go on.

    Call it from any code that a handler runs, sync or async. A thread that the handler started by
    itself serves no session, and the text goes to the log alone.

    Args:
        message: The text that is shown.

    Example:
        >>> def reply(audio):
        ...     Warning("I did not catch that.")
        ...     yield audio
    """
    send_to_client(create_message("warning", message))

"""Whom a handler's code serves, and words for their page, from anywhere in that code."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from gradio_webrtc._messages import create_message, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Reachable(Protocol):
    """A call as far as its page can be told something; from any thread."""

    webrtc_id: str

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a JSON message to the page."""


class Channel:
    """What stands for the data channel: an object with ``send(text)``; from any thread.

    Args:
        call: The call whose page it sends to.
    """

    def __init__(self, call: Reachable) -> None:
        self._call = call

    def send(self, message: str) -> None:
        """Sends a JSON object as text; other text arrives as a log message."""
        self._call.send(as_message(message))


def as_message(message: str | Mapping[str, object]) -> Mapping[str, object]:
    """The JSON object in this text, or one around it that makes it a log message."""
    if isinstance(message, Mapping):
        return message
    try:
        decoded = json.loads(message)
    except ValueError:
        decoded = None
    return decoded if isinstance(decoded, dict) else create_message("log", message)


T = TypeVar("T")

MAX_EARLY_MESSAGES: Final = 100
"""How many messages a handler may send while it is being made: the first; later ones are logged."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """Whom the running code serves.

    Attributes:
        webrtc_id: The id of the call.
        websocket: Always ``None``: every call comes over WebRTC.
        request: The ``gr.Request`` of the offer, with ``username``, ``headers``, ``query_params``,
            ``session_hash`` and ``client``; ``None`` for a call that came to us without Gradio.
    """

    webrtc_id: str
    websocket: Any = None
    request: Any = None


current_session: ContextVar[Reachable] = ContextVar("current_session")
"""The call that the running code serves. A session sets it; tasks and workers carry it on."""

current_context: ContextVar[Context | None] = ContextVar("current_context", default=None)
"""Whom the running code serves; `get_current_context` reads it."""

current_channel: ContextVar[Channel | None] = ContextVar("current_channel", default=None)
"""The data channel of the call that the running code serves."""

_preparations: Final[list[Callable[[Context], AbstractContextManager[None]]]] = []


def prepare_sessions(prepare: Callable[[Context], AbstractContextManager[None]]) -> None:
    """Has this entered wherever code of a call begins, from now on.

    For what is not known here, such as Gradio's own context variables.
    """
    _preparations.append(prepare)


@contextmanager
def holding(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Gives a context variable a value for the length of a block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextmanager
def in_session(call: Reachable, request: Any = None) -> Iterator[None]:
    """Has the block, and every task and worker that it starts, serve a call.

    Args:
        call: The call.
        request: The ``gr.Request`` of its offer. Without one, what is known already stands.
    """
    context = current_context.get()
    if context is None or context.webrtc_id != call.webrtc_id or request is not None:
        context = Context(call.webrtc_id, request=request)
    with ExitStack() as stack:
        stack.enter_context(holding(current_session, call))
        stack.enter_context(holding(current_context, context))
        stack.enter_context(holding(current_channel, Channel(call)))
        for prepare in _preparations:
            stack.enter_context(prepare(context))
        yield


class Line:
    """The way to a caller's page, from before there is a call: messages wait until there is one.

    Args:
        webrtc_id: The id that the caller chose.
    """

    def __init__(self, webrtc_id: str) -> None:
        self.webrtc_id = webrtc_id
        self._call: Reachable | None = None
        self._waiting: list[Mapping[str, object]] = []
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, object]) -> None:
        """Sends a message, or keeps it until `connect`; from any thread."""
        with self._lock:
            call = self._call
            if call is None and len(self._waiting) < MAX_EARLY_MESSAGES:
                self._waiting.append(message)
                return
        if call is None:
            _logger.warning("too many messages before the call: %s is not sent", printable(message))
            return
        call.send(message)

    def connect(self, call: Reachable) -> None:
        """Sends what waited, and from now on everything, to the page of this call."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for message in waiting:
                call.send(message)
            self._call = call


def get_current_context() -> Context:
    """The call that the running code serves; from any code that a handler runs, sync or async.

    Raises:
        RuntimeError: Called from elsewhere, or in a thread that the handler started by itself.
    """
    context, call = current_context.get(), current_session.get(None)
    if context is not None:
        return context
    if call is not None:
        return Context(call.webrtc_id)
    raise RuntimeError("No context found: this code was not called by a handler in a call")


def send_to_page(message: Mapping[str, object]) -> None:
    """Sends a message to the page of the call that the running code serves, or to the log."""
    call = current_session.get(None)
    if call is None:
        _logger.warning("no caller to show this to: %s", printable(message.get("data")))
        return
    call.send(message)


def Warning(message: str = "Warning issued.") -> None:  # noqa: A001, N802 - its predecessors' name
    """Shows a warning in the caller's page; the call and the turn go on.

    Call it from any code that a handler runs, sync or async. In a thread that the handler started
    by itself nobody is the caller, and the words go to the log alone.

    Args:
        message: What the page shows.

    Example:
        >>> def reply(audio):
        ...     Warning("I did not catch that.")
        ...     yield audio
    """
    send_to_page(create_message("warning", message))

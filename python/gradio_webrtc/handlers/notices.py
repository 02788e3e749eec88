"""Whom a handler's code serves, and words for their page, from anywhere in that code."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradio_webrtc.messages import create_message

if TYPE_CHECKING:
    from gradio_webrtc.types import Call

_logger = logging.getLogger(__name__)

current_call: ContextVar[Call] = ContextVar("current_call")
"""The call that the running code serves. A session sets it; tasks and workers carry it on."""


@dataclass(frozen=True)
class Context:
    """Whom the running code serves.

    Attributes:
        webrtc_id: The id of the call.
        websocket: Always ``None``: every call comes over WebRTC.
    """

    webrtc_id: str
    websocket: Any = None


current_context: ContextVar[Context | None] = ContextVar("current_context", default=None)
"""Whom the running code serves."""

current_channel: ContextVar[Any] = ContextVar("current_channel", default=None)
"""The data channel of the call that the running code serves."""


def get_current_context() -> Context:
    """The call that the running code serves; from any code that a handler runs, sync or async.

    Raises:
        RuntimeError: Called from elsewhere, or in a thread that the handler started by itself.
    """
    call = current_call.get(None)
    if call is None:
        raise RuntimeError("No context found: this code was not called by a handler in a call")
    return Context(call.webrtc_id)


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
    call = current_call.get(None)
    if call is None:
        _logger.warning("no caller to show this to: %s", message)
        return
    call.send(create_message("warning", message))

"""Errors of user code: a line in the log, and the message for the user.

Functions without state, for any thread. Imports no Gradio: its error is recognised by its
attributes.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from typing import Any, Final, NamedTuple

from gradio_webrtc._messages import SHOWN_S, printable, read_duration
from gradio_webrtc.errors import HandlerError, WebRTCError

logger = logging.getLogger(__name__)

GRADIO_ERROR: Final = ("message", "title", "duration", "visible")
"""The attributes of ``gradio.Error``, by which it is recognised: Gradio is not imported here."""


class UserMessage(NamedTuple):
    """The text of an error as the user is shown it.

    Attributes:
        text: The text.
        title: The title above it; ``None`` for the usual one.
        duration_s: Seconds for which it is shown; ``None`` until the user closes it.
    """

    text: str
    title: str | None = None
    duration_s: float | None = SHOWN_S


def message_of(error: BaseException) -> UserMessage | None:
    """Returns the error's own message to the user; ``None`` if its text is for the log only.

    It is the text of a `WebRTCError`, or of Gradio's ``gr.Error`` with its title and duration.
    """
    if isinstance(error, WebRTCError):
        return None if isinstance(error, HandlerError) else UserMessage(str(error))
    if all(hasattr(error, name) for name in GRADIO_ERROR):
        shown: Any = error
        return UserMessage(str(shown.message), str(shown.title), read_duration(shown.duration))
    return None


def report_error(error: BaseException, where: str, outcome: str) -> UserMessage | None:
    """Logs an error, and returns the message for the user.

    A text that is not meant for the user stays in the log, on a line that begins with a short id.
    The user is shown the id.

    Args:
        error: The exception with its traceback.
        where: The code that raised it, for the log.
        outcome: The consequence, for the log.

    Returns:
        The message; ``None`` for an error that is marked as not to be shown.
    """
    message = message_of(error)
    if message is None:
        mark = secrets.token_hex(4)
        logger.error("%s: an error in %s; %s", mark, where, outcome, exc_info=error)
        return UserMessage(f"Something went wrong: see the server's log (error {mark}).")
    with_traceback = getattr(error, "print_exception", False)
    shown = printable(message.text)
    logger.warning("%s raised: %s", where, shown, exc_info=error if with_traceback else None)
    return message if getattr(error, "visible", True) else None


def report_without_text(error: BaseException, where: str, outcome: str) -> None:
    """Logs an error of code that handles credentials: its type and its lines, never its text.

    Such code often quotes its input: an address with a token, or the credential itself. The same
    goes for the exception that the error was raised from.

    Args:
        error: The exception with its traceback.
        where: The code that raised it, for the log.
        outcome: The consequence, for the log.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = ", ".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-3:])
    kind = type(error).__name__
    logger.error("%s in %s (its text may hold secrets: %s); %s", kind, where, lines, outcome)

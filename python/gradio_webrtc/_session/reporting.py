"""Errors of users' code: a line in the log, and what the page is told of them."""

from __future__ import annotations

import logging
import secrets
import traceback
from typing import Any, Final, NamedTuple

from gradio_webrtc._messages import SHOWN_S, printable, read_duration
from gradio_webrtc.errors import HandlerError, WebRTCError

logger = logging.getLogger(__name__)

GRADIO_ERROR: Final = ("message", "title", "duration", "visible")
"""What tells ``gradio.Error`` from other exceptions, here where Gradio is not known."""


class Told(NamedTuple):
    """What the page is told of an error.

    Attributes:
        text: The words.
        title: What stands above them; ``None`` for the usual.
        duration_s: For how long they are shown, in seconds; ``None`` for until they are closed.
    """

    text: str
    title: str | None = None
    duration_s: float | None = SHOWN_S


def words_of(error: BaseException) -> Told | None:
    """What the error itself has to say to the page; ``None`` when its text is not for the page.

    That is the text of a `WebRTCError`, or of Gradio's ``gr.Error`` with its title and duration.
    """
    if isinstance(error, WebRTCError):
        return None if isinstance(error, HandlerError) else Told(str(error))
    if all(hasattr(error, name) for name in GRADIO_ERROR):
        shown: Any = error
        return Told(str(shown.message), str(shown.title), read_duration(shown.duration))
    return None


def report_error(error: BaseException, where: str, outcome: str) -> Told | None:
    """Logs an error, and gives what the page is to be told of it.

    Words that are not meant for the page stay in the log, on a line that begins with a short id.
    The page gets the id.

    Args:
        error: What was raised, with its traceback.
        where: In whose code, for the log.
        outcome: What comes of it, for the log.

    Returns:
        What to tell, or ``None`` for an error that says of itself that it is not to be shown.
    """
    told = words_of(error)
    if told is None:
        mark = secrets.token_hex(4)
        logger.error("%s: an error in %s; %s", mark, where, outcome, exc_info=error)
        return Told(f"Something went wrong: see the server's log (error {mark}).")
    wants_traceback = getattr(error, "print_exception", False)
    shown = printable(told.text)
    logger.warning("%s raised: %s", where, shown, exc_info=error if wants_traceback else None)
    return told if getattr(error, "visible", True) else None


def report_without_text(error: BaseException, where: str, outcome: str) -> None:
    """Logs an error of code that handles credentials: its kind and its lines, never its text.

    What such code raises often quotes what it was given: an address with a token, or the credential
    itself. The same goes for whatever the error was raised from.

    Args:
        error: What was raised, with its traceback.
        where: In whose code, for the log.
        outcome: What comes of it, for the log.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = ", ".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-3:])
    kind = type(error).__name__
    logger.error("%s in %s (its text may hold secrets: %s); %s", kind, where, lines, outcome)

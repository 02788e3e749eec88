"""The component's value: the page's credentials for its session, and the values from Python.

Functions without state, for any thread. Imports no Gradio.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gradio_webrtc.types import WebRTCData

from .claim import PageValue

if TYPE_CHECKING:
    from gradio_webrtc._session.manager import SessionManager

WEBRTC_VALUE: Final = "__webrtc_value__"
"""The text that user code gets in place of the component's own value."""

START_COMMAND: Final = "start_webrtc_stream"
"""The value that starts a session in mode "receive"; the twin of the one in ``types.ts``."""

PAGE_KEYS: Final = frozenset({"webrtc_id", "secret", "textbox"})
"""The members of a page's own value; the twin of ``Credentials`` in ``types.ts``."""


def value_is_ours(value: object, sessions: SessionManager) -> bool:
    """True if a function's output is the command to start, or the value that it was called with.

    The session may be over by now: its id was made by our server, or is the UUID of an older page.
    """
    if isinstance(value, (WebRTCData, PageValue)):
        return True
    if isinstance(value, Mapping):
        return set(value) <= PAGE_KEYS
    if not isinstance(value, str):
        return False
    is_known = value in (WEBRTC_VALUE, START_COMMAND) or sessions.get(value) is not None
    return is_known or _is_uuid(value)


def describe_kind(value: object) -> str:
    """Returns the type of a value, and of a tuple's parts; never the value, which may be secret."""
    if isinstance(value, tuple):
        return f"a tuple ({', '.join(type(part).__name__ for part in value[:4])})"
    return f"a value of type {type(value).__name__}"


def _is_uuid(text: str) -> bool:
    try:
        return text in (str(uuid.UUID(text)), uuid.UUID(text).hex)
    except ValueError:
        return False

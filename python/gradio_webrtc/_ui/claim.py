"""The component's value as functions of a page get it, with the session that the page proved.

A page sends an id and a secret, which are looked up once, here. From then on the value carries the
session itself, and returns it for the Gradio session that made the offer alone. Runs in any thread.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from gradio_webrtc._handlers.stream_handler import INPUT_PLACEHOLDER
from gradio_webrtc.errors import SessionUnknown

if TYPE_CHECKING:
    from gradio_webrtc._session.directory import Entry
    from gradio_webrtc._session.manager import SessionManager
    from gradio_webrtc._session.session import Session


class PageValue(str):
    """A session in functions of a page: text, with a checked session behind it.

    Copies and pickles are plain text: a function may keep the value for as long as it likes, and no
    session with it.

    Args:
        text: The text of the value.
        entry: The session whose secret the page has sent, whichever page that is.
    """

    __slots__ = ("_page", "_session")

    _page: str | None
    _session: weakref.ref[Session] | None

    def __new__(cls, text: str, entry: Entry | None = None) -> Self:
        """Returns the text with the session."""
        value = super().__new__(cls, text)
        value._page = None if entry is None else entry.names.gradio_session
        value._session = None if entry is None else weakref.ref(entry.session)
        return value

    def session_for(self, page: str | None) -> Session | None:
        """Returns the session if its offer came from this Gradio session, otherwise ``None``."""
        return self._session() if self._session is not None and self._page == page else None

    def __copy__(self) -> str:
        return str(self)

    def __deepcopy__(self, _memo: object) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def read_value(payload: object, sessions: SessionManager, page: str | None) -> PageValue:
    """Checks the component's value as a page sent it; in any thread.

    Args:
        payload: Anything; from a page of ours, a dict with ``webrtc_id`` and ``secret``.
        sessions: The sessions of the component.
        page: The Gradio session that sent it, as far as is known here.

    Returns:
        The name of the session if it is this page's, otherwise ``"__webrtc_value__"``.
    """
    credentials: dict[str, Any] = payload if isinstance(payload, dict) else {}
    try:
        entry = sessions.check(credentials.get("webrtc_id"), credentials.get("secret"))
    except SessionUnknown:
        return PageValue(INPUT_PLACEHOLDER)
    is_own = entry.names.gradio_session == page
    return PageValue(entry.names.name if is_own else INPUT_PLACEHOLDER, entry)

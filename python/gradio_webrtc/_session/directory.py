"""The names of sessions: who goes by which id, and who may say so.

The server makes the id of every session. An id that a page brings is an alias, worth nothing
without the session's secret. Secrets count for the Gradio session (the page) alone that made the
offer. Runs on the event loop; `Directory.get` also in any other thread.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from gradio_webrtc._handlers.stream_handler import INPUT_PLACEHOLDER
from gradio_webrtc.errors import InvalidOffer, SessionExists, SessionUnknown

if TYPE_CHECKING:
    from .session import Session

ID_BYTES: Final = 16
"""128 random bits: more than anybody can guess (RFC 4086, section 8.2)."""

MAX_ALIASES: Final = 4096
"""How many aliases of ended calls are remembered, to keep each for the page that brought it. The
oldest go first; an entry takes about 300 bytes."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

_RESERVED: Final = frozenset({INPUT_PLACEHOLDER, "start_webrtc_stream"})
"""What has a meaning of its own as the component's value: no call, and the order to start one."""

_NO_SECRET: Final = hashlib.sha256().digest()
"""Of what cannot be a secret; no session has the empty one."""


class SessionNames(NamedTuple):
    """What one session is called, and to whom it belongs.

    Attributes:
        session_id: Made by the server: 32 hexadecimal digits.
        name: What user code sees: the alias where the page brought one that was free, otherwise
            the ``session_id``.
        alias: What the page brought; ``None`` for nothing.
        page: The Gradio session that made the offer; ``None`` for a program without a page.
    """

    session_id: str
    name: str
    alias: str | None = None
    page: str | None = None


class Entry(NamedTuple):
    """A session with its names."""

    names: SessionNames
    session: Session


def is_id(text: object) -> bool:
    """True if this can be the id of a session: 1 to 128 letters, digits, ``_`` and ``-``."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None and text not in _RESERVED


class Directory:
    """Finds sessions, by a name for our own server's code, by a secret for everybody else."""

    def __init__(self) -> None:
        self._by_secret: dict[bytes, Entry] = {}
        self._by_name: dict[str, Session] = {}
        self._claimed: dict[str, SessionNames] = {}
        self._owners: OrderedDict[str, str | None] = OrderedDict()

    def claim(self, alias: object, page: str | None) -> SessionNames:
        """Names a session that is about to be made; `release` frees the names again.

        An alias that another page has is not refused: that would tell strangers who is in a call.
        The session then goes by its ``session_id``, and its own page still finds it by the alias.

        Args:
            alias: What the page brought; ``None`` for nothing.
            page: The Gradio session of the offer.

        Raises:
            InvalidOffer: The alias is nothing that can be an id.
            SessionExists: The same page has a session with this alias.
        """
        session_id = secrets.token_hex(ID_BYTES)
        if alias is None:
            names = SessionNames(session_id, session_id, None, page)
        else:
            names = self._claim_alias(alias, session_id, page)
        self._claimed[names.session_id] = self._claimed[names.name] = names
        return names

    def _claim_alias(self, alias: object, session_id: str, page: str | None) -> SessionNames:
        if not isinstance(alias, str) or not is_id(alias):
            raise InvalidOffer(
                "expected a webrtc_id of 1 to 128 letters, digits, - and _, or none: the answer "
                "brings one"
            )
        holder = self._claimed.get(alias)
        if holder is not None and holder.page == page:
            raise SessionExists("a call with this id is under way")
        is_free = holder is None and self._owners.get(alias, page) == page
        if is_free:
            self._owners[alias] = page
            self._owners.move_to_end(alias)
            if len(self._owners) > MAX_ALIASES:
                self._owners.popitem(last=False)
        return SessionNames(session_id, alias if is_free else session_id, alias, page)

    def enter(self, names: SessionNames, session: Session) -> None:
        """Makes a session known that was claimed."""
        self._by_secret[_digest(session.secret)] = Entry(names, session)
        self._by_name[names.session_id] = self._by_name[names.name] = session

    def release(self, names: SessionNames) -> None:
        """Forgets a session, or what was claimed for it."""
        for name in {names.session_id, names.name}:
            self._claimed.pop(name, None)
            session = self._by_name.pop(name, None)
            if session is not None:
                self._by_secret.pop(_digest(session.secret), None)

    def get(self, name: object) -> Session | None:
        """Returns the session that goes by this name; only for names that our own code gives."""
        return self._by_name.get(name) if isinstance(name, str) else None

    def check(self, webrtc_id: object, secret: object) -> Entry:
        """Returns the session with this id or alias, for somebody who knows its secret.

        It is found by a digest of the secret, so neither the answer nor the time that it takes
        depends on which ids exist. Whoever acts on what was found compares the page.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        entry = self._by_secret.get(_digest(secret))
        if entry is None or not isinstance(webrtc_id, str):
            raise SessionUnknown
        if webrtc_id not in (entry.names.session_id, entry.names.alias):
            raise SessionUnknown
        return entry

    def find(self, webrtc_id: object, secret: object, page: str | None) -> Session:
        """Returns the session with this id and this secret, for the page that made the offer.

        Raises:
            SessionUnknown: There is none, the secret is another, or the page is.
        """
        entry = self.check(webrtc_id, secret)
        if entry.names.page != page:
            raise SessionUnknown
        return entry.session


def _digest(secret: object) -> bytes:
    # Longer than any secret of ours: not worth the hashing.
    if not isinstance(secret, str) or not 0 < len(secret) <= 128:  # noqa: PLR2004
        return _NO_SECRET
    return hashlib.sha256(secret.encode(errors="replace")).digest()

"""The names of sessions, and the proof that a client must give to act on one.

The server makes the id of every session. An id that a client proposes is an alias, worth nothing
without the session's secret. A secret counts only together with the Gradio session that made the
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
"""The length of an id: 128 random bits, more than anybody can guess (RFC 4086, section 8.2)."""

MAX_ALIASES: Final = 4096
"""Aliases that are stored, also after their sessions, to reserve each for the client that proposed
it. The oldest are removed first; an entry takes about 300 bytes."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

_RESERVED: Final = frozenset({INPUT_PLACEHOLDER, "start_webrtc_stream"})
"""Texts with a meaning of their own as the component's value: no session, and the command to start
one."""

_NO_SECRET: Final = hashlib.sha256().digest()
"""The digest for anything that cannot be a secret: that of the empty text, which no session has."""


class SessionNames(NamedTuple):
    """The names of one session, and the client to which it belongs.

    Attributes:
        session_id: Made by the server: 32 hexadecimal digits.
        name: The id in user code: the alias where the client proposed one that was free, otherwise
            the ``session_id``.
        alias: The id that the client proposed; ``None`` for none.
        gradio_session: The Gradio session that made the offer; ``None`` for a program without one.
    """

    session_id: str
    name: str
    alias: str | None = None
    gradio_session: str | None = None


class Entry(NamedTuple):
    """A session with its names."""

    names: SessionNames
    session: Session


def is_id(text: object) -> bool:
    """True if this can be the id of a session: 1 to 128 letters, digits, ``_`` and ``-``."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None and text not in _RESERVED


class Directory:
    """Finds sessions: by a name for the server's own code, by a secret for all others."""

    def __init__(self) -> None:
        self._by_secret: dict[bytes, Entry] = {}
        self._by_name: dict[str, Session] = {}
        self._claimed: dict[str, SessionNames] = {}
        self._owners: OrderedDict[str, str | None] = OrderedDict()

    def claim(self, alias: object, gradio_session: str | None) -> SessionNames:
        """Names a session that is about to be made; `release` frees the names again.

        An alias that another Gradio session has is not refused: that would reveal to strangers
        which sessions exist. The new session is then named by its ``session_id``, and its own
        client still finds it by the alias.

        Args:
            alias: The id that the client proposed; ``None`` for none.
            gradio_session: The Gradio session of the offer.

        Raises:
            InvalidOffer: The alias is nothing that can be an id.
            SessionExists: The same Gradio session has a session with this alias.
        """
        session_id = secrets.token_hex(ID_BYTES)
        if alias is None:
            names = SessionNames(session_id, session_id, None, gradio_session)
        else:
            names = self._claim_alias(alias, session_id, gradio_session)
        self._claimed[names.session_id] = self._claimed[names.name] = names
        return names

    def _claim_alias(
        self, alias: object, session_id: str, gradio_session: str | None
    ) -> SessionNames:
        if not isinstance(alias, str) or not is_id(alias):
            raise InvalidOffer(
                "expected a webrtc_id of 1 to 128 letters, digits, - and _, or none: the answer "
                "brings one"
            )
        holder = self._holder_of(alias)
        if holder is not None and holder.gradio_session == gradio_session:
            raise SessionExists("a call with this id is under way")
        owner = self._owners.get(alias, gradio_session)
        is_free = holder is None and owner == gradio_session
        if is_free:
            self._owners[alias] = gradio_session
            self._owners.move_to_end(alias)
            if len(self._owners) > MAX_ALIASES:
                self._owners.popitem(last=False)
        name = alias if is_free else session_id
        return SessionNames(session_id, name, alias, gradio_session)

    def _holder_of(self, alias: str) -> SessionNames | None:
        """Returns the names of the session that has an alias, unless it is over.

        To be freed may take it seconds, in which its client comes again.
        """
        session = self._by_name.get(alias)
        return None if session is not None and session.is_over else self._claimed.get(alias)

    def enter(self, names: SessionNames, session: Session) -> None:
        """Enters a session under the names that were claimed for it."""
        self._by_secret[_digest(session.secret)] = Entry(names, session)
        self._by_name[names.session_id] = self._by_name[names.name] = session

    def release(self, names: SessionNames) -> None:
        """Removes a session, or the names that were claimed for it."""
        for name in {names.session_id, names.name}:
            if self._claimed.get(name) != names:
                continue  # the next session has the alias already
            del self._claimed[name]
            session = self._by_name.pop(name, None)
            if session is not None:
                self._by_secret.pop(_digest(session.secret), None)

    def get(self, name: object) -> Session | None:
        """Returns the session with this name; only for names that the server's own code passes."""
        return self._by_name.get(name) if isinstance(name, str) else None

    def check(self, webrtc_id: object, secret: object) -> Entry:
        """Returns the session with this id or alias, for a client that has its secret.

        It is found by a digest of the secret, so neither the answer nor the time that it takes
        depends on which ids exist. Code that acts on the result compares the Gradio session first.

        Raises:
            SessionUnknown: There is none, or the secret is another.
        """
        entry = self._by_secret.get(_digest(secret))
        if entry is None or not isinstance(webrtc_id, str):
            raise SessionUnknown
        if webrtc_id not in (entry.names.session_id, entry.names.alias):
            raise SessionUnknown
        return entry

    def find(self, webrtc_id: object, secret: object, gradio_session: str | None) -> Session:
        """Returns the session with this id and this secret, for the client that made the offer.

        Raises:
            SessionUnknown: There is none, the secret is another, or the Gradio session is.
        """
        entry = self.check(webrtc_id, secret)
        if entry.names.gradio_session != gradio_session:
            raise SessionUnknown
        return entry.session


def _digest(secret: object) -> bytes:
    # Ours have 32 characters. A longer text is not worth the hashing.
    if not isinstance(secret, str) or not 0 < len(secret) <= 128:  # noqa: PLR2004
        return _NO_SECRET
    return hashlib.sha256(secret.encode(errors="replace")).digest()

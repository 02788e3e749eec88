"""The places that all components with one ``concurrency_id`` share, and their number.

Runs in any thread: a component may be built beside a running server.
"""

from __future__ import annotations

import threading
import weakref
from typing import Final, NamedTuple, Protocol

from gradio_webrtc._workers.per_loop import PerLoop

from .admission import Admission

DEFAULT_LIMIT: Final = 1
"""The limit that "default" and ``None`` stand for, as in gradio_webrtc 0.0.31 and fastrtc."""


class SessionCounter(Protocol):
    """An owner of sessions that take places."""

    def count_sessions(self) -> int:
        """Counts the sessions that are being opened or under way; from any thread."""


class _Member(NamedTuple):
    """One stream that shares the places.

    Attributes:
        app: Distinguishes the programs of one process: a number, since it must keep none alive.
        limit: The limit of this stream; ``None`` without one.
    """

    app: int
    limit: int | None


class Places:
    """The places that a number of components share.

    Sessions are counted for the whole process, since what they share is mostly a GPU. The limit is
    the lowest of one program alone, since a notebook may still hold an earlier run of it.

    Args:
        concurrency_id: The id, for warnings.

    Attributes:
        lock: Held while a place is taken, from the question whether one is free.
        admissions: The order in which offers get the places.
    """

    def __init__(self, concurrency_id: str) -> None:
        self.lock = threading.Lock()
        self.admissions = PerLoop(Admission)
        self._id = concurrency_id
        self._members: weakref.WeakKeyDictionary[SessionCounter, _Member] = (
            weakref.WeakKeyDictionary()
        )

    def join(self, component: SessionCounter, limit: int | None, app: int = 0) -> str | None:
        """Lets a component's sessions take these places from now on.

        Args:
            component: The owner of the sessions; held weakly.
            limit: Sessions at once; ``None`` without a limit of its own.
            app: Distinguishes the programs of one process.

        Returns:
            A warning if other components have other limits, otherwise ``None``.
        """
        with self.lock:
            self._members[component] = _Member(app, limit)
            limits = sorted(set(self._limits(app)))
        if limit is None or len(limits) == 1:
            return None
        return (
            f"concurrency_id={self._id!r} was given with the limits "
            f"{', '.join(map(str, limits))}: {limits[0]} counts, the lowest. Give "
            "concurrency_limit in one place, or the same in all"
        )

    def limit_for(self, component: SessionCounter) -> int:
        """Returns the limit that counts for one of the components; call with the lock."""
        return min(self._limits(self._members[component].app), default=DEFAULT_LIMIT)

    def count_taken(self) -> int:
        """Counts the places that are taken; call with the lock."""
        return sum(component.count_sessions() for component in list(self._members))

    def _limits(self, app: int) -> list[int]:
        return [
            member.limit
            for member in list(self._members.values())
            if member.app == app and member.limit is not None
        ]


_shared: weakref.WeakValueDictionary[str, Places] = weakref.WeakValueDictionary()


def places_of(concurrency_id: str) -> Places:
    """Returns the places with this id, which exist for as long as a component holds them."""
    places = _shared.get(concurrency_id)
    if places is None:
        places = _shared[concurrency_id] = Places(concurrency_id)
    return places

"""How many calls at once there may be in all components that share a concurrency_id."""

from __future__ import annotations

import threading
import weakref
from typing import Final, NamedTuple, Protocol

from .admission import Admissions

DEFAULT_LIMIT: Final = 1
"""What "default" and ``None`` stand for, as with both predecessors."""


class CountsCalls(Protocol):
    """Somebody whose calls take places."""

    def count_sessions(self) -> int:
        """How many calls are being made or held; from any thread."""


class _Member(NamedTuple):
    """One stream that shares the places.

    Attributes:
        app: What tells the programs of one process apart: a number, since it must hold none.
        limit: What was given; ``None`` for nothing.
    """

    app: int
    limit: int | None


class Places:
    """The places that a number of components share.

    Calls are counted for the whole process: what is shared is mostly a GPU. The limit is the lowest
    that was given in one program, since a notebook may still hold the last run of it.
    """

    def __init__(self, concurrency_id: str) -> None:
        self.lock = threading.Lock()
        """Held by whoever takes a place, from the question whether one is free to the taking."""
        self.admissions = Admissions()
        """Who of those that wait takes a place."""
        self._id = concurrency_id
        self._members: weakref.WeakKeyDictionary[CountsCalls, _Member] = weakref.WeakKeyDictionary()

    def join(self, component: CountsCalls, limit: int | None, app: int = 0) -> str | None:
        """Lets a component's calls take these places from now on.

        Args:
            component: Whose calls they are; held weakly.
            limit: How many calls at once; ``None`` when it was not said.
            app: Tells the programs of one process apart.

        Returns:
            A warning when other components gave other limits.
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

    def limit_for(self, component: CountsCalls) -> int:
        """How many calls at once there may be, for one of the components; call with the lock."""
        return min(self._limits(self._members[component].app), default=DEFAULT_LIMIT)

    def count_taken(self) -> int:
        """How many places are taken; call with the lock."""
        return sum(component.count_sessions() for component in list(self._members))

    def _limits(self, app: int) -> list[int]:
        return [
            member.limit
            for member in list(self._members.values())
            if member.app == app and member.limit is not None
        ]


_shared: weakref.WeakValueDictionary[str, Places] = weakref.WeakValueDictionary()


def places_of(concurrency_id: str) -> Places:
    """The places with this id; they are there for as long as somebody holds them."""
    places = _shared.get(concurrency_id)
    if places is None:
        places = _shared[concurrency_id] = Places(concurrency_id)
    return places

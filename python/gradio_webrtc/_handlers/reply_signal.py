"""The event of a handler that answers turns: subclasses set it, wait for it and clear it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable


class ReplySignal(threading.Event):
    """Set while there is something to answer; tells its handler when somebody else sets it.

    Args:
        on_asked: A method, called by whoever calls `set`, in their thread. Its object is not kept:
            the handler has the event.

    Attributes:
        is_asked: Whether `set` was called, and has not been heeded.
    """

    def __init__(self, on_asked: Callable[[], None]) -> None:
        super().__init__()
        self.is_asked = False
        self._on_asked = WeakMethod(on_asked)

    def set(self) -> None:
        """Asks the handler for an answer; from any thread."""
        self.is_asked = True
        super().set()
        on_asked = self._on_asked()
        if on_asked is not None:
            on_asked()

    def clear(self) -> None:
        """Takes that back, if it was not heeded yet."""
        self.is_asked = False
        super().clear()

    def mark(self) -> None:
        """Sets the event without asking: the handler knows."""
        super().set()

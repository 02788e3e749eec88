"""One object for each event loop, such as a queue that only one loop may touch.

Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Makes an object for each event loop that needs one, and keeps it as long as the loop.

    A process may have several loops: that of Gradio's server, and those of programs and tests. A
    lock or a timer belongs to one of them, so a module cannot simply hold one.

    Args:
        make: Makes the object; called on the loop. The loop is freed only if the object does not
            refer to it.

    Example:
        >>> queues = PerLoop(asyncio.Queue)
        >>> async def put(item):
        ...     await queues.here().put(item)
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, T] = (
            weakref.WeakKeyDictionary()
        )

    def here(self) -> T:
        """Returns the object of the running event loop; makes it at the first call.

        Raises:
            RuntimeError: No event loop runs in this thread.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]

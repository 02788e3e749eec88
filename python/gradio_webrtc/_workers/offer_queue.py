"""Work on offers, one at a time for a turn of the event loop.

To read an offer, and to answer it, take the loop some milliseconds each, for which media wait. What
comes together is not to be one long wait.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gradio_webrtc.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_WAITING: Final = 32
"""Offers that wait for their turn. Behind so many of the costliest there is a second to wait, and
whoever comes then is better told to call again."""


class OfferQueue:
    """Lets one in at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._present = 0

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        """Passes, unless too many wait for that.

        Raises:
            ServerBusy: They do.
        """
        if self._present > MOST_WAITING:
            raise ServerBusy
        async with self.passing():
            yield

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Waits for its turn, and gives the event loop one of its own behind it.

        Work that fails took its time, too.
        """
        self._present += 1
        try:
            async with self._lock:
                try:
                    yield
                finally:
                    await asyncio.sleep(0)
        finally:
            self._present -= 1


_offer_queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, OfferQueue] = (
    weakref.WeakKeyDictionary()
)


def offer_queue() -> OfferQueue:
    """The one of the running event loop."""
    return _offer_queues.setdefault(asyncio.get_running_loop(), OfferQueue())

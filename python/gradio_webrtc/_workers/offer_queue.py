"""Work on offers, one at a time for each turn of the event loop.

Reading an offer and answering it take the loop some milliseconds each, for which media wait. Offers
that come together must not add up to one long wait. Runs on the event loop; imports neither
sessions nor transports.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gradio_webrtc.errors import ServerBusy

from .per_loop import PerLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_WAITING: Final = 32
"""Offers that wait for their turn. Behind so many of the costliest the wait is a second, and a
client that comes then is better refused, so that it calls again."""


class OfferQueue:
    """Admits one task at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._present = 0

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[None]:
        """Like `passing`, unless too many tasks wait already.

        Raises:
            ServerBusy: `MOST_WAITING` tasks wait.
        """
        if self._present > MOST_WAITING:
            raise ServerBusy
        async with self.passing():
            yield

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Waits for its turn, and lets the event loop turn once after the work.

        Also after work that fails, which took its time, too.
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


_offer_queues = PerLoop(OfferQueue)


def offer_queue() -> OfferQueue:
    """Returns the queue of the running event loop."""
    return _offer_queues.here()

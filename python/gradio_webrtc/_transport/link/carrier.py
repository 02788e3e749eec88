"""One connection that carries a link, and the time that its client has to take what is written.

Runs on the event loop. Imports nothing of the link.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, TypeAlias

from gradio_webrtc._transport.ordered import FLUSH_TIMEOUT_S
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WRITE_TIMEOUT_S: Final = 10.0
"""A carrier that takes nothing for so long is broken."""

CarrierWriter: TypeAlias = "Callable[[bytes], Awaitable[None]]"
"""Writes bytes to the client, and returns once there is room for more.

Raises `ConnectionLost` when the carrier is broken."""


class Carrier:
    """A connection that carries the link, until it breaks or another takes over.

    Attributes:
        is_replaced: True once another has taken over.
        news: Set when there may be something to write.
    """

    def __init__(self) -> None:
        self.is_replaced = False
        self.news = asyncio.Event()
        self._end_s = math.inf
        self._limit: asyncio.Timeout | None = None

    def replace(self) -> None:
        """Ends the carrier, since another has taken over."""
        self.is_replaced = True
        self.hurry()

    def hurry(self) -> None:
        """Leaves `FLUSH_TIMEOUT_S` for all that is still to be written.

        A server that stops waits for its answers, and a client may never read its own.
        """
        self._end_s = min(self._end_s, asyncio.get_running_loop().time() + FLUSH_TIMEOUT_S)
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(min(self._end_s, self._limit.when() or self._end_s))
        self.news.set()

    async def write(self, write: CarrierWriter, data: bytes) -> None:
        """Writes to the client.

        Raises:
            ConnectionLost: The carrier is broken, or the client did not take it in time.
        """
        begin_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(self._end_s, begin_s + WRITE_TIMEOUT_S)) as limit:
                self._limit = limit
                await write(data)
        except TimeoutError as error:
            waited_s = asyncio.get_running_loop().time() - begin_s
            raise ConnectionLost(f"the client took nothing for {waited_s:.1f} s") from error
        finally:
            self._limit = None

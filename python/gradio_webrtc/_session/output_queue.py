"""The queue of AdditionalOutputs on their way to the client.

Runs on the event loop. Imports neither transports nor handlers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc.types import AdditionalOutputs

logger = logging.getLogger(__name__)

MAX_WAITING_OUTPUTS: Final = 256
"""Outputs that wait for the client. Beyond it the oldest are dropped: media never wait for them."""

MAX_UNFETCHED_OUTPUTS: Final = 16
"""Outputs kept when nobody has fetched any yet, for a reader that may still come; the oldest are
dropped first."""

CONFIRM_LIMIT_S: Final = 5.0
"""Seconds after which the next output is announced to a client that does not confirm one."""

DRAIN_LIMIT_S: Final = 2.0
"""Seconds that the end of a session waits for the client to fetch what the handler emitted last."""


class OutputQueue:
    """Announces outputs to the client, which fetches them one at a time and in order.

    The next one is announced only when the client is done with the one before, so its updates stay
    in order, and each of them finds the values of the one before. Nobody but the end of a session
    waits for the client: of outputs that belong to video frames only the newest is kept, of others
    at most `MAX_WAITING_OUTPUTS`. Every method is called on the event loop.

    Args:
        announce: Sends the client the message that an output waits.
        is_fetched: True if somebody will fetch them. Otherwise only the latest
            `MAX_UNFETCHED_OUTPUTS` are kept.

    Attributes:
        dropped: Outputs lost because the client fetched them too slowly.
        replaced: Outputs of video frames that newer ones took the place of.
    """

    def __init__(self, announce: Callable[[], None], *, is_fetched: bool = True) -> None:
        self.dropped = 0
        self.replaced = 0
        self._announce = announce
        self._is_fetched = is_fetched
        self._waiting: deque[AdditionalOutputs] = deque()
        self._of_frame: AdditionalOutputs | None = None
        self._filled = asyncio.Event()
        self._is_announced = False
        self._is_closed = False
        self._is_taken = False
        self._unconfirmed: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()

    def put(self, outputs: AdditionalOutputs) -> None:
        """Queues an output; a full queue drops its oldest."""
        limit = MAX_WAITING_OUTPUTS if self._is_fetched else MAX_UNFETCHED_OUTPUTS
        if len(self._waiting) >= limit:
            self._waiting.popleft()
            self._count_dropped()
        self._waiting.append(outputs)
        self._filled.set()
        if self._is_fetched:
            self._announce_next()

    def put_with_frame(self, outputs: AdditionalOutputs) -> None:
        """Queues an output that describes a video frame, in place of one of an earlier frame."""
        if self._of_frame is not None and self._of_frame in self._waiting:
            self._waiting.remove(self._of_frame)
            self.replaced += 1
        self._of_frame = outputs
        self.put(outputs)

    def take(self) -> AdditionalOutputs | None:
        """Returns the oldest output, or ``None``. Call `done` when the client has it, or `sent`."""
        if not self._waiting:
            return None
        self._is_taken = True
        return self._waiting.popleft()

    def take_all(self) -> list[AdditionalOutputs]:
        """Returns all outputs, the oldest first; further ones are announced to the client."""
        self._is_fetched = True
        waiting = [*self._waiting]
        self._waiting.clear()
        self.done()
        return waiting

    def sent(self) -> None:
        """Waits for the client to `confirm` the output taken last, but not for ever."""
        if self._is_taken and self._unconfirmed is None and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._unconfirmed = loop.call_later(CONFIRM_LIMIT_S, self.done)

    def confirm(self) -> None:
        """Announces the next output, if the client has confirmed one."""
        if self._unconfirmed is not None:
            self.done()

    def done(self) -> None:
        """Announces the next output, if there is one."""
        if self._unconfirmed is not None:
            self._unconfirmed.cancel()
            self._unconfirmed = None
        self._is_announced = self._is_taken = False
        self._moved.set()
        self._announce_next()

    async def next(self) -> AdditionalOutputs | None:
        """Waits for an output; returns ``None`` when the session has ended."""
        self._is_fetched = True
        while not self._waiting:
            if self._is_closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        self._moved.set()
        return self._waiting.popleft()

    async def drain(self) -> None:
        """Returns once the client has all outputs, or after `DRAIN_LIMIT_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                while self._is_fetched and (self._waiting or self._is_taken):
                    self._moved.clear()
                    await self._moved.wait()

    def close(self) -> None:
        """Ends every `next`, once the outputs that wait are taken."""
        self._is_closed = True
        if self._unconfirmed is not None:
            self._unconfirmed.cancel()
        self._filled.set()

    def _count_dropped(self) -> None:
        self.dropped += self._is_fetched
        if self.dropped == 1:
            logger.warning(
                "the client fetches AdditionalOutputs slower than the handler emits them: more "
                "than %d wait, and the oldest are dropped",
                MAX_WAITING_OUTPUTS,
            )

    def _announce_next(self) -> None:
        if self._waiting and not self._is_announced:
            self._is_announced = True
            self._announce()

"""Which walks a call has: what its mode, its modality and its handler ask for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .concurrency import Worker
from .handlers import AsyncStreamHandler, StreamHandler
from .pumps import InboundPump, OutboundPump

if TYPE_CHECKING:
    from .call import SessionCall
    from .handlers import StreamHandlerBase
    from .pumps import AudioHandler, Outlets
    from .transport import Transport
    from .types import Modality, Mode

logger = logging.getLogger(__name__)

Walk: TypeAlias = Callable[[], Awaitable[Any]]
"""Runs until it is cancelled, or has ended the call."""

UNBLOCK_TIMEOUT_S: Final = 0.5
"""How long a blocked ``emit`` gets to return after the last frame of silence."""


class Terms(NamedTuple):
    """What one call is to be.

    Attributes:
        mode: Which way media go, from the page's side.
        modality: Which media there are.
        has_outputs: The page wants AdditionalOutputs.
        time_limit_s: Ends the call this long after it connected.
    """

    mode: Mode = "send-receive"
    modality: Modality = "audio"
    has_outputs: bool = False
    time_limit_s: float | None = None

    @property
    def sends(self) -> bool:
        """The page sends."""
        return self.mode != "receive"

    @property
    def receives(self) -> bool:
        """The page hears or sees us."""
        return self.mode != "send"

    @property
    def has_audio(self) -> bool:
        """There is sound, in one direction at least."""
        return self.modality != "video"


class CallMedia:
    """The pumps of one call, and the threads in which they run blocking code.

    Args:
        handler: This caller's own copy, bound to ``call``.
        call: Where errors of the handler are reported.
        transport: The caller's connection, not yet open.
        terms: What the call is to be.
        outlets: Where the things go that the handler gives.
        make_worker: Makes the threads, from a name for each.

    Attributes:
        listening: Walks towards the handler, from the moment the call connects.
        answering: Walks away from it, from the moment it has started up.
        emit_worker: Runs ``emit``.
        receive_worker: Runs ``receive``.
    """

    def __init__(
        self,
        handler: StreamHandlerBase,
        call: SessionCall,
        transport: Transport,
        terms: Terms,
        outlets: Outlets,
        make_worker: Callable[[str], Worker] = Worker,
    ) -> None:
        self.listening: list[Walk] = []
        self.answering: list[Walk] = []
        self._call = call
        self._transport = transport
        self._terms = terms
        self._outlets = outlets
        self._inbound: InboundPump | None = None
        name = call.webrtc_id[:8]
        self.emit_worker = make_worker(f"emit-{name}")
        self.receive_worker = make_worker(f"receive-{name}")
        if terms.has_audio and isinstance(handler, StreamHandler | AsyncStreamHandler):
            self._add_audio(handler)

    async def unblock(self) -> None:
        """Wakes an ``emit`` that waits for input inside ``queue.get()``, as a plain echo does.

        A thread cannot be stopped from outside. One last frame of silence lets such a handler
        return by itself, so that its thread ends with the call.
        """
        if self._inbound is None or not self.emit_worker.is_busy:
            return
        try:
            async with asyncio.timeout(UNBLOCK_TIMEOUT_S):
                await self._inbound.send_silence()
        except TimeoutError:
            logger.debug("receive() of the call %s is blocked as well", self._call.webrtc_id)

    def _add_audio(self, handler: AudioHandler) -> None:
        if self._terms.receives:
            self._transport.play_audio(self._outlets.playout)
        if self._terms.sends:
            self._inbound = InboundPump(self._transport, handler, self._call, self.receive_worker)
            self.listening += [self._inbound.run, self._inbound.deliver]
        outbound = OutboundPump(handler, self._call, self._outlets, self.emit_worker)
        self.answering.append(outbound.run)

"""Which walks a call has: what its mode, its modality and its handler ask for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from gradio_webrtc._handlers import AsyncStreamHandler, StreamHandler, VideoFunction
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker

from .audio_pumps import InboundPump, OutboundPump
from .video_function import VideoFunctionPump
from .video_pumps import (
    VideoEmittingHandler,
    VideoInboundPump,
    VideoOutboundPump,
    VideoReceivingHandler,
)

if TYPE_CHECKING:
    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._transport import Transport
    from gradio_webrtc.types import FrameFormat, Modality, Mode

    from .audio_pumps import AudioHandler, EmitSinks
    from .context import SessionContext

logger = logging.getLogger(__name__)

Walk: TypeAlias = Callable[[], Awaitable[Any]]
"""Runs until it is cancelled, or has ended the call."""

UNBLOCK_TIMEOUT_S: Final = 0.5
"""How long a blocked ``emit`` gets to return after the last frame of silence."""


WORKERS: Final = {
    "start-up": Expect.NOTHING,
    "emit": Expect.IDLE,
    "receive": Expect.RETURN,
    "show": Expect.IDLE,
    "see": Expect.RETURN,
}
"""The threads of a call by their tasks, and what is expected of the code that runs there."""


class Terms(NamedTuple):
    """What one call is to be.

    Attributes:
        mode: Which way media go, from the page's side.
        modality: Which media there are.
        has_outputs: The page wants AdditionalOutputs.
        time_limit_s: Ends the call this long after it connected.
        frame_format: The order of colours in the arrays that handlers see and give.
    """

    mode: Mode = "send-receive"
    modality: Modality = "audio"
    has_outputs: bool = False
    time_limit_s: float | None = None
    frame_format: FrameFormat = "bgr"

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

    @property
    def has_video(self) -> bool:
        """There are pictures, in one direction at least."""
        return self.modality != "audio"


class SessionMedia:
    """The pumps of one call, and the threads in which they run blocking code.

    Args:
        handler: This caller's own copy, bound to ``call``.
        call: Where errors of the handler are reported.
        transport: The caller's connection, not yet open.
        terms: What the call is to be.
        outlets: Where the things go that the handler gives.
        make_worker: Makes the threads, from a name for each.

    Attributes:
        listening: Walks towards the handler.
        answering: Walks away from it.
        start_up_worker: Runs ``start_up``, for as long as the call if need be.
        emit_worker: Runs ``emit``.
        receive_worker: Runs ``receive``.
    """

    def __init__(
        self,
        handler: StreamHandlerBase,
        call: SessionContext,
        transport: Transport,
        terms: Terms,
        sinks: EmitSinks,
        make_worker: Callable[[str, str, Expect], Worker] = Worker,
    ) -> None:
        self.listening: list[Walk] = []
        self.answering: list[Walk] = []
        self._call = call
        self._transport = transport
        self._terms = terms
        self._sinks = sinks
        self._inbound: InboundPump | None = None
        self._video_inbound: VideoInboundPump | None = None
        # A worker without a job is no thread yet.
        (
            self.start_up_worker,
            self.emit_worker,
            self.receive_worker,
            self._show_worker,
            self._see_worker,
        ) = (
            make_worker(f"{task}-{call.webrtc_id[:8]}", type(handler).__name__, expect)
            for task, expect in WORKERS.items()
        )
        if terms.has_audio and isinstance(handler, StreamHandler | AsyncStreamHandler):
            self._add_audio(handler)
        if terms.has_video:
            self._add_video(handler)

    async def unblock(self, limit_s: float = UNBLOCK_TIMEOUT_S) -> None:
        """Wakes an ``emit`` that waits for input inside ``queue.get()``, as a plain echo does.

        A thread cannot be stopped from outside. One last frame of silence, or the last picture
        again, lets such a handler return by itself, so that its thread ends with the call.

        Args:
            limit_s: How long it gets for that, in seconds.
        """
        last_frames = []
        if self._inbound is not None and self.emit_worker.is_busy:
            last_frames.append(self._inbound.send_silence())
        if self._video_inbound is not None and self._show_worker.is_busy:
            last_frames.append(self._video_inbound.send_last())
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*last_frames)
        except TimeoutError:
            logger.debug("the receiving side of the call %s is blocked too", self._call.webrtc_id)

    def close_workers(self) -> None:
        """Ends the threads but those that ``start_up`` and ``shutdown`` run in."""
        for worker in (self.emit_worker, self._show_worker, self._see_worker):
            worker.close()

    def let_go(self) -> None:
        """Drops the pumps and where they led, at the end of all."""
        self.listening.clear()
        self.answering.clear()
        self._inbound = self._video_inbound = None
        del self._sinks

    def _add_audio(self, handler: AudioHandler) -> None:
        if self._terms.receives:
            self._transport.play_audio(self._sinks.audio_buffer)
        if self._terms.sends:
            self._inbound = InboundPump(self._transport, handler, self._call, self.receive_worker)
            self.listening += [self._inbound.run, self._inbound.deliver]
        outbound = OutboundPump(handler, self._call, self._sinks, self.emit_worker)
        self.answering.append(outbound.run)

    def _add_video(self, handler: StreamHandlerBase) -> None:
        if self._terms.receives:
            self._transport.play_video(self._sinks.video_buffer)
        colours = self._terms.frame_format
        if isinstance(handler, VideoFunction):
            through = VideoFunctionPump(
                self._transport, handler, self._call, self._sinks, self.receive_worker, colours
            )
            self.listening.append(through.run)
            return
        if self._terms.sends and isinstance(handler, VideoReceivingHandler):
            self._video_inbound = VideoInboundPump(
                self._transport, handler, self._call, self._see_worker, colours
            )
            self.listening.append(self._video_inbound.run)
        if isinstance(handler, VideoEmittingHandler):
            outbound = VideoOutboundPump(
                handler, self._call, self._sinks, self._show_worker, colours
            )
            self.answering.append(outbound.run)

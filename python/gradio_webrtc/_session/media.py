"""The pumps of one session, as its mode, its modality and its handler require.

Chooses and starts them; the pumps themselves move the frames. Runs on the event loop. Imports no
transport, and no Gradio.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gradio_webrtc._handlers import AsyncStreamHandler, StreamHandler, VideoFunction
from gradio_webrtc._workers.watchdog import Expect
from gradio_webrtc._workers.workers import Worker

from .inbound_messages import InboundMessages
from .inbound_pump import InboundPump
from .outbound_pump import OutboundPump
from .video_pumps import (
    VideoEmittingHandler,
    VideoFunctionPump,
    VideoInboundPump,
    VideoOutboundPump,
    VideoReceivingHandler,
)

if TYPE_CHECKING:
    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._handlers import StreamHandlerBase, StreamHandlerImpl
    from gradio_webrtc._transport import Transport

    from .context import SessionContext
    from .sinks import EmitSinks

logger = logging.getLogger(__name__)

Pump: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Runs until it is cancelled, or has ended the session."""

UNBLOCK_TIMEOUT_S: Final = 0.5
"""The time that a blocked ``emit`` gets to return after the last frame of silence."""


WORKERS: Final = {
    "start-up": Expect.NOTHING,
    "emit": Expect.IDLE,
    "receive": Expect.RETURN,
    "show": Expect.IDLE,
    "see": Expect.RETURN,
    "message": Expect.RETURN,
}
"""The threads of a session by their task, and the behaviour that the watchdog expects there."""


class SessionMedia:
    """The pumps of one session, and the workers in which they run blocking code.

    Args:
        handler: The session's own copy, bound to ``context``.
        context: Reports errors of the handler.
        transport: The client's connection, not yet open.
        config: The terms of the session.
        sinks: The destinations of what the handler emits.
        make_worker: Makes the workers, from a name, an owner and an expectation.

    Attributes:
        inbound: The pumps towards the handler.
        outbound: The pumps away from it.
        start_up_worker: Runs ``start_up``, for as long as the session if need be.
        emit_worker: Runs ``emit``.
        receive_worker: Runs ``receive``.
        audio: The inbound audio pump; ``None`` without inbound audio.
        emitted_audio: The outbound audio pump; ``None`` without audio.
        messages: The client's messages on their way to the handler.
    """

    def __init__(
        self,
        handler: StreamHandlerBase,
        context: SessionContext,
        transport: Transport,
        config: SessionConfig,
        sinks: EmitSinks,
        make_worker: Callable[[str, str, Expect], Worker] = Worker,
    ) -> None:
        self.inbound: list[Pump] = []
        self.outbound: list[Pump] = []
        self.audio: InboundPump | None = None
        self.emitted_audio: OutboundPump | None = None
        self._context = context
        self._transport = transport
        self._config = config
        self._sinks = sinks
        self._video: VideoInboundPump | None = None
        # A worker without a job has no thread yet.
        (
            self.start_up_worker,
            self.emit_worker,
            self.receive_worker,
            self._show_worker,
            self._see_worker,
            self._message_worker,
        ) = (
            make_worker(f"{task}-{context.webrtc_id[:8]}", type(handler).__name__, expect)
            for task, expect in WORKERS.items()
        )
        self.messages = InboundMessages(handler, context, self._message_worker)
        if self.messages.is_needed:
            transport.on_message = self.messages.take
            self.inbound.append(self.messages.run)
        if config.has_audio and isinstance(handler, StreamHandler | AsyncStreamHandler):
            self._add_audio(handler)
        if config.has_video:
            self._add_video(handler)

    async def unblock(self, limit_s: float = UNBLOCK_TIMEOUT_S) -> None:
        """Wakes an ``emit`` that waits for input inside ``queue.get()``, as a plain echo does.

        A thread cannot be stopped from outside. One last frame of silence, or the last video frame
        again, lets such a handler return by itself, so that its thread ends with the session.

        Args:
            limit_s: The time for that, in seconds.
        """
        last_frames = []
        if self.audio is not None and self.emit_worker.is_busy:
            last_frames.append(self.audio.send_silence())
        if self._video is not None and self._show_worker.is_busy:
            last_frames.append(self._video.send_last())
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*last_frames)
        except TimeoutError:
            logger.debug("receive() of the session %s is blocked too", self._context.webrtc_id)

    def close_workers(self) -> None:
        """Ends the threads but those that ``start_up`` and ``shutdown`` run in."""
        workers = (self.emit_worker, self._show_worker, self._see_worker, self._message_worker)
        for worker in workers:
            worker.close()

    def release(self) -> None:
        """Drops the pumps and their sinks, last of all: the handler may be kept by its user."""
        self.inbound.clear()
        self.outbound.clear()
        self.audio = self.emitted_audio = self._video = None
        del self._sinks

    def _add_audio(self, handler: StreamHandlerImpl) -> None:
        if self._config.client_receives:
            self._transport.play_audio(self._sinks.audio)
        if self._config.client_sends:
            self._transport.prefer_audio(handler.input_sample_rate, handler.expected_layout)
            plays_late = self._config.client_receives and not self._transport.is_reliable
            on_frame = self._sinks.audio.queue.note_received if plays_late else None
            self.audio = InboundPump(
                self._transport, handler, self._context, self.receive_worker, on_frame
            )
            self.inbound += [self.audio.run, self.audio.deliver]
        self.emitted_audio = OutboundPump(handler, self._context, self._sinks, self.emit_worker)
        self.outbound.append(self.emitted_audio.run)

    def _add_video(self, handler: StreamHandlerBase) -> None:
        if self._config.client_receives:
            self._transport.play_video(self._sinks.video)
        colours = self._config.frame_format
        if isinstance(handler, VideoFunction):
            through = VideoFunctionPump(
                self._transport, handler, self._context, self._sinks, self.receive_worker, colours
            )
            self.inbound.append(through.run)
            return
        if self._config.client_sends and isinstance(handler, VideoReceivingHandler):
            self._video = VideoInboundPump(
                self._transport, handler, self._context, self._see_worker, colours
            )
            self.inbound.append(self._video.run)
        if isinstance(handler, VideoEmittingHandler):
            outbound = VideoOutboundPump(
                handler, self._context, self._sinks, self._show_worker, colours
            )
            self.outbound.append(outbound.run)

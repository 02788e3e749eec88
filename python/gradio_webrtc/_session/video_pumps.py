"""The video tasks of a session: inbound frames to a handler, emitted frames to the buffer.

Run on the event loop; user code and the conversion of pixels run in the session's workers. Import
no transport but its protocol.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gradio_webrtc._handlers import (
    AsyncAudioVideoStreamHandler,
    AudioVideoStreamHandler,
    VideoGenerator,
)
from gradio_webrtc._handlers.signatures import Callee
from gradio_webrtc._transport import VIDEO_CLOCK_HZ, FrameRateLimiter, PixelConverter
from gradio_webrtc._turns.runner import FINISHED, GeneratorRun
from gradio_webrtc._workers.user_code import (
    guard,
    is_async_callable,
    is_being_cancelled,
    unwrap_partial,
)
from gradio_webrtc._workers.workers import UserFunction

from .emissions import NOTHING, Emission, read_frame
from .rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from gradio_webrtc._handlers import VideoFunction
    from gradio_webrtc._transport import PlanarFrame, TimedFrame, Transport
    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import FrameFormat

    from .context import SessionContext
    from .sinks import EmitSinks

VideoReceivingHandler: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler
VideoEmittingHandler: TypeAlias = VideoReceivingHandler | VideoGenerator

RATE_MARGIN: Final = 1.1
"""Frames a second that a handler may emit, as a multiple of its ``fps``. Cameras run a little fast
or slow, and an echo of one at exactly its nominal rate would fall behind."""

MAX_LAG_S: Final = 0.2
"""The delay up to which a recording catches up; a longer one stays as a gap."""


class FramePacer:
    """A clock for emitted frames: a steady rate without drift.

    Args:
        fps: Frames a second.
        catches_up: A frame that is late by less than `MAX_LAG_S` brings the next one forward, so
            that a recording keeps its speed. Otherwise frames go as they come, no closer than the
            rate allows.
    """

    def __init__(self, fps: float, *, catches_up: bool) -> None:
        self._interval_s = 1 / fps
        self._max_lag_s = MAX_LAG_S if catches_up else 0.0
        self._origin_s: float | None = None
        self._due_s = 0.0

    async def wait(self) -> int:
        """Returns when the next frame is due, with its time on the clock of 90 kHz."""
        now = asyncio.get_running_loop().time()
        if self._origin_s is None:
            self._origin_s = self._due_s = now
        else:
            self._due_s += self._interval_s
        if now - self._due_s > self._max_lag_s:
            self._due_s = now
        elif self._due_s > now:
            await asyncio.sleep(self._due_s - now)
        return round((self._due_s - self._origin_s) * VIDEO_CLOCK_HZ)


async def route_rest(emission: Emission, sinks: EmitSinks) -> bool:
    """Passes on all parts of an item but the frame; returns True if the session is to end."""
    if emission.outputs is not None:
        sinks.outputs.put_with_frame(emission.outputs)
    if emission.close is None:
        return False
    await sinks.video.finish()
    await sinks.close(emission.close.msg)
    return True


class VideoInboundPump:
    """Passes frames of the client's camera to ``handler.video_receive``, the newest first.

    Args:
        transport: The source of the frames.
        handler: Its ``video_receive`` is called at most ``fps`` times a second.
        context: Reports its errors.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The channel order of the arrays.
    """

    def __init__(
        self,
        transport: Transport,
        handler: VideoReceivingHandler,
        context: SessionContext,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._transport = transport
        self._video_receive = handler.video_receive
        self._receive_of_user = UserFunction(handler.video_receive, worker)
        if not self._receive_of_user.is_async:
            # Conversion and call in one job: each way to a thread and back costs two switches.
            self._receive_of_user = UserFunction(
                self._receive_in_worker, worker, handler.video_receive
            )
        self._rate = FrameRateLimiter(handler.fps)
        self._context = context
        self._worker = worker
        self._pixels = PixelConverter(frame_format)
        self._last: PlanarFrame | None = None

    async def run(self) -> None:
        """Receives frames until cancelled.

        Raises:
            ConnectionLost: The client sends no more.
        """
        while not is_being_cancelled():
            pts, frame = await self._transport.receive_video_frame()
            if self._rate.admits(pts):
                self._last = frame
                await self._receive(frame)

    async def send_last(self) -> None:
        """Passes the last frame again, which wakes a handler that waits for one."""
        if self._last is not None:
            await self._receive(self._last)

    async def _receive(self, frame: PlanarFrame) -> None:
        with guard(self._context.report):
            if self._receive_of_user.is_async:
                array = await self._worker.run(self._pixels.to_array, frame)
                await self._receive_of_user(array)
            else:
                await self._receive_of_user(frame)

    def _receive_in_worker(self, frame: PlanarFrame) -> Any:
        return self._video_receive(self._pixels.to_array(frame))


class VideoOutboundPump:
    """Passes what ``handler.video_emit`` returns to the video buffer, the outputs or the end.

    Args:
        handler: Its ``video_emit`` is called at its own rate.
        context: Reports its errors.
        sinks: The destinations.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The channel order of the arrays.
    """

    def __init__(
        self,
        handler: VideoEmittingHandler,
        context: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._video_emit: Callable[[], Any] = handler.video_emit
        self._emit_of_user = UserFunction(handler.video_emit, worker)
        if not self._emit_of_user.is_async:
            self._emit_of_user = UserFunction(self._emit_in_worker, worker, handler.video_emit)
        if isinstance(handler, VideoGenerator):
            self._pacer = FramePacer(handler.rate_fps, catches_up=True)
        else:
            self._pacer = FramePacer(RATE_MARGIN * handler.fps, catches_up=False)
        self._context = context
        self._sinks = sinks
        self._worker = worker
        self._pixels = PixelConverter(frame_format)

    async def run(self) -> None:
        """Calls ``video_emit`` for one frame after the other, until cancelled or closed by it."""
        rounds = Rounds()
        while not is_being_cancelled():
            emission = NOTHING
            with guard(self._context.report):
                emission = await self._emit()
                if await self._route(emission):
                    return
            await rounds.end(
                has_media=emission.media is not None, has_anything=emission.outputs is not None
            )

    async def _emit(self) -> Emission:
        item = await self._emit_of_user()
        return item if isinstance(item, Emission) else await self._worker.run(self._read, item)

    def _emit_in_worker(self) -> Any:
        """Calls and converts in one job, unless the item has to be awaited."""
        item = self._video_emit()
        return item if inspect.isawaitable(item) else self._read(item)

    def _read(self, item: object) -> Emission:
        return read_frame(item, self._pixels, plays=self._sinks.plays)

    async def _route(self, emission: Emission) -> bool:
        if emission.media is not None:
            # Every frame of a generator counts, so it waits for the transport.
            await self._sinks.video.put(await self._pacer.wait(), emission.media)
        return await route_rest(emission, self._sinks)


class VideoFunctionPump:
    """Calls a function with the newest frame, again and again, and shows what it returns.

    The function runs in the session's own thread. Frames that come while it works are skipped: it
    may take its time without delaying other sessions, and its input is never old. It is not called
    for frames that could not be sent: while the encoder is busy with the frame before, or beyond
    the rate of what is sent.

    Args:
        transport: The source of the frames.
        handler: The function and its inputs.
        context: Reports its errors.
        sinks: The destinations.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The channel order of the arrays.
    """

    def __init__(
        self,
        transport: Transport,
        handler: VideoFunction,
        context: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._transport = transport
        self._handler = handler
        self._context = context
        self._sinks = sinks
        self._worker = worker
        self._pixels = PixelConverter(frame_format)
        self._rate = FrameRateLimiter(handler.rate_fps)
        self._last: PlanarFrame | None = None
        self._rounds = Rounds()
        self._plain = UserFunction(self._call_in_worker, worker, handler.fn)
        self._callee = Callee(handler.fn, context.webrtc_id)
        self._is_plain = not (is_async_callable(handler.fn) or _is_generator_function(handler.fn))

    async def run(self) -> None:
        """Receives frames until cancelled, or until the function ends the session.

        Raises:
            ConnectionLost: The client sends no more.
        """
        while not is_being_cancelled():
            await self._sinks.video.wait_for_room()
            timed = await self._transport.receive_video_frame()
            if not self._rate.admits(timed.pts) or not self._sinks.video.admits(timed.pts):
                continue
            if await self._answer(timed):
                return

    async def _answer(self, timed: TimedFrame) -> bool:
        """Shows something for this frame in any case; returns True if the session is to end."""
        if self._handler.lacks_inputs:
            await self._pass_through(timed)
            return False
        emission = NOTHING
        with guard(self._context.report):
            async with aclosing(self._apply(timed.frame)) as emissions:
                async for emission in emissions:
                    self._show(timed.pts, emission.media)
                    if await route_rest(emission, self._sinks):
                        return True
                    if not self._is_plain:
                        # Functions that answer once are paced by the camera.
                        await self._rounds.end(has_media=emission.media is not None)
        if emission.media is None:
            await self._repeat(timed)
        return False

    async def _apply(self, frame: PlanarFrame) -> AsyncGenerator[Emission]:
        """Yields what the function returns or yields for one frame."""
        if self._is_plain:
            result = await self._plain(frame)
            if isinstance(result, Emission):
                yield result
                return
            run = GeneratorRun(lambda: result, (), self._context, self._worker)
        else:
            array = await self._worker.run(self._pixels.to_array, frame)
            fn, args = self._callee.bind(array, *self._handler.inputs)
            run = GeneratorRun(fn, args, self._context, self._worker)
        try:
            while (item := await run.step()) is not FINISHED:
                yield await self._worker.run(self._read, item)
        finally:
            await run.close()

    def _call_in_worker(self, frame: PlanarFrame) -> object:
        """Converts, calls and converts in one job: each way to a thread costs two switches."""
        fn, args = self._callee.bind(self._pixels.to_array(frame), *self._handler.inputs)
        item = fn(*args)
        if isinstance(item, Iterator | AsyncIterator | Awaitable):
            return item
        return self._read(item)

    def _read(self, item: object) -> Emission:
        return read_frame(item, self._pixels, plays=self._sinks.plays)

    def _show(self, pts: int, frame: PlanarFrame | None) -> None:
        if frame is not None:
            self._last = frame
            self._sinks.video.show(pts, frame)

    async def _repeat(self, timed: TimedFrame) -> None:
        """Shows the function's last frame again, so that the stream does not stall."""
        if self._last is None:
            await self._pass_through(timed)
        else:
            self._show(timed.pts, self._last)

    async def _pass_through(self, timed: TimedFrame) -> None:
        if self._sinks.plays:
            frame = await self._worker.run(self._pixels.fit, timed.frame)
            self._sinks.video.show(timed.pts, frame)


def _is_generator_function(fn: object) -> bool:
    return inspect.isgeneratorfunction(unwrap_partial(fn))

"""The walk of pictures through a function of the user's and back to the caller."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from gradio_webrtc._handlers.signatures import Callee
from gradio_webrtc._transport import PixelConverter
from gradio_webrtc._turns.runner import FINISHED, GeneratorRun
from gradio_webrtc._workers.user_code import is_async_callable, is_being_cancelled
from gradio_webrtc._workers.workers import UserFunction

from .audio_pumps import Rounds
from .video_buffer import FrameRateLimiter
from .video_pumps import Shown, read_shown, route_rest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gradio_webrtc._handlers import VideoFunction
    from gradio_webrtc._transport import PlanarFrame, TimedFrame, Transport
    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import FrameFormat

    from .audio_pumps import EmitSinks
    from .context import SessionContext


class VideoFunctionPump:
    """Calls a function with the newest picture, again and again, and shows what it gives.

    The function runs in this caller's own thread. While it works pictures are skipped, so it may
    take its time: nobody else waits, and what it gets is never old.

    Args:
        transport: Where the pictures come from.
        handler: The function and its inputs.
        call: Where its errors are reported.
        outlets: Where the things go that it gives.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The order of colours.
    """

    def __init__(
        self,
        transport: Transport,
        handler: VideoFunction,
        call: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._transport = transport
        self._handler = handler
        self._call = call
        self._sinks = sinks
        self._worker = worker
        self._pixels = PixelConverter(frame_format)
        self._rate = FrameRateLimiter(handler.rate_fps)
        self._last: PlanarFrame | None = None
        self._rounds = Rounds()
        self._plain = UserFunction(self._call_in_worker, worker, handler.fn)
        self._callee = Callee(handler.fn, call.webrtc_id)
        self._is_plain = not (is_async_callable(handler.fn) or _is_generator_function(handler.fn))

    async def run(self) -> None:
        """Takes pictures until cancelled, or until the function ends the call.

        Raises:
            ConnectionLost: The caller sends no more.
        """
        while not is_being_cancelled():
            timed = await self._transport.receive_video_frame()
            if self._rate.admits(timed.pts) and await self._answer(timed):
                return

    async def _answer(self, timed: TimedFrame) -> bool:
        """Shows something for this picture, whatever happens; True when the call is to end."""
        if self._handler.lacks_inputs:
            await self._pass_through(timed)
            return False
        shown = Shown()
        try:
            async with aclosing(self._apply(timed.picture)) as answers:
                async for shown in answers:
                    self._show(timed.pts, shown.picture)
                    if await route_rest(shown, self._sinks):
                        return True
                    if not self._is_plain:
                        # The camera's rate holds back functions that answer once.
                        await self._rounds.end(has_media=shown.picture is not None)
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self._call.report(error)
        if shown.picture is None:
            await self._repeat(timed)
        return False

    async def _apply(self, picture: PlanarFrame) -> AsyncGenerator[Shown]:
        """What the function gives for one picture, in parts; most give one."""
        if self._is_plain:
            result = await self._plain(picture)
            if isinstance(result, Shown):
                yield result
                return
            run = GeneratorRun(lambda: result, (), self._call, self._worker)
        else:
            array = await self._worker.run(self._pixels.to_array, picture)
            fn, args = self._callee.bind(array, *self._handler.inputs)
            run = GeneratorRun(fn, args, self._call, self._worker)
        try:
            while (item := await run.step()) is not FINISHED:
                yield await self._worker.run(self._read, item)
        finally:
            await run.close()

    def _call_in_worker(self, picture: PlanarFrame) -> object:
        """All of it in one go: each way to a thread and back is two more switches."""
        fn, args = self._callee.bind(self._pixels.to_array(picture), *self._handler.inputs)
        item = fn(*args)
        if isinstance(item, Iterator | AsyncIterator | Awaitable):
            return item
        return self._read(item)

    def _read(self, item: object) -> Shown:
        return read_shown(item, self._pixels, plays=self._sinks.plays)

    def _show(self, pts: int, picture: PlanarFrame | None) -> None:
        if picture is not None:
            self._last = picture
            self._sinks.video_buffer.show(pts, picture)

    async def _repeat(self, timed: TimedFrame) -> None:
        """The function had nothing to show: its last picture stands, and the stream flows on."""
        if self._last is None:
            await self._pass_through(timed)
        else:
            self._show(timed.pts, self._last)

    async def _pass_through(self, timed: TimedFrame) -> None:
        if self._sinks.plays:
            picture = await self._worker.run(self._pixels.fit, timed.picture)
            self._sinks.video_buffer.show(timed.pts, picture)


def _is_generator_function(fn: object) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.isgeneratorfunction(fn)

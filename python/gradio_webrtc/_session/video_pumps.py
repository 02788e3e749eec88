"""The two walks of pictures, for handlers with ``video_receive`` and ``video_emit``."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from gradio_webrtc._handlers import (
    AsyncAudioVideoStreamHandler,
    AudioVideoStreamHandler,
    VideoGenerator,
)
from gradio_webrtc._transport import PixelConverter
from gradio_webrtc._workers.user_code import is_being_cancelled
from gradio_webrtc._workers.workers import UserFunction
from gradio_webrtc.errors import HandlerError, PictureError

from .audio_pumps import FLUSH_S, Rounds
from .output_queue import split_picture
from .video_buffer import FramePacer, FrameRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._transport import PlanarFrame, Transport
    from gradio_webrtc._workers.workers import Worker
    from gradio_webrtc.types import AdditionalOutputs, CloseStream, FrameFormat

    from .audio_pumps import EmitSinks
    from .context import SessionContext

VideoReceivingHandler: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler
VideoEmittingHandler: TypeAlias = (
    AudioVideoStreamHandler | AsyncAudioVideoStreamHandler | VideoGenerator
)

HASTE: Final = 1.1
"""A handler may show a tenth more pictures a second than its ``fps`` says. Cameras run a little
fast or slow, and one that is echoed at exactly the rate it should have would fall behind."""


class Shown(NamedTuple):
    """What a handler gave to be seen, told apart, its pixels in a codec's form."""

    picture: PlanarFrame | None = None
    outputs: AdditionalOutputs | None = None
    close: CloseStream | None = None


def read_shown(item: object, pixels: PixelConverter, *, plays: bool = True) -> Shown:
    """Tells apart and converts what a handler gave. Takes milliseconds: for a worker thread.

    Args:
        item: Pixels, AdditionalOutputs, CloseStream, a pair of pixels and one of these, ``None``.
        pixels: Of that thread.
        plays: False when nobody looks: then pixels are dropped unseen.

    Raises:
        HandlerError: The pixels are no picture: says what came.
    """
    emitted = split_picture(item)
    if emitted.pixels is None or not plays:
        return Shown(None, emitted.outputs, emitted.close)
    try:
        picture = pixels.to_planar(emitted.pixels)
    except PictureError as error:
        raise HandlerError(f"cannot show what the handler gave: {error}") from error
    return Shown(picture, emitted.outputs, emitted.close)


async def route_rest(shown: Shown, sinks: EmitSinks) -> bool:
    """Sends everything but the picture where it belongs; True when the call is to end."""
    if shown.outputs is not None:
        sinks.outputs.put_with_frame(shown.outputs)
    if shown.close is None:
        return False
    await sinks.video_buffer.finish()
    await asyncio.sleep(FLUSH_S)
    sinks.end(shown.close.msg)
    return True


class VideoInboundPump:
    """From the caller's camera to ``handler.video_receive``, the newest picture first.

    Args:
        transport: Where the pictures come from.
        handler: Whose ``video_receive`` is called, ``fps`` times a second at most.
        call: Where its errors are reported.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The order of colours.
    """

    def __init__(
        self,
        transport: Transport,
        handler: VideoReceivingHandler,
        call: SessionContext,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._transport = transport
        self._video_receive = handler.video_receive
        self._receive_of_user = UserFunction(handler.video_receive, worker)
        if not self._receive_of_user.is_async:
            # All of it in one job: each way to a thread and back is two more switches.
            self._receive_of_user = UserFunction(
                self._receive_in_worker, worker, handler.video_receive
            )
        self._rate = FrameRateLimiter(handler.fps)
        self._call = call
        self._worker = worker
        self._pixels = PixelConverter(frame_format)
        self._last: PlanarFrame | None = None

    async def run(self) -> None:
        """Takes pictures until cancelled.

        Raises:
            ConnectionLost: The caller sends no more.
        """
        while not is_being_cancelled():
            pts, picture = await self._transport.receive_video_frame()
            if self._rate.admits(pts):
                self._last = picture
                await self._receive(picture)

    async def send_last(self) -> None:
        """Hands the last picture over again, for a handler that waits for one."""
        if self._last is not None:
            await self._receive(self._last)

    async def _receive(self, picture: PlanarFrame) -> None:
        try:
            if self._receive_of_user.is_async:
                array = await self._worker.run(self._pixels.to_array, picture)
                await self._receive_of_user(array)
            else:
                await self._receive_of_user(picture)
        except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
            self._call.report(error)

    def _receive_in_worker(self, picture: PlanarFrame) -> Any:
        return self._video_receive(self._pixels.to_array(picture))


class VideoOutboundPump:
    """From ``handler.video_emit`` to the screen, the page's outputs, and the end of the call.

    Args:
        handler: Whose ``video_emit`` is asked; its rate holds it back.
        call: Where its errors are reported.
        outlets: Where the things go that it gives.
        worker: Runs it if it is no coroutine function, and the conversion of pixels.
        frame_format: The order of colours.
    """

    def __init__(
        self,
        handler: VideoEmittingHandler,
        call: SessionContext,
        sinks: EmitSinks,
        worker: Worker,
        frame_format: FrameFormat,
    ) -> None:
        self._video_emit: Callable[[], Any] = handler.video_emit
        self._emit_of_user = UserFunction(handler.video_emit, worker)
        if not self._emit_of_user.is_async:
            self._emit_of_user = UserFunction(self._emit_in_worker, worker, handler.video_emit)
        if isinstance(handler, VideoGenerator):
            self._clock = FramePacer(handler.rate_fps, catches_up=True)
        else:
            self._clock = FramePacer(HASTE * handler.fps, catches_up=False)
        self._call = call
        self._sinks = sinks
        self._worker = worker
        self._pixels = PixelConverter(frame_format)

    async def run(self) -> None:
        """Asks ``video_emit`` for one picture after the other, until cancelled or closed by it."""
        rounds = Rounds()
        while not is_being_cancelled():
            shown = Shown()
            try:
                shown = await self._emit()
                if await self._show(shown):
                    return
            except Exception as error:  # noqa: BLE001  # the edge between the user's code and the call
                self._call.report(error)
            await rounds.end(
                has_media=shown.picture is not None, has_anything=shown.outputs is not None
            )

    async def _emit(self) -> Shown:
        item = await self._emit_of_user()
        return item if isinstance(item, Shown) else await self._worker.run(self._read, item)

    def _emit_in_worker(self) -> Any:
        """Asks, and converts, in one job."""
        item = self._video_emit()
        return item if inspect.isawaitable(item) else self._read(item)

    def _read(self, item: object) -> Shown:
        return read_shown(item, self._pixels, plays=self._sinks.plays)

    async def _show(self, shown: Shown) -> bool:
        if shown.picture is not None:
            # Every one of a generator's pictures counts, so it waits for the transport.
            await self._sinks.video_buffer.put(await self._clock.wait(), shown.picture)
        return await route_rest(shown, self._sinks)

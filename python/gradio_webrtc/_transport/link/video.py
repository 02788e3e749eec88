"""The video of a link: the newest frame counts, in both directions.

Runs on the event loop. JPEGs are coded in threads of the session.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from av.error import FFmpegError

from gradio_webrtc._transport.buckets import TokenBucket
from gradio_webrtc._transport.frame import TimedFrame
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import ConnectionLost

from .frames import TIMESTAMP, FrameError
from .jpeg import JpegDecoder, JpegEncoder, check_jpeg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gradio_webrtc._limits import Limits
    from gradio_webrtc._transport.base import VideoFrameSource

logger = logging.getLogger(__name__)

TICKS_PER_MS: Final = 90
"""Of the clock of video (RFC 7741 section 4.1), for each millisecond of a link's."""

MAX_RATE: Final = 15.0
"""Frames a second that are sent: a JPEG has ten times the bytes of a frame of VP8."""


class InboundVideo:
    """The client's video.

    Args:
        limits: The size and the rate of its frames.

    Attributes:
        decoded: Frames that were decoded.
        skipped: Those of them that nobody took before the next one came.
        refused: Frames that were not decoded: too large, too many, or broken.
    """

    def __init__(self, limits: Limits) -> None:
        self.decoded = self.skipped = self.refused = 0
        self._most_pixels = limits.picture_pixels
        self._budget = TokenBucket(limits.pictures_per_s, limits.pictures_per_s)
        self._worker = Worker("link-decode")
        self._waiting: tuple[int, bytes] | None = None
        self._came = asyncio.Event()
        self._newest: TimedFrame | None = None
        self._is_over = False
        self._news = asyncio.Event()

    def take(self, payload: bytes) -> None:
        """Takes a frame as it came. One that waits to be decoded is replaced."""
        if len(payload) < TIMESTAMP.size or not self._budget.take():
            self.refused += 1
            return
        try:
            jpeg = check_jpeg(payload[TIMESTAMP.size :], self._most_pixels)
        except FrameError as error:
            self._refuse(error)
            return
        # In place of one that was not decoded: it could only be skipped.
        self._waiting = TIMESTAMP.unpack_from(payload)[0], jpeg
        self._came.set()

    async def run(self) -> None:
        """Decodes frames, one at a time, until it is cancelled."""
        decoder = JpegDecoder(self._most_pixels)
        while True:
            await self._came.wait()
            self._came.clear()
            if self._waiting is None:
                continue
            (timestamp_ms, jpeg), self._waiting = self._waiting, None
            try:
                planar = await self._worker.run(decoder.decode, jpeg)
            except FrameError as error:
                self._refuse(error)
                continue
            self.decoded += 1
            self.skipped += self._newest is not None
            self._newest = TimedFrame(timestamp_ms * TICKS_PER_MS, planar)
            self._news.set()

    async def receive(self) -> TimedFrame:
        """Returns the newest frame, once there is one that was not returned yet.

        Raises:
            ConnectionLost: No more will come.
        """
        while self._newest is None:
            if self._is_over:
                raise ConnectionLost("the client sends no more video")
            self._news.clear()
            await self._news.wait()
        newest, self._newest = self._newest, None
        return newest

    def end(self) -> None:
        """Ends the video; what was decoded may still be taken."""
        self._is_over = True
        self._news.set()
        self._worker.close()

    def _refuse(self, error: FrameError) -> None:
        self.refused += 1
        logger.debug("a video frame of a client is dropped: %s", error)


class OutboundVideo:
    """Video on its way to the client.

    Args:
        source: Returns the frames.
    """

    def __init__(self, source: VideoFrameSource) -> None:
        self._source = source
        self._worker = Worker("link-encode")
        self._newest: TimedFrame | None = None
        self._news = asyncio.Event()

    async def read(self, wait_for_client: Callable[[], Awaitable[None]]) -> None:
        """Reads the source until it is cancelled: a recording keeps its speed by that.

        Args:
            wait_for_client: Returns while the client is there. A recording waits for it.
        """
        while True:
            await wait_for_client()
            self._newest = await self._source.next_frame()
            self._news.set()

    async def send(
        self, wait_for_room: Callable[[], Awaitable[None]], put: Callable[[bytes], object]
    ) -> None:
        """Sends the newest frame, as often as there is room, until it is cancelled.

        Args:
            wait_for_room: Returns once the client has taken most of what was sent.
            put: Sends a frame: its time and its JPEG.
        """
        encoder = JpegEncoder()
        loop = asyncio.get_running_loop()
        first_pts: int | None = None
        is_reported = False
        while True:
            await wait_for_room()
            while self._newest is None:
                self._news.clear()
                await self._news.wait()
            (pts, planar), self._newest = self._newest, None
            due_s = loop.time() + 1 / MAX_RATE
            first_pts = pts if first_pts is None else first_pts
            try:
                jpeg = await self._worker.run(encoder.encode, planar)
            except FrameError as error:
                logger.debug("a video frame is not sent: %s", error)
            except FFmpegError:
                if not is_reported:
                    logger.exception("FFmpeg could not encode a video frame; the others are sent")
                is_reported = True
                encoder = JpegEncoder()
            else:
                put(TIMESTAMP.pack((pts - first_pts) // TICKS_PER_MS & 0xFFFFFFFF) + jpeg)
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    def end(self) -> None:
        """Ends the thread."""
        self._worker.close()

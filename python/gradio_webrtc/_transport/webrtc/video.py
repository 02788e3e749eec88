"""Pictures between aiortc and the session: tracks on one side, the newest picture on the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError
from av import VideoFrame
from av.video.frame import PictureType

from gradio_webrtc._transport.frame import PlanarFrame, TimedFrame
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from gradio_webrtc._transport.base import VideoFrameSource

BITRATES: Final = (
    (320 * 180, 200_000),
    (480 * 270, 450_000),
    (640 * 360, 700_000),
    (960 * 540, 1_200_000),
    (1280 * 720, 2_500_000),
    (1920 * 1080, 4_000_000),
)
"""Pixels, and the bits a second that suit them in VP8: the upper end that browsers themselves use
(libwebrtc, video/config/simulcast.cc, kSimulcastFormatsVP8; the target at full HD)."""

# aiortc holds every encoder below 1.5 Mbit/s for VP8 and 3 for H.264, whatever the far end reports
# that it can take: too little from 720p on.
vpx.MAX_BITRATE = h264.MAX_BITRATE = BITRATES[-1][1]


def suitable_bitrate(width: int, height: int) -> int:
    """The bits a second for pictures of this size, between those of the sizes in `BITRATES`."""
    pixels, bits = zip(*BITRATES, strict=True)
    return round(float(np.interp(width * height, pixels, bits)))


class VideoReceiver:
    """The caller's pictures, of which the newest counts.

    Args:
        track: aiortc's remote track. Its queue has no bound, so it is read by a task of its own.

    Attributes:
        skipped: How many pictures nobody took before the next one came.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self.skipped = 0
        self._track = track
        self._newest: TimedFrame | None = None
        self._is_over = False
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def receive(self) -> TimedFrame:
        """The newest picture, once there is one that was not given yet.

        Raises:
            ConnectionLost: The track ended.
        """
        while self._newest is None:
            if self._is_over:
                raise ConnectionLost("the caller's video track ended")
            self._news.clear()
            await self._news.wait()
        newest, self._newest = self._newest, None
        return newest

    def close(self) -> None:
        """Stops reading."""
        self._task.cancel()

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._track.recv()
                if isinstance(frame, VideoFrame):
                    self._take(frame)
        except MediaStreamError:
            self._is_over = True
            self._news.set()

    def _take(self, frame: VideoFrame) -> None:
        self.skipped += self._newest is not None
        self._newest = TimedFrame(frame.pts or 0, PlanarFrame(frame))
        self._news.set()


class VideoSender(MediaStreamTrack):
    """The track that aiortc reads the pictures from that we show.

    Args:
        source: Where the pictures come from.
    """

    kind = "video"

    def __init__(self, source: VideoFrameSource) -> None:
        super().__init__()
        self._source = source
        self._sender: RTCRtpSender | None = None
        self._size = (0, 0)

    def attach(self, sender: RTCRtpSender) -> None:
        """Tells which of aiortc's senders reads this track, to set the bit rate of its encoder."""
        self._sender = sender

    async def recv(self) -> VideoFrame:
        """The next picture, when there is one."""
        if self.readyState != "live":
            raise MediaStreamError
        pts, picture = await self._source.next_frame()
        frame = picture.frame
        frame.pts, frame.time_base = pts, VIDEO_TIME_BASE
        # What it was when it was decoded, or encoded before, would be forced upon it again.
        frame.pict_type = PictureType.NONE
        self._set_bitrate(frame.width, frame.height)
        return frame

    def _set_bitrate(self, width: int, height: int) -> None:
        """Begins each size with what suits it; from there on the far end may ask for less."""
        # aiortc has no public way to its encoder, which it makes for the first frame.
        encoder = getattr(self._sender, "_RTCRtpSender__encoder", None)
        if encoder is None:
            return
        suitable = suitable_bitrate(width, height)
        if self._size != (width, height) or encoder.target_bitrate > suitable:
            encoder.target_bitrate = suitable
        self._size = (width, height)

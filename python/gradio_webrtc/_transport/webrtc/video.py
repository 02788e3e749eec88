"""Video between aiortc and the session: tracks on one side, the newest frame on the other.

Runs on the event loop; aiortc decodes and encodes in threads of its own. Imports neither sessions
nor handlers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiortc import MediaStreamTrack
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError
from av import VideoFrame
from av.video.frame import PictureType

from gradio_webrtc._transport.frame import PlanarFrame, TimedFrame
from gradio_webrtc.errors import ConnectionLost

from .aiortc_internals import VideoBitRate

if TYPE_CHECKING:
    from aiortc import RTCRtpSender

    from gradio_webrtc._transport.base import VideoFrameSource


class VideoReceiver:
    """The remote peer's video, of which the newest frame counts.

    Args:
        track: aiortc's remote track.

    Attributes:
        received: The number of frames that were decoded.
        skipped: The number of those that nobody took before the next one came.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self.received = 0
        self.skipped = 0
        self._track = track
        self._newest: TimedFrame | None = None
        self._is_over = False
        self._news = asyncio.Event()

    async def receive(self) -> TimedFrame:
        """Returns the newest frame, once there is one that was not returned yet.

        Raises:
            ConnectionLost: The track ended.
        """
        while self._newest is None:
            if self._is_over:
                raise ConnectionLost("the remote peer's video track ended")
            self._news.clear()
            await self._news.wait()
        newest, self._newest = self._newest, None
        return newest

    async def read(self) -> None:
        """Reads the track until it ends; in its own task, since aiortc's queue has no bound."""
        try:
            while True:
                frame = await self._track.recv()
                if isinstance(frame, VideoFrame):
                    self._take(frame)
        except MediaStreamError:
            self._is_over = True
            self._news.set()

    def _take(self, frame: VideoFrame) -> None:
        self.received += 1
        self.skipped += self._newest is not None
        self._newest = TimedFrame(frame.pts or 0, PlanarFrame(frame))
        self._news.set()


class VideoSender(MediaStreamTrack):
    """The track from which aiortc reads outbound video.

    Args:
        source: Returns the frames.
    """

    kind = "video"

    def __init__(self, source: VideoFrameSource) -> None:
        super().__init__()
        self._source = source
        self._bit_rate: VideoBitRate | None = None

    def attach(self, sender: RTCRtpSender) -> None:
        """Sets the sender of aiortc that reads this track, and the bit rate of its encoder."""
        self._bit_rate = VideoBitRate(sender)

    async def recv(self) -> VideoFrame:
        """Returns the next frame, when there is one."""
        if self.readyState != "live":
            raise MediaStreamError
        pts, planar = await self._source.next_frame()
        frame = planar.frame
        frame.pts, frame.time_base = pts, VIDEO_TIME_BASE
        # The type that it had when it was decoded, or encoded before, would be forced upon it
        # again.
        frame.pict_type = PictureType.NONE
        if self._bit_rate is not None:
            self._bit_rate.adapt(frame.width, frame.height)
        return frame

"""Video between aiortc and the session: tracks on one side, the newest frames on the other.

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
from gradio_webrtc._transport.frame_flow import RecentFrames
from gradio_webrtc.errors import ConnectionLost

from .aiortc_internals import encode_by
from .video_plan import VideoPlan

if TYPE_CHECKING:
    from aiortc import RTCRtpSender

    from gradio_webrtc._transport.base import VideoFrameSource
    from gradio_webrtc._video_terms import BitRateRange


class VideoReceiver:
    """The remote peer's video, of which the newest frames count.

    Args:
        track: aiortc's remote track.

    Attributes:
        received: The number of frames that were decoded.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self.received = 0
        self._track = track
        self._frames = RecentFrames()
        self._is_over = False
        self._news = asyncio.Event()

    @property
    def skipped(self) -> int:
        """The number of frames that gave way to newer ones, since nobody took them in time."""
        return self._frames.skipped

    async def receive(self) -> TimedFrame:
        """Returns the next frame, once there is one that was not returned yet.

        Raises:
            ConnectionLost: The track ended.
        """
        loop = asyncio.get_running_loop()
        while (frame := self._frames.take(loop.time())) is None:
            if self._is_over:
                raise ConnectionLost("the remote peer's video track ended")
            self._news.clear()
            await self._news.wait()
        return frame

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
        now_s = asyncio.get_running_loop().time()
        self._frames.put(TimedFrame(frame.pts or 0, PlanarFrame(frame)), now_s)
        self._news.set()


class VideoSender(MediaStreamTrack):
    """The track from which aiortc reads outbound video.

    aiortc asks for a frame when it has encoded and sent the one before, so the time in between is
    how long the encoder takes: the plan sends less when that is too long.

    Args:
        source: Returns the frames.
        bitrate: That the program has set; ``None`` for one that suits the frames.

    Attributes:
        plan: The bit rate, the size and the rate of what is sent.
    """

    kind = "video"

    def __init__(self, source: VideoFrameSource, bitrate: BitRateRange | None = None) -> None:
        super().__init__()
        self.plan = VideoPlan(bitrate)
        self._source = source

    def attach(self, sender: RTCRtpSender) -> None:
        """Sets the sender of aiortc that reads this track."""
        encode_by(sender, self.plan)

    async def recv(self) -> VideoFrame:
        """Returns the next frame, when there is one."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self.plan.end(loop.time())
        pts, planar = await self._source.next_frame()
        frame = planar.frame
        frame.pts, frame.time_base = pts, VIDEO_TIME_BASE
        # The type that it had when it was decoded, or encoded before, would be forced upon it
        # again.
        frame.pict_type = PictureType.NONE
        before = self.plan.most_fps
        self.plan.begin(frame.width, frame.height, loop.time())
        if self.plan.most_fps != before:
            self._source.limit_fps(self.plan.most_fps)
        return frame

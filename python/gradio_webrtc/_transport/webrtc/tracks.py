"""The tracks of one connection: those of the remote peer that are taken, and our own.

Runs on the event loop. Imports neither sessions nor handlers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradio_webrtc.errors import ConnectionLost

from .audio import AudioSender
from .audio_receiver import AudioReceiver
from .video import VideoReceiver, VideoSender

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._config import SessionConfig
    from gradio_webrtc._transport.base import (
        AudioFrameSource,
        AudioSink,
        Detected,
        VideoFrameSource,
    )
    from gradio_webrtc._transport.frame import TimedFrame
    from gradio_webrtc._workers.task_scope import TaskScope
    from gradio_webrtc.types import Layout


class Tracks:
    """Takes one track of each kind, and declines the others: aiortc would queue them for ever.

    Args:
        pc: The connection, before the offer is set.
        config: The kinds and directions of media.
        tasks: Owns the task that reads video.
    """

    def __init__(self, pc: RTCPeerConnection, config: SessionConfig, tasks: TaskScope) -> None:
        self._pc = pc
        self._config = config
        self._tasks = tasks
        self._offered: list[MediaStreamTrack] = []
        self._audio: AudioReceiver | None = None
        self._video: VideoReceiver | None = None
        self._audio_sender: AudioSender | None = None
        self._video_sender: VideoSender | None = None
        self._preferred: tuple[int, Layout] | None = None
        pc.on("track", self._offered.append)

    @property
    def received_frames(self) -> int:
        """The number of video frames that were decoded."""
        return 0 if self._video is None else self._video.received

    @property
    def skipped_frames(self) -> int:
        """The number of video frames that nobody took before the next one came."""
        return 0 if self._video is None else self._video.skipped

    def play_audio(self, source: AudioFrameSource) -> None:
        """Lets `settle` add a track of audio."""
        self._audio_sender = AudioSender(source)

    def play_video(self, source: VideoFrameSource) -> None:
        """Lets `settle` add a track of video."""
        self._video_sender = VideoSender(source, self._config.video.bitrate)

    def settle(self) -> None:
        """Takes, declines and adds tracks: between the offer and our answer."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.receiver.track not in self._offered:
                continue
            if not self._take(transceiver.receiver):
                transceiver.direction = "inactive"
        # An answer has no section that the offer does not have.
        offered = {transceiver.kind for transceiver in self._pc.getTransceivers()}
        if self._audio_sender is not None and "audio" in offered:
            self._pc.addTrack(self._audio_sender)
        if self._video_sender is not None and "video" in offered:
            self._video_sender.attach(self._pc.addTrack(self._video_sender))

    async def carry_audio(self, sink: AudioSink) -> None:
        """Delivers audio; see `Transport.carry_audio`."""
        if self._audio is None:
            raise ConnectionLost("the remote peer sends no audio")
        await self._audio.carry(sink)

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Has audio decoded for that; see `Transport.prefer_audio`."""
        self._preferred = (rate_hz, layout)
        self.prefer()

    def prefer(self) -> None:
        """Has the decoder do what `prefer_audio` was called for, once there is one."""
        if self._audio is not None and self._preferred is not None:
            self._audio.prefer(*self._preferred)

    def keep_pauses(self) -> None:
        """Has gaps in timestamps be silence; see `Transport.keep_pauses`."""
        if self._audio is not None:
            self._audio.keep_pauses()

    def flush_audio(self) -> bool:
        """Delivers the packets that wait; see `Transport.flush_audio`."""
        return self._audio is None or self._audio.flush()

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Has turns detected; see `Transport.feed_turns`."""
        if self._audio is not None:
            self._audio.feed_turns(turns, on_detected)

    async def receive_video_frame(self) -> TimedFrame:
        """Returns the newest video frame; see `Transport.receive_video_frame`."""
        if self._video is None:
            raise ConnectionLost("the remote peer sends no video")
        return await self._video.receive()

    def close(self) -> None:
        """Frees the encoder of audio."""
        if self._audio_sender is not None:
            self._audio_sender.close()

    def _take(self, receiver: RTCRtpReceiver) -> bool:
        track = receiver.track
        if not self._config.client_sends or track.kind not in self._config.track_kinds:
            return False
        if track.kind == "audio" and self._audio is None:
            self._audio = AudioReceiver(receiver)
            return True
        if track.kind == "video" and self._video is None:
            self._video = VideoReceiver(track)
            self._tasks.start(self._video.read())
            return True
        return False

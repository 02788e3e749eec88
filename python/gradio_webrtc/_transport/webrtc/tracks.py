"""The tracks of one connection: which of the caller's are taken, and which are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gradio_webrtc.errors import ConnectionLost

from .audio import AudioSender
from .incoming import AudioReceiver
from .video import VideoReceiver, VideoSender

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver

    from gradio_webrtc._transport.base import AudioFrameSource, AudioSink, VideoFrameSource
    from gradio_webrtc._transport.frame import TimedFrame
    from gradio_webrtc.types import Modality


class TrackTerms(NamedTuple):
    """Which tracks a caller may bring.

    Attributes:
        modality: The kinds of media that there are.
        are_taken: We listen and watch; otherwise the caller's tracks are declined, not refused.
        allows_others: An offer with tracks of another kind is answered, and they are declined.
    """

    modality: Modality = "audio"
    are_taken: bool = True
    allows_others: bool = True

    @property
    def kinds(self) -> list[str]:
        """The kinds of media that there are, each by itself."""
        return self.modality.split("-")


DEFAULT_TERMS = TrackTerms()


class Tracks:
    """Takes one track of each kind, and declines the others: aiortc would queue them for ever.

    Args:
        pc: The connection, before the offer is set.
        terms: Which tracks may be there.
    """

    def __init__(self, pc: RTCPeerConnection, terms: TrackTerms) -> None:
        self._pc = pc
        self._terms = terms
        self._offered: list[MediaStreamTrack] = []
        self._audio: AudioReceiver | None = None
        self._video: VideoReceiver | None = None
        self._audio_sender: AudioSender | None = None
        self._video_sender: VideoSender | None = None
        pc.on("track", self._offered.append)

    @property
    def are_taken(self) -> bool:
        """Whether the caller sends anything that we take."""
        return self._audio is not None or self._video is not None

    @property
    def skipped_frames(self) -> int:
        """How many of the caller's pictures nobody took before the next one came."""
        return 0 if self._video is None else self._video.skipped

    def play(self, source: AudioFrameSource) -> None:
        """Lets `settle` add a track of sound."""
        self._audio_sender = AudioSender(source)

    def show(self, source: VideoFrameSource) -> None:
        """Lets `settle` add a track of pictures."""
        self._video_sender = VideoSender(source)

    def settle(self) -> None:
        """Takes, declines and adds tracks: between the caller's offer and our answer."""
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
        """See `Transport.carry_audio`."""
        if self._audio is None:
            raise ConnectionLost("the caller sends no sound")
        await self._audio.carry(sink)

    async def receive_video_frame(self) -> TimedFrame:
        """See `Transport.receive_video_frame`."""
        if self._video is None:
            raise ConnectionLost("the caller sends no pictures")
        return await self._video.receive()

    def close(self) -> None:
        """Stops reading, and frees the encoder."""
        if self._video is not None:
            self._video.close()
        if self._audio_sender is not None:
            self._audio_sender.close()

    def _take(self, receiver: RTCRtpReceiver) -> bool:
        track = receiver.track
        if not self._terms.are_taken or track.kind not in self._terms.kinds:
            return False
        if track.kind == "audio" and self._audio is None:
            self._audio = AudioReceiver(receiver)
            return True
        if track.kind == "video" and self._video is None:
            self._video = VideoReceiver(track)
            return True
        return False

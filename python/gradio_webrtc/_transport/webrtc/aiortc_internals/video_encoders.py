"""Encoders of video that follow a plan, in the places of aiortc's.

aiortc's own have fixed options and bounds, and neither a public place for others. Made on the event
loop; `encode` runs in a thread of the loop's executor, one frame at a time. Imports no sessions.
"""

from __future__ import annotations

import fractions
import multiprocessing
import random
from typing import TYPE_CHECKING, Any, Final

import av
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, number_of_threads
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from . import names

if TYPE_CHECKING:
    from av import VideoFrame
    from av.frame import Frame
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

    from gradio_webrtc._transport.webrtc.video_plan import VideoPlan

FRAME_IDS: Final = 1 << 15
"""Fifteen bits (RFC 7741 section 4.2)."""

CODEC_FORMAT: Final = "yuv420p"

FPS: Final = 30
"""What an encoder takes for the rate of the frames, until it has seen their times."""

VP8_OPTIONS: Final = {
    "cpu-used": "-8",
    "deadline": "realtime",
    "lag-in-frames": "0",
    "noise-sensitivity": "0",
    "overshoot-pct": "15",
    "partitions": "0",
    "static-thresh": "1",
    "undershoot-pct": "100",
}
"""Of libvpx in real time. Two differ from aiortc's: its denoiser (``noise-sensitivity`` 4) costs
time and 1.5 dB of detail, and ``cpu-used`` -8 in place of -6 saves time at the same PSNR."""

H264_OPTIONS: Final = {"level": "31", "preset": "veryfast", "tune": "zerolatency"}
"""Of libx264. aiortc has its default ("medium"), at which a server's frames are late; "veryfast"
loses 0.1 dB beside it."""


class VideoEncoder(Encoder):
    """Encodes the frames of one track, with a bit rate and in a size that its plan sets.

    A frame in another size, or another bit rate, makes a new encoder, which begins with a key
    frame: FFmpeg changes neither of libvpx nor of libx264 while it runs.

    Args:
        plan: Of the track.
    """

    def __init__(self, plan: VideoPlan) -> None:
        self._plan = plan
        self._codec: VideoCodecContext | None = None
        self._shape = (0, 0, 0)
        self._scaler = VideoReformatter()

    @property
    def target_bitrate(self) -> int:
        """Bits a second; aiortc sets those that the remote peer reports."""
        return self._plan.bits

    @target_bitrate.setter
    def target_bitrate(self, bits: int) -> None:
        self._plan.estimate(bits)

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:  # noqa: FBT001, FBT002  # as the base class has it
        """Returns the payloads of a frame, and its time on a clock of 90 kHz."""
        if not isinstance(frame, av.VideoFrame):
            raise TypeError(f"expected a video frame, got {type(frame).__name__}")
        scaled = self._fitted(frame)
        codec = self._codec_for(scaled)
        scaled.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in codec.encode(scaled))
        self._plan.note_encoded(8 * len(data))
        return self.split(data), _time_of(frame)

    def pack(self, packet: Packet[Any]) -> tuple[list[bytes], int]:
        """Returns the payloads of what was encoded elsewhere."""
        return self.split(bytes(packet)), _time_of(packet)

    def make_codec(self, width: int, height: int, bits: int) -> VideoCodecContext:
        """Returns a new encoder."""
        raise NotImplementedError

    def split(self, data: bytes) -> list[bytes]:
        """Returns the payloads of an encoded frame; none for a frame that was left out."""
        raise NotImplementedError

    def _fitted(self, frame: VideoFrame) -> VideoFrame:
        width, height = self._plan.fit(frame.width, frame.height)
        scaled = self._scaler.reformat(
            frame, width=width, height=height, format=CODEC_FORMAT, threads=1
        )
        scaled.pts, scaled.time_base = frame.pts, frame.time_base
        return scaled

    def _codec_for(self, frame: VideoFrame) -> VideoCodecContext:
        shape = (frame.width, frame.height, self._plan.bits)
        if self._codec is None or self._shape != shape:
            self._codec, self._shape = self.make_codec(*shape), shape
        return self._codec


class PlannedVp8Encoder(VideoEncoder):
    """VP8 by libvpx."""

    def __init__(self, plan: VideoPlan) -> None:
        super().__init__(plan)
        self._frame_id = random.randrange(FRAME_IDS)  # noqa: S311  # no secret (RFC 7741)

    def make_codec(self, width: int, height: int, bits: int) -> VideoCodecContext:
        """Returns a new encoder, at a constant bit rate."""
        codec = _new_codec("libvpx", width, height, bits)
        codec.gop_size = 3000
        codec.qmin, codec.qmax = 2, 56
        # A buffer of one second, and a constant rate.
        rates = dict.fromkeys(("bufsize", "minrate", "maxrate"), str(bits))
        codec.options = VP8_OPTIONS | rates
        codec.thread_count = number_of_threads(width * height, multiprocessing.cpu_count())
        return codec

    def split(self, data: bytes) -> list[bytes]:
        """Returns the payloads of an encoded frame (RFC 7741)."""
        payloads: list[bytes] = getattr(Vp8Encoder, names.PACKETIZE)(data, self._frame_id)
        self._frame_id = (self._frame_id + 1) % FRAME_IDS
        return payloads


class PlannedH264Encoder(VideoEncoder):
    """H.264 by libx264."""

    def make_codec(self, width: int, height: int, bits: int) -> VideoCodecContext:
        """Returns a new encoder."""
        codec = _new_codec("libx264", width, height, bits)
        # A buffer of one second: without it the rate is an average over the whole session.
        codec.options = H264_OPTIONS | dict.fromkeys(("bufsize", "maxrate"), str(bits))
        codec.profile = "Baseline"
        codec.thread_count = number_of_threads(width * height, multiprocessing.cpu_count())
        return codec

    def split(self, data: bytes) -> list[bytes]:
        """Returns the payloads of an encoded frame (RFC 6184)."""
        units = getattr(H264Encoder, names.SPLIT_BITSTREAM)(data)
        payloads: list[bytes] = getattr(H264Encoder, names.PACKETIZE)(units)
        return payloads


ENCODERS: Final[dict[str, type[VideoEncoder]]] = {
    "VP8": PlannedVp8Encoder,
    "H264": PlannedH264Encoder,
}
"""By the names of codecs."""


def _new_codec(name: str, width: int, height: int, bits: int) -> VideoCodecContext:
    codec: Any = av.CodecContext.create(name, "w")
    codec.width, codec.height = width, height
    codec.bit_rate = bits
    codec.pix_fmt = CODEC_FORMAT
    codec.framerate = fractions.Fraction(FPS)
    # PyAV would take one of its own, and round the times of frames to it.
    codec.time_base = VIDEO_TIME_BASE
    return codec  # type: ignore[no-any-return]


def _time_of(media: Frame | Packet[Any]) -> int:
    if media.pts is None or media.time_base is None:
        raise ValueError("expected a video frame with its time")
    return convert_timebase(media.pts, media.time_base, VIDEO_TIME_BASE)

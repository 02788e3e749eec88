"""Our encoders of video: what they make, at which rate, and when they begin again."""

from __future__ import annotations

import fractions
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from aiortc.codecs import depayload
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from support.frames import number_of, numbered

from gradio_webrtc._transport.webrtc.aiortc_internals.video_encoders import ENCODERS
from gradio_webrtc._transport.webrtc.video_plan import LADDER, VideoPlan
from gradio_webrtc._video_terms import BitRateRange

if TYPE_CHECKING:
    from gradio_webrtc._transport.webrtc.aiortc_internals.video_encoders import VideoEncoder

CODECS = list(ENCODERS)
DECODERS = {"VP8": "libvpx", "H264": "h264"}
KEYS = {"VP8": lambda data: not data[0] & 1, "H264": lambda data: b"\x00\x01\x65" in data}


def frame_of(
    number: int, width: int = 320, height: int = 240, *, noise: float = 0
) -> av.VideoFrame:
    pixels = numbered(number, width, height)
    if noise:
        lower = pixels[height // 4 :]
        grain = np.random.default_rng(number).normal(0, noise, lower.shape)
        lower[:] = np.clip(lower + grain, 0, 255)
    frame = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 3000 * number, fractions.Fraction(1, 90_000)
    return frame


class Line:
    """An encoder, what it makes, and a decoder that takes it."""

    def __init__(self, name: str, plan: VideoPlan) -> None:
        self.plan = plan
        self.encoder: VideoEncoder = ENCODERS[name](plan)
        self.coded: list[bytes] = []
        self.decoded: list[Any] = []
        self._name = name
        self._codec = RTCRtpCodecParameters(f"video/{name}", 90_000, payloadType=97)
        self._decoder: Any = av.CodecContext.create(DECODERS[name], "r")

    def send(self, frame: av.VideoFrame, *, key: bool = False) -> None:
        assert frame.pts is not None
        self.plan.begin(frame.width, frame.height, frame.pts / 90_000)
        payloads, timestamp = self.encoder.encode(frame, key)
        assert timestamp == frame.pts
        assert all(0 < len(each) <= 1300 for each in payloads)
        self.coded.append(b"".join(depayload(self._codec, each) for each in payloads))
        packet = av.Packet(self.coded[-1])
        self.decoded += [each.to_ndarray(format="bgr24") for each in self._decoder.decode(packet)]

    def keys(self) -> list[int]:
        return [index for index, data in enumerate(self.coded) if KEYS[self._name](data)]


@pytest.mark.parametrize("name", CODECS)
def test_what_it_makes_is_decoded_and_begins_with_the_only_key_frame(name: str) -> None:
    line = Line(name, VideoPlan())
    for number in range(30):
        line.send(frame_of(number))
    assert line.keys() == [0]
    numbers = [number_of(each) for each in line.decoded]
    assert numbers == list(range(30))[: len(numbers)]
    assert len(numbers) >= 28, "a decoder may hold one back"


@pytest.mark.parametrize("name", CODECS)
def test_a_key_frame_comes_when_it_is_asked_for(name: str) -> None:
    line = Line(name, VideoPlan())
    for number in range(10):
        line.send(frame_of(number), key=number == 6)
    assert line.keys() == [0, 6]


@pytest.mark.parametrize("name", CODECS)
def test_the_bit_rate_is_that_of_the_plan(name: str) -> None:
    for bits in (200_000, 600_000):
        line = Line(name, VideoPlan(BitRateRange(bits, bits, bits)))
        for number in range(150):
            line.send(frame_of(number, noise=20))
        sent = 8 * sum(map(len, line.coded[60:])) / 3
        assert sent == pytest.approx(bits, rel=0.25)


@pytest.mark.parametrize("name", CODECS)
def test_a_rate_reported_by_the_client_makes_a_new_encoder_and_a_wavering_one_does_not(
    name: str,
) -> None:
    line = Line(name, VideoPlan())
    for number in range(40):
        if number == 20:
            line.encoder.target_bitrate = 60_000
        elif number > 20:
            line.encoder.target_bitrate = 60_000 + 500 * (number % 5)
        line.send(frame_of(number))
    assert line.keys() == [0, 20]
    assert line.encoder.target_bitrate == 60_000


@pytest.mark.parametrize("name", CODECS)
def test_frames_are_scaled_to_the_rung(name: str) -> None:
    line = Line(name, VideoPlan())
    line.send(frame_of(1, 640, 480))
    line.plan.rung = next(at for at, rung in enumerate(LADDER) if rung.scale == 1 / 2)
    line.encoder.encode(frame_of(2, 640, 480))
    shapes = []
    line._decoder = av.CodecContext.create(DECODERS[name], "r")  # noqa: SLF001  # a new stream
    for number in range(3, 6):
        payloads, _ = line.encoder.encode(frame_of(number, 640, 480), number == 3)
        data = b"".join(depayload(line._codec, each) for each in payloads)  # noqa: SLF001
        shapes += [(each.width, each.height) for each in line._decoder.decode(av.Packet(data))]  # noqa: SLF001
    assert set(shapes) == {(320, 240)}


def test_detail_is_kept_that_the_denoiser_of_aiortc_takes_away() -> None:
    def psnr(encoder: Any) -> float:
        decoder: Any = av.CodecContext.create("libvpx", "r")
        codec = RTCRtpCodecParameters("video/VP8", 90_000, payloadType=97)
        for number in range(60):
            frame = frame_of(number // 30, noise=4)
            frame.pts = 3000 * number
            payloads, _ = encoder.encode(frame)
            data = b"".join(depayload(codec, each) for each in payloads)
            for each in decoder.decode(av.Packet(data)):
                error = each.to_ndarray().astype(float) - frame.to_ndarray()
        return float(10 * np.log10(255**2 / (error**2).mean()))

    plan = VideoPlan(BitRateRange(500_000, 500_000, 500_000))
    plan.begin(320, 240, 0)
    assert psnr(ENCODERS["VP8"](plan)) > psnr(Vp8Encoder())


def test_the_types_of_aiortc_are_still_in_use_for_the_payloads() -> None:
    # A later version of aiortc with other payloads would pass all of the above.
    for kind in (Vp8Encoder, H264Encoder):
        assert callable(kind._packetize)  # noqa: SLF001
    with pytest.raises(TypeError, match="expected a video frame"):
        ENCODERS["VP8"](VideoPlan()).encode(av.AudioFrame(samples=960))

"""`video_bitrate` and `codec_preferences` over real connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pytest
from aiortc.sdp import SessionDescription
from support.client import Client
from support.frames import Camera, numbered
from support.serving import server_of

from gradio_webrtc import Stream, WebRTC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradio_webrtc._transport.webrtc.video import VideoSender

NOISE = np.random.default_rng(1).normal(0, 40, (8, 480, 640, 3))


def noisy(number: int) -> NDArray[np.uint8]:
    """A frame that takes more bits than any bit rate here has."""
    frame = numbered(number, 640, 480).astype(float)
    frame[120:] += NOISE[number % 8, 120:]
    return frame.clip(0, 255).astype(np.uint8)


def flip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def component(**terms: Any) -> WebRTC:
    with gr.Blocks():
        webrtc = WebRTC(modality="video", **terms)
        webrtc.stream(flip, [webrtc], [webrtc])
    return webrtc


def stream(**terms: Any) -> WebRTC:
    return Stream(flip, modality="video", **terms).webrtc_component


async def call(webrtc: WebRTC, frames: int, camera: Camera | None = None) -> tuple[Client, Any]:
    """A session until so many frames came back, and our sender of video in it."""
    manager = server_of(webrtc)
    client = Client(manager, modality="video")
    client.camera = camera or client.camera
    await client.call()
    await client.until(lambda: len(client.video_frames) >= frames)
    transport: Any = manager.find(client.webrtc_id, client.secret).transport
    [sender] = [each for each in transport._pc.getSenders() if each.track is not None]  # noqa: SLF001
    return client, sender


def codec_of(client: Client) -> list[str]:
    """The codecs of the answer, the one in use first."""
    [video] = [
        each
        for each in SessionDescription.parse(client.answer["sdp"]).media
        if each.kind == "video"
    ]
    return list(dict.fromkeys(each.name for each in video.rtp.codecs if each.name != "rtx"))


@pytest.mark.parametrize("make", [component, stream])
@pytest.mark.parametrize(
    ("preferences", "order"),
    [
        (None, ["VP8", "H264"]),
        (["H264"], ["H264", "VP8"]),
        (["video/h264", "video/vp8"], ["H264", "VP8"]),
        (["VP8"], ["VP8", "H264"]),
    ],
)
async def test_the_preferred_codec_is_negotiated_and_frames_come_back_in_it(
    make: Any, preferences: Sequence[str] | None, order: list[str]
) -> None:
    client, sender = await call(make(codec_preferences=preferences), 3)
    encoder = sender._RTCRtpSender__encoder  # noqa: SLF001
    await client.hang_up()
    assert codec_of(client) == order
    assert order[0].lower() in type(encoder).__name__.lower()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_bit_rate_is_obeyed(codec: str) -> None:
    """Bytes of RTP by the frames' own clock, so that a slow machine makes no difference."""
    webrtc = component(video_bitrate=(150_000, 150_000, 150_000), codec_preferences=[codec])
    client, sender = await call(webrtc, 15, Camera(take=noisy))
    track: VideoSender = sender.track
    assert track.plan.bits == 150_000
    sent = sender._RTCRtpSender__octet_count  # noqa: SLF001
    begin = client.video_frames[-1][0]
    await client.until(lambda: client.video_frames[-1][0] - begin >= 3 * 90_000)
    bits = 8 * (sender._RTCRtpSender__octet_count - sent)  # noqa: SLF001
    seconds = (client.video_frames[-1][0] - begin) / 90_000
    await client.hang_up()
    assert 75_000 < bits / seconds < 225_000


async def test_a_client_that_reports_less_gets_less_and_smaller_frames() -> None:
    client, sender = await call(component(), 10, Camera(take=noisy))
    track: VideoSender = sender.track
    assert client.video_frames[-1][1].shape == (480, 640, 3)
    # As a report of the client would; its own are over what it has.
    track.plan._estimate = 60_000  # noqa: SLF001
    track.plan.estimate = lambda bits: None  # type: ignore[method-assign]  # noqa: ARG005
    await client.until(lambda: client.video_frames[-1][1].shape[0] < 480)
    width, height = track.plan.fit(640, 480)
    await client.until(lambda: client.video_frames[-1][1].shape == (height, width, 3))
    await client.hang_up()
    assert track.plan.bits == 60_000

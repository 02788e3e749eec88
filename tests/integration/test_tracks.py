"""Tracks of an offer are taken, declined or refused, and our own encoder gets a bit rate."""

from __future__ import annotations

import numpy as np
from support.client import Client
from support.video_calls import client_of, finish, serve_video, transport_of

from gradio_webrtc._transport.webrtc.video_plan import suitable_bitrate


async def test_the_encoder_gets_the_bits_that_suit_the_frame() -> None:
    manager = serve_video(lambda image: np.repeat(np.repeat(image, 2, axis=0), 2, axis=1))
    client = client_of(manager)
    await client.call()
    await client.until(lambda: len(client.video_frames) >= 3)
    [sender] = transport_of(manager, client)._pc.getSenders()  # noqa: SLF001
    encoder = sender._RTCRtpSender__encoder  # type: ignore[attr-defined]  # noqa: SLF001
    await finish(manager, client)
    assert encoder.target_bitrate == suitable_bitrate(640, 480)


async def test_a_track_of_another_kind_is_refused_in_the_words_of_fastrtc() -> None:
    manager = serve_video(lambda image: image)
    client = Client(manager, modality="audio-video")
    refusal = await client.call()
    await client.hang_up()
    assert refusal == {
        "status": "failed",
        "meta": {
            "error": "invalid_offer",
            "message": "Unsupported track kind 'audio' for modality 'video'",
        },
    }
    assert len(manager) == 0


async def test_a_track_of_another_kind_may_be_let_in_and_is_declined() -> None:
    manager = serve_video(lambda image: image, allows_other_tracks=True)
    client = Client(manager, modality="audio-video")
    await client.call()
    await client.until(lambda: len(client.video_frames) >= 5)
    directions = {each.kind: each.currentDirection for each in client.pc.getTransceivers()}
    await finish(manager, client)
    assert directions == {"audio": "inactive", "video": "sendrecv"}

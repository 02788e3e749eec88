"""Which tracks of an offer are taken, declined or refused, and what our own encoder gets."""

from __future__ import annotations

import numpy as np
from support.caller import Caller
from support.video_calls import caller_of, finish, serve_video, transport_of

from gradio_webrtc._transport.webrtc.video import suitable_bitrate


async def test_the_encoder_gets_the_bits_that_suit_the_picture() -> None:
    registry = serve_video(lambda image: np.repeat(np.repeat(image, 2, axis=0), 2, axis=1))
    caller = caller_of(registry)
    await caller.call()
    await caller.until(lambda: len(caller.seen) >= 3)
    [sender] = transport_of(registry, caller)._pc.getSenders()  # noqa: SLF001
    encoder = sender._RTCRtpSender__encoder  # type: ignore[attr-defined]  # noqa: SLF001
    await finish(registry, caller)
    assert encoder.target_bitrate == suitable_bitrate(640, 480)


async def test_a_track_of_another_kind_is_refused_in_the_predecessors_words() -> None:
    registry = serve_video(lambda image: image)
    caller = Caller(registry, modality="audio-video")
    refusal = await caller.call()
    await caller.hang_up()
    assert refusal == {
        "status": "failed",
        "meta": {
            "error": "invalid_offer",
            "message": "Unsupported track kind 'audio' for modality 'video'",
        },
    }
    assert len(registry) == 0


async def test_a_track_of_another_kind_may_be_let_in_and_is_declined() -> None:
    registry = serve_video(lambda image: image, allows_other_tracks=True)
    caller = Caller(registry, modality="audio-video")
    await caller.call()
    await caller.until(lambda: len(caller.seen) >= 5)
    directions = {each.kind: each.currentDirection for each in caller.pc.getTransceivers()}
    await finish(registry, caller)
    assert directions == {"audio": "inactive", "video": "sendrecv"}

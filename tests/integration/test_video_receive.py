"""Video frames of a generator over a real connection, in mode "receive"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.frames import number_of, numbered
from support.video_calls import client_of, finish, serve_video

from gradio_webrtc import AdditionalOutputs, VideoStreamHandler, WebRTCError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.mark.parametrize("fps", [None, 15])
async def test_a_recording_is_seen_in_full_at_its_rate_and_ends_quietly(fps: int | None) -> None:
    calls = []

    def generation() -> Iterator[Any]:
        calls.append(())
        for number in range(45):
            yield numbered(number)
        yield None

    manager = serve_video(VideoStreamHandler(generation, fps=fps) if fps else generation, "receive")
    first, second = client_of(manager, "receive"), client_of(manager, "receive")
    for client in (first, second):
        await client.call()
        await client.ended.wait()
        await client.closed.wait()
        await finish(manager, client)
        assert [number_of(frame) for _, frame in client.video_frames] == list(range(45))
        assert [m["type"] for m in client.messages] == ["send_input", "end_stream"], "no error"
        assert client.messages[-1]["data"] == "", "no words"
        pts = [pts for pts, _ in client.video_frames]
        total = 44 * 90_000 // (fps or 30)
        # Where this machine was busy for a moment the recording was late, never early.
        assert total - 5 <= pts[-1] - pts[0]
        assert np.median(np.diff(pts)) == pytest.approx(90_000 / (fps or 30), abs=3)
    assert calls == [(), ()]


async def test_a_generator_of_frames_is_never_far_ahead_of_the_client() -> None:
    ahead: list[int] = []

    async def generation(count: int) -> AsyncIterator[Any]:
        for number in range(count):
            ahead.append(number - len(client.video_frames))
            yield numbered(number), AdditionalOutputs(number)

    manager = serve_video(generation, "receive")
    manager.has_outputs = True
    client = client_of(manager, "receive", inputs=[30])
    await client.call()
    await client.ended.wait()
    await finish(manager, client)
    assert max(ahead) <= 8
    assert client.outputs == [(number,) for number in range(30)]


async def test_an_error_in_a_generator_of_frames_is_reported_and_ends_the_stream() -> None:
    def generation() -> Iterator[Any]:
        yield numbered(1)
        raise WebRTCError("the film tore")

    manager = serve_video(generation, "receive")
    client = client_of(manager, "receive")
    await client.call()
    await client.ended.wait()
    await finish(manager, client)
    assert [m["data"] for m in client.messages] == [[], "the film tore", ""]

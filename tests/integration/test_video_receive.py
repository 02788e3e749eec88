"""Pictures of a generator over a real connection, in mode "receive"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.pictures import number_of, numbered
from support.video_calls import caller_of, finish, serve_video

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

    registry = serve_video(
        VideoStreamHandler(generation, fps=fps) if fps else generation, "receive"
    )
    first, second = caller_of(registry, "receive"), caller_of(registry, "receive")
    for caller in (first, second):
        await caller.call()
        await caller.ended.wait()
        await caller.closed.wait()
        await finish(registry, caller)
        assert [number_of(picture) for _, picture in caller.seen] == list(range(45))
        assert [m["data"] for m in caller.messages] == [""], "no error, no words"
        pts = [pts for pts, _ in caller.seen]
        total = 44 * 90_000 // (fps or 30)
        # Where this machine was busy for a moment the recording was late, never early.
        assert total - 5 <= pts[-1] - pts[0]
        assert np.median(np.diff(pts)) == pytest.approx(90_000 / (fps or 30), abs=3)
    assert calls == [(), ()]


async def test_a_generator_of_pictures_is_never_far_ahead_of_the_eye() -> None:
    ahead: list[int] = []

    async def generation(count: int) -> AsyncIterator[Any]:
        for number in range(count):
            ahead.append(number - len(caller.seen))
            yield numbered(number), AdditionalOutputs(number)

    registry = serve_video(generation, "receive")
    registry.has_outputs = True
    caller = caller_of(registry, "receive", inputs=[30])
    await caller.call()
    await caller.ended.wait()
    await finish(registry, caller)
    assert max(ahead) <= 8
    assert caller.outputs == [(number,) for number in range(30)]


async def test_an_error_in_a_generator_of_pictures_is_told_and_ends_the_stream() -> None:
    def generation() -> Iterator[Any]:
        yield numbered(1)
        raise WebRTCError("the film tore")

    registry = serve_video(generation, "receive")
    caller = caller_of(registry, "receive")
    await caller.call()
    await caller.ended.wait()
    await finish(registry, caller)
    assert [m["data"] for m in caller.messages] == ["the film tore", ""]

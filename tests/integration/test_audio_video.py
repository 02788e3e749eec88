"""Handlers with audio and video, as users of gradio_webrtc and fastrtc wrote them."""

from __future__ import annotations

import asyncio
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.client import Client
from support.frames import colour_of, number_of, numbered
from support.serving import SessionServer
from support.signals import pitch_hz, tone
from support.video_calls import finish, is_growing

from gradio_webrtc import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AudioVideoStreamHandler,
    CloseStream,
    wait_for_item,
)
from gradio_webrtc._ui.streaming import make_template
from gradio_webrtc._workers.workers import orphaned_jobs

if TYPE_CHECKING:
    from gradio_webrtc.types import Modality, Mode

Audio = tuple[int, NDArray[np.int16]]
VideoFrame = NDArray[np.uint8]


class SilentMirror(AudioVideoStreamHandler):
    """As gradio_webrtc asked for it: only the video methods and copy. Its emit blocks for good."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: Queue[VideoFrame] = Queue()

    def video_receive(self, frame: VideoFrame) -> None:
        self.frames.put(frame[:, ::-1])

    def video_emit(self) -> VideoFrame:
        return self.frames.get()

    def copy(self) -> SilentMirror:
        return SilentMirror()


class SpeakingMirror(SilentMirror):
    """As fastrtc asked for it: all four, sync."""

    def __init__(self) -> None:
        super().__init__()
        self.chunks: Queue[Audio] = Queue()

    def receive(self, frame: Audio) -> None:
        self.chunks.put(frame)

    def emit(self) -> Audio:
        return self.chunks.get()

    def copy(self) -> SpeakingMirror:
        return SpeakingMirror()


class AsyncMirror(AsyncAudioVideoStreamHandler):
    """The same with coroutines, and the short waits of fastrtc's Gemini example."""

    def __init__(self) -> None:
        super().__init__("mono", 24_000, 480, input_sample_rate=16_000)
        self.chunks: asyncio.Queue[Audio] = asyncio.Queue()
        self.frames: asyncio.Queue[VideoFrame] = asyncio.Queue()

    async def receive(self, frame: Audio) -> None:
        self.chunks.put_nowait(frame)

    async def emit(self) -> Audio | None:
        return await wait_for_item(self.chunks, 0.01)

    async def video_receive(self, frame: VideoFrame) -> None:
        self.frames.put_nowait(frame[:, ::-1])

    async def video_emit(self) -> VideoFrame | None:
        return await wait_for_item(self.frames, 0.01)

    def copy(self) -> AsyncMirror:
        return AsyncMirror()


def serve(handler: Any, modality: Modality = "audio-video", **service: Any) -> SessionServer:
    manager = SessionServer()
    mode: Mode = service.get("mode", "send-receive")
    template = make_template(handler, mode, modality)
    manager.serve(template.copy, modality=modality, **service)
    manager.has_outputs = True
    return manager


async def until_no_job_is_left() -> None:
    """Waits until the blocked emits have left their threads, which the end of the session wakes."""
    async with asyncio.timeout(60):
        while orphaned_jobs():  # noqa: ASYNC110 - the package has no event for it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("handler", [SpeakingMirror, AsyncMirror])
async def test_audio_and_video_come_back_side_by_side(handler: Any) -> None:
    manager = serve(handler())
    client = Client(manager, tone(30.0, 600), modality="audio-video")
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 1.0 and len(client.video_frames) >= 25)
    await finish(manager, client)
    loud = np.concatenate(
        [samples for _, samples in client.audio_frames if np.abs(samples).max() > 200]
    )
    assert pitch_hz(loud, 48_000) == pytest.approx(600, abs=8)
    numbers = [number_of(frame[:, ::-1]) for _, frame in client.video_frames]
    assert is_growing(numbers)
    assert is_growing([pts for pts, _ in client.video_frames])
    await until_no_job_is_left()


@pytest.mark.parametrize("modality", ["video", "audio-video"])
async def test_a_handler_of_video_alone_sends_no_audio(modality: Modality) -> None:
    manager = serve(SilentMirror(), modality)
    client = Client(manager, tone(30.0, 600), modality=modality)
    await client.call()
    await client.until(lambda: len(client.video_frames) >= 20)
    await finish(manager, client)
    assert is_growing([number_of(frame[:, ::-1]) for _, frame in client.video_frames])
    assert client.audio_frames == []
    assert client.messages == []


class Eager(SilentMirror):
    """Always has a frame at once, as handlers that fill gaps with a placeholder do."""

    fps_of_test = 10

    def __init__(self) -> None:
        super().__init__()
        self.fps = self.fps_of_test
        self.number = 0

    def video_receive(self, frame: VideoFrame) -> None:
        pass

    def video_emit(self) -> Any:
        self.number += 1
        if self.number == 20:
            return numbered(self.number), CloseStream("twenty")
        return numbered(self.number), AdditionalOutputs(self.number)

    def copy(self) -> Eager:
        return Eager()


async def test_a_handler_that_always_has_a_frame_is_held_to_its_rate() -> None:
    manager = serve(Eager(), "video")
    client = Client(manager, modality="video")
    await client.call()
    await client.closed.wait()
    await finish(manager, client)
    numbers = [number_of(frame) for _, frame in client.video_frames]
    steps = np.diff([pts for pts, _ in client.video_frames])[:18]
    assert numbers[:20] == list(range(1, 21))
    # A tenth above its rate is allowed for, so that an echo of a camera keeps up with it.
    assert steps.min() >= 90_000 / 11 - 3
    assert client.outputs == [(number,) for number in range(1, 20)]
    assert client.messages[-1]["data"] == "twenty"


class Clumsy(SilentMirror):
    """Fails on both sides now and then."""

    def video_receive(self, frame: VideoFrame) -> None:
        if number_of(frame) % 5 == 2:
            raise ValueError("internal: cannot see this")
        super().video_receive(frame)

    def video_emit(self) -> Any:
        frame = super().video_emit()
        return "no frame" if number_of(frame[:, ::-1]) % 5 == 4 else frame

    def copy(self) -> Clumsy:
        return Clumsy()


async def test_errors_on_either_side_are_reported_once_and_the_session_goes_on() -> None:
    manager = serve(Clumsy(), "video")
    client = Client(manager, modality="video")
    await client.call()
    await client.until(lambda: len(client.video_frames) >= 20)
    await finish(manager, client)
    errors = [message["data"] for message in client.messages if message["type"] == "error"]
    assert len(errors) == 2
    assert "internal" not in str(errors)
    assert {number_of(frame[:, ::-1]) % 5 for _, frame in client.video_frames} == {0, 1, 3}


async def test_a_handler_shows_and_speaks_in_mode_receive() -> None:
    class Clip(AsyncAudioVideoStreamHandler):
        has_spoken = False

        async def emit(self) -> Any:
            if self.has_spoken:
                await asyncio.Event().wait()
            self.has_spoken = True
            return (24_000, tone(0.5, self.latest_args[1], 24_000))

        async def video_receive(self, frame: VideoFrame) -> None:
            raise AssertionError(f"nobody is seen in this mode, but {frame.shape} came")

        async def video_emit(self) -> Any:
            return numbered(7, colour=(30, 200, 30))

        def copy(self) -> Clip:
            return Clip()

    manager = serve(Clip(), mode="receive")
    client = Client(manager, inputs=[700], mode="receive", modality="audio-video")
    await client.call()
    await client.until(lambda: client.loud_seconds() >= 0.48 and len(client.video_frames) >= 5)
    await finish(manager, client)
    assert colour_of(client.video_frames[-1][1]) == pytest.approx((30, 200, 30), abs=12)
    assert [message["type"] for message in client.messages] == ["send_input"]

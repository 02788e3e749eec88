"""The pumps that a session has: those of its mode, its modality and its handler."""

from __future__ import annotations

import asyncio
import queue
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.transports import Line

from gradio_webrtc import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    StreamHandler,
    VideoStreamHandler,
)
from gradio_webrtc._config import SessionConfig
from gradio_webrtc._handlers import VideoFunction, VideoGenerator
from gradio_webrtc._session.buffers import OutboundAudioBuffer, OutboundVideoBuffer
from gradio_webrtc._session.context import SessionContext
from gradio_webrtc._session.media import WORKERS, SessionMedia
from gradio_webrtc._session.messages import MessageSender
from gradio_webrtc._session.output_queue import OutputQueue
from gradio_webrtc._session.sinks import EmitSinks
from gradio_webrtc._workers.workers import Worker

if TYPE_CHECKING:
    from gradio_webrtc._handlers import StreamHandlerBase
    from gradio_webrtc._transport import AudioFrameSource, VideoFrameSource
    from gradio_webrtc._workers.watchdog import Expect


class PlayingLine(Line):
    """Notes what it is asked to send."""

    def __init__(self) -> None:
        super().__init__()
        self.plays: list[str] = []

    def play_audio(self, source: AudioFrameSource) -> None:
        self.plays.append("audio")
        super().play_audio(source)

    def play_video(self, source: VideoFrameSource) -> None:
        self.plays.append("video")
        super().play_video(source)


class Audio(AsyncStreamHandler):
    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        return None

    def copy(self) -> Audio:
        return Audio()


class AudioVideo(AsyncAudioVideoStreamHandler):
    async def receive(self, frame: Any) -> None: ...

    async def emit(self) -> None:
        return None

    async def video_receive(self, frame: Any) -> None: ...

    async def video_emit(self) -> None:
        return None

    def copy(self) -> AudioVideo:
        return AudioVideo()


class Echo(StreamHandler):
    """Waits inside ``emit`` for what ``receive`` gets, as plain programs do."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: queue.Queue[Any] = queue.Queue()

    def receive(self, frame: Any) -> None:
        self.frames.put(frame)

    def emit(self) -> Any:
        return self.frames.get()

    def copy(self) -> Echo:
        return Echo()


class Made:
    """The media of one session, and the workers that were made for it."""

    def __init__(self, handler: StreamHandlerBase, **terms: Any) -> None:
        config = SessionConfig(**terms)
        self.transport = PlayingLine()
        self.workers: list[tuple[str, str, Expect]] = []
        buffer = OutboundAudioBuffer()
        sender = MessageSender(self.transport.send_text)
        context = SessionContext("0123456789", buffer, sender, lambda *_: None)
        handler.bind(context)
        sinks = EmitSinks(
            buffer,
            OutboundVideoBuffer(),
            config.client_receives,
            OutputQueue(lambda: None),
            lambda *_: None,
        )
        self.media = SessionMedia(handler, context, self.transport, config, sinks, self._work)

    def _work(self, name: str, owner: str, expect: Expect) -> Worker:
        self.workers.append((name, owner, expect))
        return Worker(name, owner, expect)

    @property
    def pumps(self) -> tuple[int, int]:
        return len(self.media.inbound), len(self.media.outbound)


def frames() -> Any:
    yield np.zeros((32, 32, 3), np.uint8)


def function_of_frames() -> VideoFunction:
    return VideoFunction(VideoStreamHandler(abs), takes_inputs=False)


def generator_of_frames() -> VideoGenerator:
    return VideoGenerator(VideoStreamHandler(frames))


@pytest.mark.parametrize(
    ("make", "mode", "modality", "pumps", "plays"),
    [
        (Audio, "send-receive", "audio", (2, 1), ["audio"]),
        (Audio, "send", "audio", (2, 1), []),
        (Audio, "receive", "audio", (0, 1), ["audio"]),
        (AudioVideo, "send-receive", "audio-video", (3, 2), ["audio", "video"]),
        (AudioVideo, "send", "audio-video", (3, 2), []),
        (AudioVideo, "receive", "audio-video", (0, 2), ["audio", "video"]),
        (AudioVideo, "send-receive", "audio", (2, 1), ["audio"]),
        (AudioVideo, "send-receive", "video", (1, 1), ["video"]),
        (
            function_of_frames,
            "send-receive",
            "video",
            (1, 0),
            ["video"],
        ),
        (function_of_frames, "send", "video", (1, 0), []),
        (generator_of_frames, "receive", "video", (0, 1), ["video"]),
    ],
)
async def test_the_pumps_are_those_of_the_media_and_the_handler(
    make: Any, mode: Any, modality: Any, pumps: tuple[int, int], plays: list[str]
) -> None:
    made = Made(make(), mode=mode, modality=modality)
    assert (made.pumps, made.transport.plays) == (pumps, plays)
    assert (made.media.audio is None) == (mode == "receive" or modality == "video")


async def test_each_kind_of_blocking_code_has_a_thread_of_its_own() -> None:
    made = Made(Audio())
    assert made.workers == [
        (f"{task}-01234567", "Audio", expect) for task, expect in WORKERS.items()
    ]


async def test_an_emit_that_waits_for_input_returns_at_the_end() -> None:
    made = Made(handler := Echo())
    emitting = asyncio.ensure_future(made.media.emit_worker.run(handler.emit))  # noqa: TID251 - the test is its owner
    while not made.media.emit_worker.is_busy:  # noqa: ASYNC110 - the thread is about to begin
        await asyncio.sleep(0.001)
    await made.media.unblock()
    rate_hz, samples = await emitting
    assert rate_hz == handler.input_sample_rate
    assert not samples.any()
    made.media.close_workers()
    made.media.receive_worker.close()


async def test_a_receive_that_blocks_as_well_is_left_to_itself() -> None:
    class Blocked(Echo):
        def receive(self, frame: Any) -> None:
            time.sleep(0.2)
            super().receive(frame)

    made = Made(handler := Blocked())
    emitting = asyncio.ensure_future(made.media.emit_worker.run(handler.emit))  # noqa: TID251 - the test is its owner
    while not made.media.emit_worker.is_busy:  # noqa: ASYNC110 - the thread is about to begin
        await asyncio.sleep(0.001)
    begin_s = time.monotonic()
    await made.media.unblock(0.01)
    assert time.monotonic() - begin_s < 0.19
    handler.frames.put("late")
    assert await emitting == "late"
    made.media.close_workers()
    made.media.receive_worker.close()


async def test_without_a_blocked_emit_nothing_is_sent_to_the_handler() -> None:
    made = Made(handler := Echo())
    await made.media.unblock()
    assert handler.frames.empty()


async def test_a_handler_that_is_kept_keeps_no_pumps() -> None:
    made = Made(AudioVideo(), modality="audio-video")
    made.media.release()
    assert made.pumps == (0, 0)
    assert made.media.audio is None

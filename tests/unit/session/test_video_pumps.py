"""Video between a client and a handler, without a network: a function of frames, and pacing."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.clock import run_virtual
from support.fake_session import FakeSession
from support.frames import colour_of, number_of, numbered

from gradio_webrtc import VideoStreamHandler
from gradio_webrtc._handlers import VideoFunction
from gradio_webrtc._session.buffers import OutboundAudioBuffer, OutboundVideoBuffer
from gradio_webrtc._session.output_queue import OutputQueue
from gradio_webrtc._session.sinks import EmitSinks
from gradio_webrtc._session.video_pumps import FramePacer, VideoFunctionPump
from gradio_webrtc._transport import FrameRateLimiter, PixelConverter, TimedFrame
from gradio_webrtc._transport.frame import fit
from gradio_webrtc._workers.workers import Worker
from gradio_webrtc.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradio_webrtc.types import FrameFormat


class Film:
    """A transport whose client sends one frame after the other and leaves."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], fps: int = 30) -> None:
        pixels = PixelConverter()
        self._frames = [
            TimedFrame(index * 90_000 // fps, pixels.to_planar(image))
            for index, image in enumerate(images)
        ]

    async def receive_video_frame(self) -> TimedFrame:
        if not self._frames:
            raise ConnectionLost("the film is over")
        return self._frames.pop(0)


async def show(
    video: VideoStreamHandler,
    film: Film,
    *,
    inputs: Sequence[Any] | None = None,
    frame_format: FrameFormat = "bgr",
    plays: bool = True,
) -> tuple[list[NDArray[np.uint8]], FakeSession]:
    """Everything that a client would receive of a film sent through a function."""
    video_buffer, session, worker = OutboundVideoBuffer(), FakeSession(), Worker("film")
    sinks = EmitSinks(
        OutboundAudioBuffer(), video_buffer, plays, OutputQueue(lambda: None), lambda _reason: None
    )
    handler = VideoFunction(video, takes_inputs=inputs is not None)
    handler.bind(session)
    handler.start_up()
    if inputs:
        handler.set_args(list(inputs))
    seen = []
    pixels = PixelConverter()

    async def look() -> None:
        while True:
            seen.append(pixels.to_array((await video_buffer.next_frame()).frame))

    looking = asyncio.get_running_loop().create_task(look())
    pump = VideoFunctionPump(film, handler, session, sinks, worker, frame_format)  # type: ignore[arg-type]
    with pytest.raises(ConnectionLost):
        await pump.run()
    await asyncio.sleep(0)
    looking.cancel()
    worker.close()
    return seen, session


class Encoder:
    """Takes frames from a buffer, one in so many rounds of the loop: far slower than they come."""

    def __init__(self, video_buffer: OutboundVideoBuffer) -> None:
        self.sent: list[int] = []
        self._buffer = video_buffer
        self._pixels = PixelConverter()

    async def run(self) -> None:
        while True:
            timed = await self._buffer.next_frame()
            self.sent.append(number_of(self._pixels.to_array(timed.frame)))
            for _ in range(200):
                await asyncio.sleep(0)


async def call_beside(encoder_is_slow: bool, fps: float = math.inf) -> tuple[list[int], list[int]]:  # noqa: FBT001  # one of two scenes
    """The frames that an async function was called for, and those that were sent."""
    called: list[int] = []
    video_buffer, session, worker = OutboundVideoBuffer(), FakeSession(), Worker("film")
    video_buffer.limit_fps(fps)

    async def look(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        called.append(number_of(image))
        return image

    sinks = EmitSinks(
        OutboundAudioBuffer(),
        video_buffer,
        plays=True,
        outputs=OutputQueue(lambda: None),
        end=lambda _reason: None,
    )
    handler = VideoFunction(VideoStreamHandler(look), takes_inputs=False)
    handler.bind(session)
    handler.start_up()
    encoder = Encoder(video_buffer)
    encoding = asyncio.get_running_loop().create_task(encoder.run()) if encoder_is_slow else None
    film = Film([numbered(number, 64, 64) for number in range(30)])
    pump = VideoFunctionPump(film, handler, session, sinks, worker, "bgr")  # type: ignore[arg-type]
    with pytest.raises(ConnectionLost):
        await pump.run()
    if encoding is not None:
        await video_buffer.drain()
        encoding.cancel()
    worker.close()
    return called, encoder.sent


async def test_a_function_is_not_called_for_frames_that_the_encoder_has_no_time_for() -> None:
    called, sent = await call_beside(encoder_is_slow=True)
    assert len(sent) == len(called)
    assert sent == called


async def test_a_function_is_called_for_every_frame_where_nobody_reads_what_it_returns() -> None:
    called, _ = await call_beside(encoder_is_slow=False)
    assert called == list(range(30))


async def test_a_function_is_called_as_often_as_frames_are_sent() -> None:
    called, _ = await call_beside(encoder_is_slow=False, fps=10)
    assert len(called) == pytest.approx(10, abs=1)
    assert called == sorted(set(called))


ORANGE = (30, 120, 230)


async def test_red_comes_first_for_those_who_ask_for_it() -> None:
    got = []

    def look(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        got.append(colour_of(image))
        image[:, :, 0] = 0
        return image

    film = Film([numbered(1, colour=ORANGE)])
    [seen], _ = await show(VideoStreamHandler(look), film, frame_format="rgb")
    assert got == [pytest.approx(ORANGE[::-1], abs=6)]
    assert colour_of(seen) == pytest.approx((30, 120, 0), abs=8)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_of_frames_gets_the_id_of_the_session(is_async: bool) -> None:  # noqa: FBT001
    got: list[Any] = []

    def look(image: NDArray[np.uint8], webrtc_id: str, scale: int) -> NDArray[np.uint8]:
        got.append((webrtc_id, scale))
        return image

    async def look_async(image: NDArray[np.uint8], scale: int, *, webrtc_id: str = "") -> Any:
        return look(image, webrtc_id, scale)

    video = VideoStreamHandler(look_async if is_async else look)
    seen, session = await show(video, Film([numbered(1)]), inputs=[7])
    assert session.errors == []
    assert len(seen) == 1
    assert got == [(session.webrtc_id, 7)]


async def test_more_than_full_hd_is_scaled_down_before_the_function() -> None:
    # As a camera gives it: the codec's form, in its full size.
    film = Film([])
    large = PixelConverter()
    frame = large.to_planar(numbered(9)).frame.reformat(width=2800, height=1600)
    film._frames = [TimedFrame(0, type(large.to_planar(numbered(9)))(frame))]  # noqa: SLF001
    shapes = []

    def look(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        shapes.append(image.shape)
        return image

    [seen], _ = await show(VideoStreamHandler(look), film)
    width, height = fit(2800, 1600)
    assert shapes == [(height, width, 3)]
    assert seen.shape == (height, width, 3)
    assert number_of(seen) == 9


@pytest.mark.parametrize(("fps", "calls"), [(30, 60), (10, 20), (60, 120)])
async def test_a_function_is_called_no_more_often_than_its_rate(fps: int, calls: int) -> None:
    got = []

    def look(image: NDArray[np.uint8]) -> None:
        got.append(number_of(image))

    film = Film([numbered(number, 64, 32) for number in range(120)], fps=60)
    await show(VideoStreamHandler(look, fps=fps), film)
    assert len(got) == pytest.approx(calls, abs=1)
    assert got == sorted(set(got))


async def test_inputs_are_asked_for_once_and_frames_pass_until_they_come() -> None:
    def never(*_: Any) -> None:
        raise AssertionError("called without its inputs")

    seen, session = await show(VideoStreamHandler(never), Film([numbered(3)]), inputs=())
    assert [number_of(image) for image in seen] == [3]
    assert session.requests == 1
    assert session.errors == []


async def test_inputs_come_behind_the_frame_in_their_order() -> None:
    got = []

    def look(_image: Any, *values: Any) -> None:
        got.append(values)

    await show(VideoStreamHandler(look), Film([numbered(1)]), inputs=[0.5, "text"])
    assert got == [(0.5, "text")]


async def test_where_nobody_looks_nothing_is_shown_or_converted() -> None:
    seen, session = await show(
        VideoStreamHandler(lambda _image: "no frame at all"), Film([numbered(1)]), plays=False
    )
    assert seen == []
    assert session.errors == []


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_is_above_nothing(fps: float) -> None:
    with pytest.raises(ValueError, match="fps is a number above 0"):
        VideoStreamHandler(print, fps=fps)


def test_a_clock_that_catches_up_keeps_a_recordings_speed() -> None:
    async def scene() -> None:
        clock = FramePacer(25, catches_up=True)
        times = []
        for work_s in (0, 0.01, 0.1, 0, 0, 0.01):
            await asyncio.sleep(work_s)
            times.append(await clock.wait())
        assert times == [0, 3600, 7200, 10_800, 14_400, 18_000]

    run_virtual(scene())


def test_a_long_delay_shows_as_a_gap_and_not_as_a_burst() -> None:
    async def scene() -> None:
        clock = FramePacer(25, catches_up=True)
        first = await clock.wait()
        await asyncio.sleep(2)
        times = [await clock.wait() for _ in range(3)]
        assert [first, *times] == [0, 180_000, 183_600, 187_200]

    run_virtual(scene())


def test_a_clock_that_does_not_catch_up_goes_with_its_frames() -> None:
    async def scene() -> None:
        clock = FramePacer(25, catches_up=False)
        times = []
        for work_s in (0, 0, 0.06, 0.05, 0):
            await asyncio.sleep(work_s)
            times.append(await clock.wait())
        # Never closer than 40 ms, and never behind what it shows.
        assert times == [0, 3600, 9000, 13_500, 17_100]

    run_virtual(scene())


@pytest.mark.parametrize(("camera_fps", "limit_fps"), [(60, 30), (50, 30), (30, 15), (90, 30)])
def test_more_than_the_rate_does_not_get_through(camera_fps: int, limit_fps: int) -> None:
    limit = FrameRateLimiter(limit_fps)
    seconds = 20
    admitted = sum(limit.admits(i * 90_000 // camera_fps) for i in range(seconds * camera_fps))
    assert admitted == pytest.approx(seconds * limit_fps, rel=0.02)


@pytest.mark.parametrize("camera_fps", [5, 24, 29.97, 30])
def test_all_of_a_trembling_camera_within_the_rate_gets_through(camera_fps: float) -> None:
    limit = FrameRateLimiter(30)
    tremble = np.random.default_rng(7).integers(-700, 700, 600)
    times = [round(i * 90_000 / camera_fps) + int(each) for i, each in enumerate(tremble)]
    assert all(limit.admits(pts) for pts in times)

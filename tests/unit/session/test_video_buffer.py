"""What a caller is about to see, the clock it goes by, and how many pictures get through."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc._session import buffers
from gradio_webrtc._session.buffers import OutboundVideoBuffer
from gradio_webrtc._session.video_pumps import FramePacer, FrameRateLimiter
from gradio_webrtc._transport import PixelConverter, PlanarFrame


def picture() -> PlanarFrame:
    return PixelConverter().to_planar(np.zeros((16, 16, 3), np.uint8))


async def test_the_newest_takes_the_place_of_what_was_not_sent() -> None:
    shown = OutboundVideoBuffer()
    first, second = picture(), picture()
    shown.show(0, first)
    shown.show(3000, second)
    assert await shown.next_frame() == (3000, second)
    assert shown.replaced == 1


async def test_every_picture_that_is_put_is_sent() -> None:
    shown = OutboundVideoBuffer()
    pictures = [picture() for _ in range(3)]

    async def put() -> None:
        for index, each in enumerate(pictures):
            await shown.put(index * 3000, each)

    putting = asyncio.get_running_loop().create_task(put())
    sent = [await shown.next_frame() for _ in pictures]
    await putting
    assert sent == [(0, pictures[0]), (3000, pictures[1]), (6000, pictures[2])]
    assert shown.replaced == 0


async def test_times_always_grow() -> None:
    shown = OutboundVideoBuffer()
    times = []
    for pts in (500, 500, 400, 90_000):
        shown.show(pts, picture())
        times.append((await shown.next_frame()).pts)
    assert times == [500, 501, 502, 90_000]


def test_a_picture_that_stands_is_sent_again_once_a_second() -> None:
    async def scene() -> None:
        shown = OutboundVideoBuffer()
        loop = asyncio.get_running_loop()
        still = picture()
        shown.show(0, still)
        got = [(await shown.next_frame(), loop.time()) for _ in range(3)]
        begin = got[0][1]
        assert [(sent.pts, at - begin) for sent, at in got] == [
            (0, 0),
            (90_000, pytest.approx(1)),
            (180_000, pytest.approx(2)),
        ]
        assert {id(sent.frame) for sent, _ in got} == {id(still)}

    run_virtual(scene())


def test_an_empty_screen_wakes_nobody() -> None:
    async def scene() -> None:
        shown = OutboundVideoBuffer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await shown.next_frame()

    run_virtual(scene())


async def test_the_last_picture_is_sent_twice_at_the_end() -> None:
    shown = OutboundVideoBuffer()
    only = picture()
    shown.show(0, only)
    finishing = asyncio.get_running_loop().create_task(shown.finish())
    assert await shown.next_frame() == (0, only)
    assert await shown.next_frame() == (3000, only)
    await finishing


def test_an_end_that_nobody_looks_at_is_not_waited_for() -> None:
    async def scene() -> None:
        shown = OutboundVideoBuffer()
        shown.show(0, picture())
        await shown.finish()
        assert asyncio.get_running_loop().time() == pytest.approx(buffers.FINISH_TIMEOUT_S)

    run_virtual(scene())


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


def test_a_clock_that_does_not_catch_up_goes_with_its_pictures() -> None:
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

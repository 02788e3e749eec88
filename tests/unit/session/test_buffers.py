"""Outbound audio and video: what was played, and the frames that wait until they are sent."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc._session import buffers
from gradio_webrtc._session.buffers import OutboundAudioBuffer, OutboundVideoBuffer
from gradio_webrtc._transport import PixelConverter, PlanarFrame


def make_frame() -> PlanarFrame:
    return PixelConverter().to_planar(np.zeros((16, 16, 3), np.uint8))


async def test_what_was_pulled_counts_as_played_and_what_was_dropped_does_not() -> None:
    buffer = OutboundAudioBuffer()
    await buffer.write(24_000, np.ones((1, 12_000), np.int16))
    assert (buffer.played_s, buffer.buffered_s) == pytest.approx((0.0, 0.5))
    for _ in range(5):
        assert buffer.pull() is not None
    assert (buffer.played_s, buffer.buffered_s) == pytest.approx((0.1, 0.4))
    buffer.clear()
    assert (buffer.played_s, buffer.buffered_s) == pytest.approx((0.1, 0.0))


async def test_silence_that_pads_a_frame_does_not_count_as_played() -> None:
    buffer = OutboundAudioBuffer()
    for _ in range(10):
        await buffer.write(16_000, np.ones((1, 80), np.int16))
        assert buffer.pull(partial=True) is not None
    assert buffer.played_s == pytest.approx(0.05)


async def test_of_a_chunk_that_waits_for_space_only_the_accepted_part_counts() -> None:
    buffer = OutboundAudioBuffer()
    writing = asyncio.get_running_loop().create_task(
        buffer.write(48_000, np.ones((1, 96_000), np.int16))
    )
    await asyncio.sleep(0)
    assert buffer.pull() is not None
    await asyncio.sleep(0)
    assert buffer.played_s + buffer.buffered_s == pytest.approx(1.02)
    buffer.clear()
    await writing
    assert buffer.played_s == pytest.approx(0.02)


async def test_the_newest_takes_the_place_of_what_was_not_sent() -> None:
    buffer = OutboundVideoBuffer()
    first, second = make_frame(), make_frame()
    buffer.show(0, first)
    buffer.show(3000, second)
    assert await buffer.next_frame() == (3000, second)
    assert buffer.replaced == 1


async def test_every_frame_that_is_put_is_sent() -> None:
    buffer = OutboundVideoBuffer()
    frames = [make_frame() for _ in range(3)]

    async def put() -> None:
        for index, each in enumerate(frames):
            await buffer.put(index * 3000, each)

    putting = asyncio.get_running_loop().create_task(put())
    sent = [await buffer.next_frame() for _ in frames]
    await putting
    assert sent == [(0, frames[0]), (3000, frames[1]), (6000, frames[2])]
    assert buffer.replaced == 0


async def test_times_always_grow() -> None:
    buffer = OutboundVideoBuffer()
    times = []
    for pts in (500, 500, 400, 90_000):
        buffer.show(pts, make_frame())
        times.append((await buffer.next_frame()).pts)
    assert times == [500, 501, 502, 90_000]


def test_a_frame_that_stands_is_sent_again_once_a_second() -> None:
    async def scene() -> None:
        buffer = OutboundVideoBuffer()
        loop = asyncio.get_running_loop()
        still = make_frame()
        buffer.show(0, still)
        got = [(await buffer.next_frame(), loop.time()) for _ in range(3)]
        begin = got[0][1]
        assert [(sent.pts, at - begin) for sent, at in got] == [
            (0, 0),
            (90_000, pytest.approx(1)),
            (180_000, pytest.approx(2)),
        ]
        assert {id(sent.frame) for sent, _ in got} == {id(still)}

    run_virtual(scene())


def test_an_empty_buffer_wakes_nobody() -> None:
    async def scene() -> None:
        buffer = OutboundVideoBuffer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await buffer.next_frame()

    run_virtual(scene())


async def test_the_last_frame_is_sent_twice_at_the_end() -> None:
    buffer = OutboundVideoBuffer()
    only = make_frame()
    buffer.show(0, only)
    finishing = asyncio.get_running_loop().create_task(buffer.finish())
    assert await buffer.next_frame() == (0, only)
    assert await buffer.next_frame() == (3000, only)
    await finishing


def test_an_end_that_nobody_looks_at_is_not_waited_for() -> None:
    async def scene() -> None:
        buffer = OutboundVideoBuffer()
        buffer.show(0, make_frame())
        await buffer.finish()
        assert asyncio.get_running_loop().time() == pytest.approx(buffers.FINISH_TIMEOUT_S)

    run_virtual(scene())

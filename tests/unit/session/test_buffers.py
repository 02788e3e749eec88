"""Outbound audio and video: what was played, and the frames that wait until they are sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc._session import buffers
from gradio_webrtc._session.buffers import OutboundAudioBuffer, OutboundVideoBuffer
from gradio_webrtc._transport import AudioPacer, PixelConverter, PlanarFrame

if TYPE_CHECKING:
    from collections.abc import Coroutine


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


async def test_a_hold_keeps_everything_and_goes_on_a_little_further_back() -> None:
    cleared = []

    def clear() -> float:
        cleared.append(True)
        return 0.1

    buffer = OutboundAudioBuffer(clear, 0.5)
    buffer.allow_holds()
    loop = asyncio.get_running_loop()
    writing = loop.create_task(buffer.write(48_000, np.ones((1, 96_000), np.int16)))
    await asyncio.sleep(0)
    for _ in range(20):
        assert buffer.pull() is not None
    buffer.hold()
    buffer.hold()
    assert (buffer.is_held, cleared) == (True, [True])
    waiting = loop.create_task(buffer.wait_ready())
    await asyncio.sleep(0)
    assert buffer.pull() is buffer.pull(partial=True) is buffer.pull_early() is None
    assert (buffer.played_s, buffer.buffered_s) == pytest.approx((0.4, 1.0))
    assert not waiting.done()
    assert not writing.done()
    buffer.end_reply()
    assert not waiting.done()
    buffer.release()
    await waiting
    # 0.2 s, and what the client has not played.
    assert (buffer.played_s, buffer.buffered_s) == pytest.approx((0.1, 1.3))
    buffer.release()
    assert buffer.buffered_s == pytest.approx(1.3)
    buffer.clear()
    await writing


async def test_a_barge_in_ends_a_hold() -> None:
    buffer = OutboundAudioBuffer()
    buffer.allow_holds()
    await buffer.write(48_000, np.ones((1, 24_000), np.int16))
    buffer.pull()
    buffer.hold()
    buffer.clear()
    assert not buffer.is_held
    await buffer.drain()
    await buffer.write(48_000, np.full((1, 960), 7, np.int16))
    frame = buffer.pull()
    assert frame is not None
    assert frame[0, 0] == 7


async def test_a_reply_that_had_left_the_queue_is_played_on_and_drained_once_more() -> None:
    buffer = OutboundAudioBuffer()
    buffer.allow_holds()
    await buffer.write(48_000, np.ones((1, 9_600), np.int16))
    buffer.end_reply()
    while buffer.pull() is not None:
        pass
    buffer.hold()
    buffer.release()
    draining = asyncio.get_running_loop().create_task(buffer.drain())
    await buffer.wait_ready()
    assert not draining.done()
    while buffer.pull() is not None:
        pass
    await draining


async def test_the_newest_take_the_place_of_what_was_not_sent() -> None:
    buffer = OutboundVideoBuffer()
    first, second, third = make_frame(), make_frame(), make_frame()
    buffer.show(0, first)
    buffer.show(3000, second)
    buffer.show(6000, third)
    assert await buffer.next_frame() == (3000, second)
    assert await buffer.next_frame() == (6000, third)
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


async def test_of_a_recording_frames_beyond_the_rate_are_left_out_without_a_wait() -> None:
    buffer = OutboundVideoBuffer()
    buffer.limit_fps(10)
    await buffer.put(0, make_frame())
    await buffer.put(3000, make_frame())
    await buffer.put(4500, make_frame())
    assert (await buffer.next_frame()).pts == 0
    await buffer.put(9000, make_frame())
    assert (await buffer.next_frame()).pts == 9000
    assert buffer.replaced == 0


def test_room_is_waited_for_while_somebody_reads_and_not_for_ever() -> None:
    async def scene() -> None:
        buffer, loop = OutboundVideoBuffer(), asyncio.get_running_loop()
        buffer.show(0, make_frame())
        await buffer.wait_for_room()
        assert loop.time() == 0, "nobody has ever read"
        await buffer.next_frame()
        buffer.show(3000, make_frame())
        await buffer.wait_for_room()
        assert loop.time() == 0, "one frame is coded while another waits"
        buffer.show(3000, make_frame())
        loop.call_later(0.2, lambda: loop.create_task(buffer.next_frame()))
        await buffer.wait_for_room()
        assert loop.time() == pytest.approx(0.2)
        buffer.show(6000, make_frame())
        await buffer.wait_for_room()
        assert loop.time() == pytest.approx(0.2 + buffers.ROOM_TIMEOUT_S)

    run_virtual(scene())


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


HUM = np.round(8_000 * np.sin(2 * np.pi * 150 * np.arange(24_000) / 24_000)).astype(np.int16)


class Line:
    """A source of audio in real time, a buffer, and a transport that pulls every 20 ms.

    Args:
        lead_s: As of `AudioPacer`.

    Attributes:
        waiting_ms: The audio behind each frame, with the time in seconds.
    """

    def __init__(self, lead_s: float = 0.0) -> None:
        self.buffer = OutboundAudioBuffer()
        self.waiting_ms: list[tuple[float, int]] = []
        self._pacer = AudioPacer(self.buffer, lead_s)

    async def deliver(self, seconds: float, block_frames: int = 1) -> None:
        """Writes blocks in real time, each when its last sample was spoken."""
        loop = asyncio.get_running_loop()
        block = HUM[: 480 * block_frames]
        # Never at the moment of a frame: which of the two is first would be rounding.
        since_s = loop.time() + (0.007 if loop.time() < 1 else 0.0)
        for index in range(1, round(seconds / (0.02 * block_frames)) + 1):
            await asyncio.sleep(since_s + 0.02 * block_frames * index - loop.time())
            await self.buffer.write(24_000, block)

    async def stall(self, seconds: float, block_frames: int = 1) -> None:
        """Writes nothing for some time, and then everything at once."""
        await asyncio.sleep(seconds)
        for _ in range(round(seconds / (0.02 * block_frames))):
            await self.buffer.write(24_000, HUM[: 480 * block_frames])

    async def play(self) -> None:
        """Takes frames until cancelled."""
        while True:
            await self._pacer.next_frame()
            now_s = asyncio.get_running_loop().time()
            self.waiting_ms.append((now_s, round(1000 * self.buffer.buffered_s)))

    def least_ms(self, from_s: float, to_s: float) -> int:
        """Returns the least that waited between two times."""
        return min(waiting for at_s, waiting in self.waiting_ms if from_s <= at_s < to_s)


async def playing(line: Line, source: Coroutine[None, None, None]) -> None:
    """Plays what a source delivers, and half a second more."""
    task = asyncio.get_running_loop().create_task(line.play())
    await source
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("block_frames", [1, 3])
@pytest.mark.parametrize("stall_s", [0.06, 0.24, 0.48, 0.78])
@pytest.mark.parametrize("lead_s", [0.0, 0.1])
def test_a_stall_of_audio_in_real_time_delays_it_for_a_second_at_most(
    block_frames: int, stall_s: float, lead_s: float
) -> None:
    line = Line(lead_s)

    async def source() -> None:
        await line.deliver(3.0, block_frames)
        await line.stall(stall_s, block_frames)
        await line.deliver(3.0, block_frames)

    run_virtual(playing(line, source()))
    stalled_s = 3.0 + stall_s
    assert line.least_ms(stalled_s + 0.03, stalled_s + 0.2) >= 1000 * stall_s - 65
    assert line.least_ms(stalled_s + 1.0, stalled_s + 1.5) <= 20
    # All of it counts as played: positions in the source's audio stay what they are.
    assert line.buffer.played_s == pytest.approx(6.0 + stall_s, abs=0.001)
    assert stall_s - 0.1 <= line.buffer.removed_samples / 48_000 <= stall_s
    # Up to five frames of the stall, of the end, and of one hole between them at most.
    assert 2 * 960 <= line.buffer.inserted_samples <= 3 * 5 * 960


def test_a_reply_after_a_pause_is_not_shortened() -> None:
    line = Line()

    async def source() -> None:
        await line.deliver(3.0)
        await asyncio.sleep(2.0)
        await line.stall(0.8)
        await line.deliver(0.6)

    run_virtual(playing(line, source()))
    assert line.buffer.removed_samples == 0


def test_a_reply_that_waits_for_space_is_played_exactly() -> None:
    async def scene() -> None:
        line = Line()
        reply = np.tile(HUM, 4)
        played = []
        writing = asyncio.get_running_loop().create_task(line.buffer.write(48_000, reply))
        await asyncio.sleep(0)
        while (frame := line.buffer.pull()) is not None:
            played.append(frame[0])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await writing
        np.testing.assert_array_equal(np.concatenate(played), reply)

    run_virtual(scene())


def test_the_audio_after_a_barge_in_is_not_shortened() -> None:
    line = Line()

    async def source() -> None:
        await line.deliver(3.0)
        await asyncio.sleep(0.3)
        line.buffer.clear()
        await line.stall(0.5)
        await line.deliver(0.6)

    run_virtual(playing(line, source()))
    assert line.buffer.removed_samples == 0


def test_only_what_is_ahead_is_pulled_before_it_is_due() -> None:
    line = Line()

    async def source() -> None:
        assert line.buffer.pull_early() is None
        await line.buffer.write(24_000, HUM)
        assert line.buffer.pull_early() is not None
        line.buffer.clear()
        await line.deliver(3.0)
        await line.buffer.write(24_000, HUM[:4800])
        assert line.buffer.pull_early() is None

    run_virtual(playing(line, source()))

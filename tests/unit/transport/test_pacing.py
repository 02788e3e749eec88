"""Frames are due every 20 ms without drift; a source without audio costs nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.clock import run_virtual

from gradio_webrtc._transport.pacing import (
    FRAME_SAMPLES,
    IDLE_AFTER,
    PARTIAL_AFTER,
    AudioPacer,
    PacedFrame,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME = np.ones((1, FRAME_SAMPLES), np.int16)


class ListSource:
    """A source with a queue; ``partial`` is what a `pull(partial=True)` still finds."""

    def __init__(self, frames: int = 0, partial: NDArray[np.int16] | None = None) -> None:
        self.frames = deque([FRAME] * frames)
        self.partial = partial
        self.ready = asyncio.Event()
        self.waits = 0
        if frames or partial is not None:
            self.ready.set()

    def add(self, frames: int) -> None:
        self.frames.extend([FRAME] * frames)
        self.ready.set()

    def pull(self, *, partial: bool = False) -> NDArray[np.int16] | None:
        if self.frames:
            return self.frames.popleft()
        if partial and self.partial is not None:
            frame, self.partial = self.partial, None
            return frame
        self.ready.clear()
        return None

    def pull_early(self) -> NDArray[np.int16] | None:
        return self.pull()

    async def wait_ready(self) -> None:
        self.waits += 1
        await self.ready.wait()


async def _take(pacer: AudioPacer, count: int) -> list[tuple[float, PacedFrame]]:
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(count):
        frame = await pacer.next_frame()
        taken.append((loop.time(), frame))
    return taken


def test_ten_minutes_have_no_gap_and_no_drift() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        return await _take(AudioPacer(ListSource(frames=30_000)), 30_000)

    taken = run_virtual(scenario())
    times = np.array([time_s for time_s, _ in taken])
    np.testing.assert_allclose(times, np.arange(30_000) * 0.02, atol=1e-6)
    assert [frame.pts for _, frame in taken] == [960 * k for k in range(30_000)]


def test_a_consumer_that_comes_late_does_not_shift_the_clock() -> None:
    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        pacer = AudioPacer(ListSource(frames=100))
        times = []
        for k in range(100):
            await pacer.next_frame()
            times.append(loop.time())
            if k % 10 == 3:
                await asyncio.sleep(0.055)
        return times

    times = run_virtual(scenario())
    assert abs(times[-1] - 99 * 0.02) < 1e-6


def test_an_idle_source_is_waited_for_and_not_asked() -> None:
    async def scenario() -> tuple[list[tuple[float, PacedFrame]], int]:
        source = ListSource(frames=2)
        pacer = AudioPacer(source)
        asyncio.get_running_loop().call_later(60.0, source.add, 1)
        return await _take(pacer, 2 + IDLE_AFTER + 1), source.waits

    taken, waits = run_virtual(scenario())
    assert waits == 2
    assert [frame.is_audio for _, frame in taken] == [True, True] + [False] * IDLE_AFTER + [True]
    last_time, last = taken[-1]
    assert abs(last_time - 60.0) < 1e-6
    assert last.pts == 60 * 48_000


def test_a_short_gap_is_filled_with_silence_and_audio_goes_on_in_step() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        source = ListSource(frames=2)
        asyncio.get_running_loop().call_later(0.05, source.add, 2)
        return await _take(AudioPacer(source), 5)

    taken = run_virtual(scenario())
    assert [frame.is_audio for _, frame in taken] == [True, True, False, True, True]
    assert [frame.pts for _, frame in taken] == [0, 960, 1920, 2880, 3840]


def test_an_unfinished_frame_is_padded_only_after_a_while() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        return await _take(AudioPacer(ListSource(frames=1, partial=FRAME * 2)), 2 + PARTIAL_AFTER)

    taken = run_virtual(scenario())
    assert [int(frame.samples[0, 0]) for _, frame in taken] == [1] + [0] * PARTIAL_AFTER + [2]


def test_a_clock_far_behind_starts_again_instead_of_bursting() -> None:
    async def scenario() -> tuple[list[tuple[float, PacedFrame]], list[tuple[float, PacedFrame]]]:
        pacer = AudioPacer(ListSource(frames=20))
        before = await _take(pacer, 3)
        await asyncio.sleep(5.0)
        return before, await _take(pacer, 3)

    before, after = run_virtual(scenario())
    times = [time_s for time_s, _ in after]
    assert np.allclose(np.diff(times), 0.02)
    assert after[0][1].pts - before[-1][1].pts > 4.9 * 48_000


def test_a_source_that_is_ahead_is_sent_ahead_by_the_lead() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        return await _take(AudioPacer(ListSource(frames=50), lead_s=0.1), 50)

    taken = run_virtual(scenario())
    times = np.array([time_s for time_s, _ in taken])
    np.testing.assert_allclose(times[:6], 0.0, atol=1e-6)
    np.testing.assert_allclose(times[6:], (np.arange(6, 50) - 5) * 0.02, atol=1e-6)
    assert [frame.pts for _, frame in taken] == [960 * k for k in range(50)]


def test_a_source_in_real_time_is_sent_at_its_deadlines_whatever_the_lead() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        source, loop = ListSource(frames=1), asyncio.get_running_loop()
        for k in range(1, 20):
            loop.call_later(k * 0.02 - 0.001, source.add, 1)
        return await _take(AudioPacer(source, lead_s=0.1), 20)

    taken = run_virtual(scenario())
    assert all(frame.is_audio for _, frame in taken)
    np.testing.assert_allclose([time_s for time_s, _ in taken], np.arange(20) * 0.02, atol=1e-6)


def test_a_lead_does_not_pad_an_unfinished_frame_early() -> None:
    async def scenario() -> list[tuple[float, PacedFrame]]:
        source = ListSource(frames=1, partial=FRAME * 2)
        return await _take(AudioPacer(source, lead_s=0.1), 2 + PARTIAL_AFTER)

    taken = run_virtual(scenario())
    assert [int(frame.samples[0, 0]) for _, frame in taken] == [1] + [0] * PARTIAL_AFTER + [2]
    assert taken[-1][0] == pytest.approx(0.02 * (1 + PARTIAL_AFTER))

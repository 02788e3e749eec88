"""Video frames that wait: a stutter loses none, and a slow taker gets the newest."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradio_webrtc._transport import PixelConverter, TimedFrame
from gradio_webrtc._transport.frame_flow import (
    BEHIND_S,
    MAX_WAIT_S,
    MAX_WAITING,
    FrameRateLimiter,
    RecentFrames,
)

PLANAR = PixelConverter().to_planar(np.zeros((16, 16, 3), np.uint8))


def frame(number: int) -> TimedFrame:
    return TimedFrame(number, PLANAR)


def taken(frames: RecentFrames, now_s: float) -> int | None:
    found = frames.take(now_s)
    return None if found is None else found.pts


def test_a_stutter_of_a_tenth_of_a_second_loses_nothing() -> None:
    frames = RecentFrames()
    for number in range(3):
        frames.put(frame(number), number / 30)
    assert [taken(frames, 0.1) for _ in range(4)] == [0, 1, 2, None]
    assert frames.skipped == 0


def test_what_has_waited_for_too_long_gives_way_and_one_always_stays() -> None:
    frames = RecentFrames()
    for number in range(3):
        frames.put(frame(number), number / 30)
    assert taken(frames, 1 / 30 + MAX_WAIT_S + 0.001) == 2
    assert frames.skipped == 2
    frames.put(frame(3), 0.2)
    assert taken(frames, 60.0) == 3, "old, but there is no newer one"


def test_no_more_than_a_few_wait() -> None:
    frames = RecentFrames()
    for number in range(100):
        frames.put(frame(number), 0.0)
    assert [taken(frames, 0.0) for _ in range(MAX_WAITING)] == [96, 97, 98, 99]
    assert frames.skipped == 100 - MAX_WAITING


def test_a_taker_that_is_always_late_gets_the_newest_until_it_has_caught_up() -> None:
    frames = RecentFrames()
    ages = []
    for number in range(90):
        frames.put(frame(number), number / 30)
        if number % 3 == 2:
            got = taken(frames, number / 30)
            assert got is not None
            ages.append(number - got)
    assert max(ages[: round(BEHIND_S * 10)]) <= MAX_WAITING
    assert set(ages[round(BEHIND_S * 10) + 1 :]) == {0}
    assert taken(frames, 3.0) is None, "caught up"
    frames.put(frame(100), 3.01)
    frames.put(frame(101), 3.02)
    assert taken(frames, 3.03) == 100, "in time again"


@pytest.mark.parametrize(("fps", "kept"), [(30, 300), (20, 200), (15, 150), (5, 50)])
def test_a_rate_thins_out_frames_evenly(fps: float, kept: int) -> None:
    limiter = FrameRateLimiter(fps)
    admitted = [number for number in range(300) if limiter.admits(3000 * number)]
    assert len(admitted) == pytest.approx(kept, abs=1)


def test_without_a_rate_all_pass() -> None:
    limiter = FrameRateLimiter(math.inf)
    assert all(limiter.admits(0) for _ in range(100))

"""The plan of outbound video: what its bit rate, its size and its rate follow, and how fast."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from gradio_webrtc._transport.webrtc.video_plan import (
    FAILED_S,
    LADDER,
    MIN_PIXELS,
    PATIENCE_S,
    RISE,
    RISE_S,
    LoadLadder,
    VideoPlan,
    least_bitrate,
    suitable_bitrate,
)
from gradio_webrtc._video_terms import BitRateRange

if TYPE_CHECKING:
    from collections.abc import Callable

VGA = (640, 480)
LAST = len(LADDER) - 1


def test_more_pixels_get_more_bits() -> None:
    assert suitable_bitrate(1280, 720) == 2_500_000
    assert suitable_bitrate(720, 1280) == 2_500_000
    assert suitable_bitrate(16, 16) == 200_000
    assert suitable_bitrate(1920, 1080) == 4_000_000
    assert 700_000 < suitable_bitrate(*VGA) < 1_200_000
    assert 150_000 < least_bitrate(*VGA) < 350_000


def test_each_rung_asks_for_less_than_the_one_above() -> None:
    for above, below in pairwise(LADDER):
        assert below.scale <= above.scale
        assert below.fps <= above.fps
        assert below != above
        assert below.share <= above.share


class Stage:
    """Frames that pass through a plan, by a clock that the scene sets.

    Args:
        plan: The plan.
        size: Of the frames.
        content: The bits a second that the frames need; an encoder uses no more than it may.
    """

    def __init__(
        self, plan: VideoPlan, size: tuple[int, int] = VGA, content: float = math.inf
    ) -> None:
        self.plan = plan
        self.now_s = 100.0
        self._size = size
        self._content = content

    def run(self, seconds: float, *, busy: float = 0.1, fps: float = 30) -> None:
        """Sends frames, each of which keeps the encoder busy for a share of its time."""
        for _ in range(round(seconds * fps)):
            self.plan.begin(*self._size, self.now_s)
            self.plan.note_encoded(round(min(self._content, self.plan.bits) / fps))
            self.plan.end(self.now_s + busy / fps)
            self.now_s += 1 / fps

    def until(self, is_so: Callable[[], bool], *, busy: float = 0.1) -> float:
        """Sends frames until something is so; returns the seconds that passed."""
        begin_s = self.now_s
        while not is_so():
            assert self.now_s - begin_s < 1000
            self.run(0.5, busy=busy)
        return self.now_s - begin_s


def test_without_a_word_from_the_client_frames_are_sent_whole_at_a_rate_that_suits_them() -> None:
    stage = Stage(VideoPlan())
    stage.run(30)
    assert stage.plan.bits == suitable_bitrate(*VGA)
    assert stage.plan.fit(*VGA) == VGA
    assert stage.plan.most_fps == math.inf


def test_an_encoder_that_does_not_keep_up_gets_less_step_by_step_and_never_nothing() -> None:
    stage = Stage(VideoPlan())
    stage.run(1.9, busy=1.0)
    assert stage.plan.rung == 0, "a stutter changes nothing"
    seen = []
    for _ in range(40):
        stage.run(1, busy=1.0)
        seen.append(stage.plan.rung)
    assert seen == sorted(seen)
    assert max(b - a for a, b in pairwise(seen)) == 1
    assert stage.plan.rung == LAST
    assert stage.plan.fit(*VGA) == (160, 120)
    assert stage.plan.most_fps == 5


def test_between_the_two_thresholds_nothing_changes() -> None:
    stage = Stage(VideoPlan())
    stage.until(lambda: stage.plan.rung == 2, busy=1.0)
    stage.run(600, busy=0.6)
    assert stage.plan.rung == 2


def test_it_comes_back_slowly_one_step_at_a_time() -> None:
    stage = Stage(VideoPlan())
    stage.until(lambda: stage.plan.rung == 3, busy=1.0)
    times = [stage.until(lambda rung=rung: stage.plan.rung == rung) for rung in (2, 1, 0)]  # type: ignore[misc]
    assert min(times) >= PATIENCE_S[0]
    assert max(times) <= PATIENCE_S[0] + 3


def test_a_climb_that_fails_is_tried_again_after_twice_the_time() -> None:
    stage = Stage(VideoPlan())
    stage.until(lambda: stage.plan.rung == 1, busy=1.0)
    waits = []
    for _ in range(7):
        waits.append(stage.until(lambda: stage.plan.rung == 0))
        fell = stage.until(lambda: stage.plan.rung == 1, busy=1.0)
        assert fell < FAILED_S
    assert [round(wait / PATIENCE_S[0]) for wait in waits[:5]] == [1, 2, 4, 8, 16]
    assert max(waits) <= PATIENCE_S[1] + 5
    stage.until(lambda: stage.plan.rung == 0)
    stage.run(2 * FAILED_S)
    stage.until(lambda: stage.plan.rung == 1, busy=1.0)
    assert stage.until(lambda: stage.plan.rung == 0) < 2 * PATIENCE_S[0], "that one had lasted"


def test_a_client_that_can_receive_less_gets_less_in_time_and_the_size_follows() -> None:
    stage = Stage(VideoPlan())
    stage.run(3)
    stage.plan.estimate(300_000)
    stage.run(0.1)
    assert stage.plan.bits == 300_000
    assert stage.plan.fit(*VGA) == VGA
    stage.plan.estimate(120_000)
    stage.run(0.1)
    assert stage.plan.bits == 120_000
    width, height = stage.plan.fit(*VGA)
    assert (width, height) < VGA
    assert least_bitrate(width, height) * LADDER[stage.plan.rung].share <= 120_000
    stage.plan.estimate(1)
    stage.run(1.1)
    assert stage.plan.bits == 30_000
    assert stage.plan.fit(*VGA) == (160, 120)


def test_little_content_is_sent_whole_though_the_client_has_seen_no_more_than_that() -> None:
    stage = Stage(VideoPlan(), (320, 240), content=50_700)
    stage.run(3)
    assert least_bitrate(320, 240) > 52_480
    # As aiortc's receiver estimates it: by what comes, which is little.
    for bits in (52_480, 59_214, 63_100, 75_000):
        stage.plan.estimate(bits)
        stage.run(2)
        assert stage.plan.rung == 0


def test_content_that_grows_beyond_what_the_client_receives_is_sent_smaller() -> None:
    stage = Stage(VideoPlan(), (320, 240), content=50_700)
    stage.run(3)
    stage.plan.estimate(55_000)
    stage.run(3)
    grown = Stage(stage.plan, (320, 240))
    grown.now_s = stage.now_s
    grown.run(12)
    assert grown.plan.rung > 0


def test_more_bits_lead_up_again_with_headroom_and_after_a_while() -> None:
    stage = Stage(VideoPlan())
    stage.run(3)
    stage.plan.estimate(60_000)
    stage.run(2)
    low = stage.plan.rung
    stage.plan.estimate(61_000)
    stage.run(60)
    assert stage.plan.rung == low, "no headroom, no climb"
    stage.plan.estimate(5_000_000)
    stage.run(RISE_S - 1)
    assert stage.plan.rung == low
    took = stage.until(lambda: stage.plan.rung == 0)
    assert took >= (low - 1) * RISE_S
    stage.run(10)
    assert stage.plan.bits == suitable_bitrate(*VGA)


def test_a_bit_rate_that_wavers_makes_no_new_encoder() -> None:
    stage = Stage(VideoPlan())
    stage.plan.estimate(600_000)
    stage.run(1)
    rates = set()
    for step in range(100):
        stage.plan.estimate(600_000 + 60_000 * (step % 3 - 1))
        stage.run(0.5)
        rates.add(stage.plan.bits)
    assert rates == {600_000}


def test_the_bit_rate_changes_once_a_second_at_most_unless_it_halves() -> None:
    stage = Stage(VideoPlan())
    stage.run(5)
    stage.plan.estimate(600_000)
    stage.run(0.1)
    stage.plan.estimate(480_000)
    stage.run(0.5)
    assert stage.plan.bits == 600_000
    stage.plan.estimate(250_000)
    stage.run(0.1)
    assert stage.plan.bits == 250_000


def test_what_the_program_has_set_holds_against_the_client_and_the_size() -> None:
    plan = VideoPlan(BitRateRange(200_000, 400_000, 2_000_000))
    stage = Stage(plan)
    stage.run(1)
    assert plan.bits == 400_000
    plan.estimate(9_000_000)
    stage.run(10)
    assert plan.bits == 2_000_000
    plan.estimate(10)
    stage.run(2)
    assert plan.bits == 200_000


def test_heavy_loss_lowers_the_bit_rate_but_not_the_size_and_light_loss_lets_it_grow() -> None:
    stage = Stage(VideoPlan())
    stage.run(5)
    whole = stage.plan.bits
    for _ in range(30):
        stage.plan.note_loss(0.3)
        stage.run(1)
    assert least_bitrate(*VGA) <= stage.plan.bits < whole / 2
    assert stage.plan.rung == 0
    low = stage.plan.bits
    for _ in range(20):
        stage.plan.note_loss(0.05)
        stage.run(1)
    assert stage.plan.bits == low, "in between nothing changes"
    for _ in range(60):
        stage.plan.note_loss(0.0)
        stage.run(1)
    assert whole / RISE <= stage.plan.bits <= whole


def test_small_frames_are_not_made_smaller_still() -> None:
    stage = Stage(VideoPlan(), (160, 120))
    stage.until(lambda: stage.plan.rung == LAST, busy=1.0)
    assert stage.plan.fit(160, 120) == (160, 120)
    width, height = stage.plan.fit(200, 200)
    assert MIN_PIXELS * 0.9 <= width * height <= 200 * 200


@pytest.mark.parametrize("size", [(641, 481), (1280, 720), (333, 77), (16, 16), (4000, 18)])
def test_scaled_sides_are_even_and_keep_their_shape(size: tuple[int, int]) -> None:
    plan = VideoPlan()
    for plan.rung in range(len(LADDER)):
        width, height = plan.fit(*size)
        if (width, height) != size:
            assert (width % 2, height % 2) == (0, 0)
        assert width / height == pytest.approx(size[0] / size[1], rel=0.15)


def test_a_track_that_ends_or_pauses_between_frames_is_no_load() -> None:
    load = LoadLadder()
    load.end(5.0)
    for second in range(100):
        load.begin(second)
        load.end(second + 0.01)
        load.end(second + 0.9)
    assert load.rung == 0

"""The ends of turns in real speech, through the same session and core as over a connection."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from support.signals import speech
from support.spliced import RATE_HZ, Spliced, splice

from gradio_webrtc import ReplyOnPause
from gradio_webrtc.testing import Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SPLICED = 100
"""Enough that one cut more or less is one percent."""


def reply(_audio: tuple[int, NDArray[np.int16]]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    yield (24_000, np.full((1, 2_400), 8_000, np.int16))


@cache
def _calls() -> list[tuple[Spliced, Simulation]]:
    rng = np.random.default_rng(7)
    spliced = [splice(rng, 0.2, 0.5) for _ in range(SPLICED)]
    return [(each, simulate(ReplyOnPause(reply), (RATE_HZ, each.samples))) for each in spliced]


def test_few_speakers_are_cut_off_at_a_pause_for_breath() -> None:
    cut = sum(len(result.turns) > 1 for _, result in _calls())
    assert cut <= 0.08 * SPLICED


def test_the_turn_ends_soon_after_the_last_word() -> None:
    latencies = [result.turns[-1].pause_s - spliced.end_s for spliced, result in _calls()]
    assert np.percentile(latencies, 50) <= 0.590
    assert np.percentile(latencies, 90) <= 0.625


def test_the_reply_starts_when_the_turn_ends() -> None:
    for _, result in _calls():
        for turn in result.turns:
            assert turn.reply_start_s is not None
            assert turn.reply_start_s - turn.pause_s < 0.001


def test_the_function_gets_the_whole_turn_and_little_more() -> None:
    for spliced, result in _calls():
        if len(result.turns) != 1:
            continue
        rate_hz, audio = result.turns[0].audio
        assert audio.shape[0] == 1
        seconds = audio.size / rate_hz
        spoken_s = spliced.end_s - 0.5
        assert spoken_s <= seconds <= spoken_s + 0.4 + 0.6


def test_noise_alone_is_no_turn() -> None:
    for name in ("noise/gen_pink_16k", "noise/gen_brown_16k"):
        assert simulate(reply, speech(name)).turns == []


def test_two_runs_are_the_same() -> None:
    first, second = (simulate(reply, speech("synth_hibari_24k")) for _ in range(2))
    assert len(first.turns) > 3
    assert [turn.pause_s for turn in first.turns] == [turn.pause_s for turn in second.turns]
    assert np.array_equal(first.audio[1], second.audio[1])
    assert [event.name for event in first.events] == [event.name for event in second.events]

"""Replies that come back through the user's microphone, on real speech in simulated rooms."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from support.signals import labels, speech_at_48k

from gradio_webrtc import ReplyOnPause
from gradio_webrtc.testing import Echo, Simulation, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE_HZ: Final = 48_000

REPLY: Final = ("asterisk_vm_newuser_16k", "asterisk_vm_intro_16k", "asterisk_demo_thanks_16k")

ROOMS: Final[tuple[dict[str, Any], ...]] = (
    {"reverberation_s": 0.2, "direct_db": 8, "delay_ms": 60, "seed": 1},
    {"reverberation_s": 0.3, "direct_db": 5, "delay_ms": 120, "seed": 2},
    {"reverberation_s": 0.45, "direct_db": 3, "delay_ms": 200, "seed": 3},
    {"reverberation_s": 0.6, "direct_db": 0, "delay_ms": 300, "seed": 4},
    {"reverberation_s": 0.8, "direct_db": -2, "delay_ms": 400, "seed": 5},
)
"""From a telephone at the ear to a speaker at the other end of a hall."""

INTERRUPTERS: Final = 51
"""Of other recordings than the reply's, by its speaker and by others; each at another time."""


@cache
def reply() -> NDArray[np.int16]:
    return np.concatenate([speech_at_48k(name) for name in REPLY])[: 15 * RATE_HZ]


def converse(
    echo: Echo | None,
    *,
    echo_guard: bool = True,
    over: tuple[float, NDArray[np.int16]] | None = None,
) -> Simulation:
    """A question, 15 s of reply, and maybe somebody who speaks over it at a time, in seconds."""
    turns = iter([reply()])

    def fn(_audio: Any) -> Iterator[tuple[int, NDArray[np.int16]]]:
        audio = next(turns, reply()[:0])
        for begin in range(0, audio.size, RATE_HZ // 5):
            yield RATE_HZ, audio[begin : begin + RATE_HZ // 5]

    question = speech_at_48k("cards_003_16k")
    at_s, voice = over or (0.0, question[:0])
    user = np.zeros(max(question.size, round(at_s * RATE_HZ) + voice.size), np.int16)
    user[: question.size] = question
    user[round(at_s * RATE_HZ) :][: voice.size] += voice
    return simulate(ReplyOnPause(fn, echo_guard=echo_guard), (RATE_HZ, user), echo=echo)


def count(simulation: Simulation, name: str) -> int:
    return simulation.stats.events.get(name, 0)


@pytest.mark.parametrize("gain_db", [-10, -20, -30, -40])
def test_an_echo_neither_interrupts_its_reply_nor_is_answered(gain_db: float) -> None:
    results = [converse(Echo(gain_db=gain_db, **room)) for room in ROOMS]
    assert sum(count(each, "interrupted") for each in results) == 0
    assert [len(each.turns) for each in results] == [1] * len(ROOMS)
    assert sum(count(each, "echo_ignored") for each in results) > 0
    assert all(count(each, "started_talking") == 1 for each in results)


@pytest.mark.parametrize("gain_db", [-20, -30])
def test_without_the_guard_it_does(gain_db: float) -> None:
    results = [converse(Echo(gain_db=gain_db, **room), echo_guard=False) for room in ROOMS]
    assert all(count(each, "interrupted") for each in results)


@cache
def voices() -> list[tuple[float, NDArray[np.int16]]]:
    """Who speaks over the reply, and when: at times that are nowhere in particular."""
    cut = [
        speech_at_48k(name)[each["start_ms"] * 48 : each["end_ms"] * 48]
        for name, label in labels().items()
        for each in label["utterances"]
        if name not in REPLY and each["end_ms"] - each["start_ms"] >= 350
    ]
    rng = np.random.default_rng(7)
    times = rng.uniform(4.0, 12.0, INTERRUPTERS)
    return [(float(at_s), cut[n % len(cut)]) for n, at_s in enumerate(times)]


@cache
def delays_s(gain_db: float | None, *, echo_guard: bool = True) -> list[float]:
    """From the onset of each to the end of the reply, in seconds; infinite where it is missed."""
    delays = []
    for n, (at_s, voice) in enumerate(voices()):
        echo = None if gain_db is None else Echo(gain_db=gain_db, **ROOMS[n % len(ROOMS)])
        result = converse(echo, echo_guard=echo_guard, over=(at_s, voice))
        ends = [each.time_s for each in result.events if each.name == "interrupted"]
        # Half a second of its end: the pause that ends a turn.
        limit_s = at_s + voice.size / RATE_HZ + 0.5
        assert all(time_s > at_s for time_s in ends)
        delays.append(min((it for it in ends if it <= limit_s), default=np.inf) - at_s)
    return delays


@pytest.mark.parametrize("gain_db", [None, -20, -30])
def test_a_user_who_speaks_over_a_reply_interrupts_it_with_and_without_its_echo(
    gain_db: float | None,
) -> None:
    delays = delays_s(gain_db)
    assert np.isinf(delays).sum() <= 0.02 * INTERRUPTERS
    assert np.percentile(delays, 50) <= 0.30
    # Two windows of the detector: some are taken for an echo at first.
    unguarded = delays_s(None, echo_guard=False)
    assert np.percentile(delays, 90) <= np.percentile(unguarded, 90) + 0.064


def test_what_was_said_over_the_echo_is_the_next_turn() -> None:
    at_s, voice = 6.0, speech_at_48k("goforward_16k")
    result = converse(Echo(gain_db=-20, **ROOMS[1]), over=(at_s, voice))
    assert len(result.turns) == 2
    assert result.turns[1].speech_start_s == pytest.approx(at_s + 0.5, abs=0.5)

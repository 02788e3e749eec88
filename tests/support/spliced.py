"""Real utterances behind one another, with inner pauses and an end that are known."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .signals import labels, speech

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000

STEP_SAMPLES: Final = RATE_HZ // 100
"""10 ms: a word ends and the next begins within a few of them."""

GAP_STEPS: Final = (2, 12)
"""The length of a dip between two words. What lasts longer may be the end of a sentence."""

GAP_DB: Final = -30.0
"""A dip is that much below the loudest 10 ms of its utterance."""

APART_SAMPLES: Final = RATE_HZ * 6 // 10
"""Speech at least between two pauses, and before the first and behind the last."""

NOISE_DB: Final = -25.0
"""The noise of a room, below the level of the speech in it (RMS)."""

NOISES: Final = ("noise/gen_pink_16k", "noise/gen_brown_16k")

LEAD_S: Final = 0.5
TAIL_S: Final = 4.5
"""More than the three seconds of silence after which the slowest rule that is measured decides."""


class Spliced(NamedTuple):
    """A turn with pauses for breath in it.

    Attributes:
        samples: int16 ``(n,)`` at 16 kHz: 0.5 s without speech, the speech, and at least 1 s
            without.
        end_s: The end of the last word, in seconds.
    """

    samples: NDArray[np.int16]
    end_s: float


@cache
def utterances() -> list[NDArray[np.int16]]:
    """Every labelled utterance of the recordings at 16 kHz, int16 ``(n,)``."""
    found = []
    for name, label in labels().items():
        rate_hz, samples = speech(name)
        if rate_hz == RATE_HZ:
            for each in label["utterances"]:
                begin, end = (each[key] * RATE_HZ // 1000 for key in ("start_ms", "end_ms"))
                found.append(samples[begin:end])
    return found


def splice(rng: np.random.Generator, shortest_s: float, longest_s: float) -> Spliced:
    """Three utterances with a pause between each two, of a length drawn from that range."""
    parts: list[NDArray[np.int16]] = [np.zeros(RATE_HZ // 2, np.int16)]
    pool = utterances()
    for index in rng.choice(len(pool), 3, replace=False):
        parts.append(pool[index])
        pause_s = rng.uniform(shortest_s, longest_s)
        parts.append(np.zeros(round(pause_s * RATE_HZ), np.int16))
    samples = np.concatenate(parts[:-1])
    return Spliced(np.append(samples, np.zeros(RATE_HZ, np.int16)), samples.size / RATE_HZ)


def word_gaps(utterance: NDArray[np.int16]) -> list[int]:
    """The samples at which a speaker might hesitate: in the middle of short dips of the level."""
    steps = utterance[: utterance.size // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    level = np.sqrt((steps.astype(np.float64) ** 2).mean(axis=1))
    is_low = np.concatenate([[False], level < level.max() * 10 ** (GAP_DB / 20), [False]])
    edges = np.flatnonzero(np.diff(is_low.astype(np.int8)))
    return [
        int(begin + end) * STEP_SAMPLES // 2
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
        if GAP_STEPS[0] <= end - begin <= GAP_STEPS[1]
        and begin * STEP_SAMPLES >= APART_SAMPLES
        and end * STEP_SAMPLES <= utterance.size - APART_SAMPLES
    ]


def hesitate(rng: np.random.Generator, shortest_s: float, longest_s: float) -> Spliced:
    """One utterance with one or two pauses between its words, in a room that is never silent.

    The noise goes on through speech, pauses and `TAIL_S` after the end.
    """
    pool = [each for each in utterances() if word_gaps(each)]
    utterance = pool[rng.integers(len(pool))]
    cuts: list[int] = []
    for gap in rng.permutation(word_gaps(utterance))[:2]:
        if all(abs(gap - cut) >= APART_SAMPLES for cut in cuts):
            cuts.append(int(gap))
    parts: list[NDArray[np.int16]] = [np.zeros(round(LEAD_S * RATE_HZ), np.int16)]
    for part in np.split(utterance, sorted(cuts)):
        pause_s = rng.uniform(shortest_s, longest_s)
        parts += [part, np.zeros(round(pause_s * RATE_HZ), np.int16)]
    said = np.concatenate(parts[:-1])
    samples = np.append(said, np.zeros(round(TAIL_S * RATE_HZ), np.int16))
    heard = samples + _noise(rng, utterance, samples.size)
    return Spliced(np.clip(heard, -32768, 32767).astype(np.int16), said.size / RATE_HZ)


def _noise(
    rng: np.random.Generator, utterance: NDArray[np.int16], samples: int
) -> NDArray[np.float64]:
    recorded = _recorded(NOISES[rng.integers(len(NOISES))])
    turned = np.roll(recorded, rng.integers(recorded.size)).astype(np.float64)
    level = np.sqrt((utterance.astype(np.float64) ** 2).mean() / (turned**2).mean())
    scaled: NDArray[np.float64] = np.resize(turned, samples) * level * 10 ** (NOISE_DB / 20)
    return scaled


@cache
def _recorded(name: str) -> NDArray[np.int16]:
    return speech(name)[1]

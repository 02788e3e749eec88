"""Real utterances behind one another, with inner pauses and an end that are known."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .signals import labels, speech

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 16_000


class Spliced(NamedTuple):
    """A turn with pauses for breath in it.

    Attributes:
        samples: int16 ``(n,)`` at 16 kHz: 0.5 s of silence, the speech, 1 s of silence.
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

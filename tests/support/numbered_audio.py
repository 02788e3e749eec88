"""Audio in numbered pieces, which show whether all of them came, and in which order.

A piece is 100 ms of three tones. Those of two pieces differ in one tone at least, which are 100 Hz
apart and so have nothing in common within a piece. All are in a telephone's band.
"""

from __future__ import annotations

import itertools
import random
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PIECE_S: Final = 0.1
TONES_HZ: Final = range(500, 3000, 100)
LEVEL: Final = 6_000
FADE_S: Final = 0.004

FOUND_HZ: Final = 8_000
"""The rate at which pieces are looked for."""

SIMILARITY: Final = 0.8
"""Opus and mu-law keep 0.98 of a piece; another piece has 0.67 of it at most."""

NEAR_S: Final = 0.5
"""From where a piece should be; it is looked for there first, and then everywhere."""


@cache
def _triples() -> list[tuple[int, ...]]:
    """The tones of each piece; those of neighbours differ widely."""
    triples: list[tuple[int, ...]] = list(itertools.combinations(TONES_HZ, 3))
    random.Random(1).shuffle(triples)  # noqa: S311  # an order
    return triples


def piece(number: int, rate_hz: int) -> NDArray[np.int16]:
    """One piece, int16 ``(n,)``; there are 2,300."""
    t = np.arange(round(PIECE_S * rate_hz)) / rate_hz
    wave = sum(np.sin(2 * np.pi * hz * t) for hz in _triples()[number])
    fade = np.clip(np.minimum(t, t[::-1]) / FADE_S, 0.0, 1.0)
    return (LEVEL * wave * fade).astype(np.int16)


def pieces(numbers: Sequence[int], rate_hz: int) -> NDArray[np.int16]:
    """Pieces one behind the other, int16 ``(n,)``."""
    return np.concatenate([piece(each, rate_hz) for each in numbers])


def places_of(received: NDArray[np.int16], numbers: Sequence[int], rate_hz: int) -> list[int]:
    """The position in ``received`` of each piece, in samples; -1 for one that is not there."""
    at_rate = soxr.resample(received.astype(np.float32), rate_hz, FOUND_HZ)
    places: list[int] = []
    expected = 0
    for number in numbers:
        wanted = piece(number, FOUND_HZ).astype(np.float32)
        begin = max(0, expected - round(NEAR_S * FOUND_HZ))
        near = at_rate[begin : expected + round(NEAR_S * FOUND_HZ) + wanted.size]
        at = _place_of(near, wanted)
        at = begin + at if at >= 0 and places else _place_of(at_rate, wanted)
        if at >= 0:
            expected = at + wanted.size
        places.append(round(at * rate_hz / FOUND_HZ) if at >= 0 else -1)
    return places


def _place_of(line: NDArray[Any], wanted: NDArray[Any]) -> int:
    """The place at which a line resembles a piece most; -1 if it does nowhere."""
    if line.size < wanted.size:
        return -1
    size = 1 << (line.size + wanted.size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(line, size) * np.conj(np.fft.rfft(wanted, size)), size)
    lags = product[: line.size - wanted.size + 1]
    power = np.cumsum(np.concatenate([[0.0], line.astype(np.float64) ** 2]))
    norms = np.sqrt((power[wanted.size :] - power[: -wanted.size]).clip(1.0) * (wanted**2).sum())
    likeness = lags / norms
    at = int(np.argmax(likeness))
    return at if likeness[at] > SIMILARITY else -1

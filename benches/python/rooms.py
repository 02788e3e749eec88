"""Three rooms and two noises for speech that was made without any. The same each time."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import report  # noqa: F401  # makes support importable

from support.signals import speech  # isort: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ: Final = 16_000
SPEED_M_PER_S: Final = 343.0
SPEECH_RMS: Final = 1_640.0
"""-26 dBFS, the level at which ITU-T P.56 material is played."""

LEAD_S: Final = 0.5
TAIL_S: Final = 4.5
"""Of noise alone: more than the three seconds after which the slowest rule decides."""


class Room(NamedTuple):
    """A box whose walls all reflect the same.

    Attributes:
        size_m: Length, width, height.
        reflects: The part of the pressure that a wall gives back.
        rt60_s: The time in which it falls by 60 dB, by that from -5 to -25 dB (ISO 3382).
        source_m: The speaker's place.
        microphone_m: The microphone's.
    """

    size_m: tuple[float, float, float]
    reflects: float
    rt60_s: float
    source_m: tuple[float, float, float]
    microphone_m: tuple[float, float, float]


ROOMS: Final = {
    "office": Room((4.0, 3.0, 2.6), 0.803, 0.3, (1.4, 1.3, 1.2), (1.9, 1.6, 1.0)),
    "living room": Room((6.0, 4.5, 2.7), 0.838, 0.5, (2.0, 1.5, 1.5), (3.2, 2.4, 0.8)),
    "hall": Room((12.0, 9.0, 4.0), 0.835, 0.9, (4.0, 3.5, 1.6), (6.3, 5.2, 1.1)),
}

NOISES: Final = {"pink": 20.0, "babble": 20.0}
"""Each with how many dB it is below the speech. The babble is fourteen voices, of tests/data."""


@cache
def response(name: str) -> NDArray[np.float64]:
    """The room's impulse response by image sources; the direct path is its first sample, 1.

    Delays are rounded to samples.
    """
    room = ROOMS[name]
    reach_m = room.rt60_s * SPEED_M_PER_S
    places = zip(room.size_m, room.source_m, room.microphone_m, strict=True)
    axes = [_images(*each, reach_m) for each in places]
    (x, hits_x), (y, hits_y), (z, hits_z) = axes
    distance = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2)
    hits = hits_x[:, None, None] + hits_y[None, :, None] + hits_z[None, None, :]
    direct_m = distance.min()
    delay = np.round((distance - direct_m) / SPEED_M_PER_S * RATE_HZ).astype(np.int64)
    is_near = distance < reach_m
    gain = room.reflects ** hits[is_near] * direct_m / distance[is_near]
    return np.bincount(delay[is_near], weights=gain)


def _images(
    size_m: float, source_m: float, microphone_m: float, reach_m: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Along one axis: how far each image is from the microphone, and off how many walls it is."""
    reach = int(np.ceil(reach_m / (2 * size_m)))
    turns = np.arange(-reach, reach + 1)
    same = 2 * turns * size_m + source_m - microphone_m
    mirrored = 2 * turns * size_m - source_m - microphone_m
    hits = np.concatenate([np.abs(2 * turns), np.abs(2 * turns - 1)])
    return np.concatenate([same, mirrored]), hits


def place(
    dry: NDArray[np.int16], room: str, noise: str, rng: np.random.Generator
) -> NDArray[np.int16]:
    """The speech as a microphone in that room gets it, with noise before, in and behind it.

    Args:
        dry: At 16 kHz.
        room: One of `ROOMS`.
        noise: One of `NOISES`.
        rng: Of the noise.
    """
    answer = response(room)
    lead, tail = round(LEAD_S * RATE_HZ), round(TAIL_S * RATE_HZ)
    size = lead + dry.size + tail
    wide = 1 << (dry.size + answer.size).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, wide) * np.fft.rfft(answer, wide), wide)
    is_loud = np.abs(dry) > 0
    wet *= SPEECH_RMS / np.sqrt((wet[: dry.size][is_loud] ** 2).mean())
    heard = np.zeros(size)
    kept = min(size - lead, wet.size)
    heard[lead : lead + kept] = wet[:kept]
    around = _pink(size, rng) if noise == "pink" else _babble(size, rng)
    around *= SPEECH_RMS * 10 ** (-NOISES[noise] / 20) / np.sqrt((around**2).mean())
    return np.clip(np.round(heard + around), -32_768, 32_767).astype(np.int16)


def _pink(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    wide = 1 << size.bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(wide))
    # Power falls as 1/f, from 50 Hz on: below that a microphone takes little.
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(wide, 1 / RATE_HZ), 50))
    return np.fft.irfft(spectrum, wide)[:size]


def _babble(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    _, recorded = speech("noise/babble14_16k")
    turned = np.roll(recorded, rng.integers(recorded.size)).astype(np.float64)
    return np.resize(turned, size)

"""The quality of a converter: noise, ripple, stop band and delay, measured with sines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from converters import FRAMES_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from converters import Convert
    from numpy.typing import NDArray

    Make = Callable[[int, int], Convert]

PASS: Final = 0.9
"""The end of the band that must be passed, as a fraction of the lower Nyquist frequency."""

SETTLED_S: Final = 0.1
"""The time that a filter, or a converter that works in blocks, takes to settle, and more."""

SINE_S: Final = 0.4


class Quality(NamedTuple):
    """Levels in dB, delays in ms."""

    snr: float
    ripple: float
    stop_band: float
    delay_min: float
    delay_mean: float
    delay_max: float


def measure(make: Make, from_hz: int, to_hz: int) -> Quality:
    """All of it for one converter and ratio."""
    nyquist_hz = min(from_hz, to_hz) / 2
    levels, noises = [], []
    for fraction in np.linspace(0.02, PASS, 23):
        level, noise = answer(make, from_hz, to_hz, fraction * nyquist_hz)
        levels.append(decibels(level))
        noises.append(decibels(level / np.sqrt(2) / noise))
    return Quality(
        min(noises),
        float(np.abs(levels).max()),
        stop_band(make, from_hz, to_hz),
        *delays(make, from_hz, to_hz),
    )


def answer(make: Make, from_hz: int, to_hz: int, frequency_hz: float) -> tuple[float, float]:
    """The level of a sine of amplitude 1 after it, and the RMS of all that is not the sine."""
    output = converted(make(from_hz, to_hz), from_hz, sine(frequency_hz, from_hz))
    output = output[round(SETTLED_S * to_hz) :]
    phase = 2 * np.pi * frequency_hz * np.arange(output.size) / to_hz
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, output, rcond=None)
    rest = output - basis @ fitted
    return float(np.hypot(*fitted)), max(float(np.sqrt(np.mean(rest**2))), 1e-12)


def stop_band(make: Make, from_hz: int, to_hz: int) -> float:
    """The strongest image or alias of a sine, in dB below it.

    Up, sines below the input's Nyquist frequency leave images above it. Down, sines above the
    output's Nyquist frequency come back below it.
    """
    positions = np.linspace(0.01, 0.99, 25)
    if to_hz > from_hz:
        return max(
            decibels(answer(make, from_hz, to_hz, at * from_hz / 2)[1] * np.sqrt(2))
            for at in positions
        )
    found = []
    for at in positions:
        frequency_hz = (to_hz + at * (from_hz - to_hz)) / 2
        output = converted(make(from_hz, to_hz), from_hz, sine(frequency_hz, from_hz))
        output = output[round(SETTLED_S * to_hz) :]
        found.append(decibels(max(float(np.sqrt(2 * np.mean(output**2))), 1e-12)))
    return max(found)


def delays(make: Make, from_hz: int, to_hz: int) -> tuple[float, float, float]:
    """The lag of the output behind the input after each 20 ms, in ms: least, mean, most."""
    shift_s = shift(make, from_hz, to_hz)
    convert, frame = make(from_hz, to_hz), from_hz // FRAMES_PER_SECOND
    lags, output = [], 0
    for count in range(1, 301):
        output += convert(np.zeros(frame, np.float32)).size
        if count > 100:  # noqa: PLR2004  # settled
            lags.append(1000 * (count * frame / from_hz - output / to_hz + shift_s))
    return min(lags), float(np.mean(lags)), max(lags)


def shift(make: Make, from_hz: int, to_hz: int) -> float:
    """The delay of the output against the input, in seconds.

    The centre of a soft pulse's energy, before and after.
    """
    seconds = np.arange(from_hz) / from_hz
    pulse = np.exp(-0.5 * ((seconds - 0.4) / 0.002) ** 2).astype(np.float32)
    output = converted(make(from_hz, to_hz), from_hz, pulse)
    return centre(output, to_hz) - centre(pulse.astype(np.float64), from_hz)


def centre(samples: NDArray[np.float64], rate_hz: int) -> float:
    """The place of a pulse's energy, in seconds."""
    energy = samples**2
    return float((energy * np.arange(samples.size)).sum() / energy.sum() / rate_hz)


def converted(convert: Convert, from_hz: int, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """All that a converter gives for some samples in frames of 20 ms, without its tail."""
    frame = from_hz // FRAMES_PER_SECOND
    parts = [
        convert(samples[begin : begin + frame]).reshape(-1)
        for begin in range(0, samples.size - frame + 1, frame)
    ]
    return np.concatenate(parts).astype(np.float64)


def sine(frequency_hz: float, rate_hz: int) -> NDArray[np.float32]:
    """Amplitude 1."""
    phase = 2 * np.pi * frequency_hz * np.arange(round(SINE_S * rate_hz)) / rate_hz
    return np.sin(phase).astype(np.float32)


def decibels(level: float) -> float:
    """Of a ratio of amplitudes."""
    return float(20 * np.log10(level))

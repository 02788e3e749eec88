"""Tones, and the pitch they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tone(rate_hz: int, seconds: float, hz: float = 440.0) -> NDArray[np.float64]:
    """A sine of half the full height."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def pitch_hz(samples: NDArray[Any], rate_hz: int) -> float:
    """The frequency at which the spectrum is highest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)

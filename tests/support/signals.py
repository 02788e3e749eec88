"""Signals that show by themselves whether something is missing, doubled or out of tune."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import soxr

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE_SIMILARITY = 0.8
"""Opus at 96 kbit/s keeps 0.99 of a chirp; a piece with a gap or another pitch stays below 0.6."""

QUIET_RMS = 500
"""About 36 dB below full scale: less is breath and room."""

DATA = Path(__file__).parent.parent / "data"


def tone(seconds: float, hz: float, rate_hz: int = 48_000, level: float = 0.5) -> NDArray[np.int16]:
    """A sine, int16 ``(n,)``."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * 32767 * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def chirp(seconds: float, rate_hz: int = 48_000, level: float = 0.5) -> NDArray[np.int16]:
    """A sine that rises from 200 to 3,000 Hz: no two moments of it are alike."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (200 * t + (3000 - 200) / (2 * seconds) * t * t)
    return (level * 32767 * np.sin(phase)).astype(np.int16)


def correlation(a: NDArray[Any], b: NDArray[Any]) -> tuple[float, int]:
    """The best normalised correlation of ``b`` with a stretch of ``a``, and where it begins."""
    a, b = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    size = 1 << (a.size + b.size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    lags = product[: max(1, a.size - b.size // 2)]
    begin = int(np.argmax(np.abs(lags)))
    stretch = a[begin : begin + b.size]
    norm = np.sqrt((stretch**2).sum() * (b[: stretch.size] ** 2).sum()) + 1e-9
    return float(abs((stretch * b[: stretch.size]).sum()) / norm), begin


def pieces_found(
    received: NDArray[np.int16], sent: NDArray[np.int16], piece_samples: int = 4_800
) -> list[int]:
    """The position in ``received`` of each loud piece of ``sent``; -1 for one that is not there.

    Quiet pieces are left out: one silence is like another. A frame of silence between two pieces,
    as a busy machine may put there, does no harm.
    """
    found = []
    for begin in range(0, sent.size - piece_samples + 1, piece_samples):
        piece = sent[begin : begin + piece_samples].astype(np.float64)
        if np.sqrt(np.mean(piece**2)) < QUIET_RMS:
            continue
        similarity, at = correlation(received, piece)
        found.append(at if similarity > PIECE_SIMILARITY else -1)
    return found


def nearly_whole(received: NDArray[np.int16], sent: NDArray[np.int16]) -> bool:
    """True once all loud pieces of ``sent`` came but one at most.

    For WebRTC: a busy machine may lose a packet, and nobody sends it again.
    """
    return pieces_found(received, sent).count(-1) <= 1


def pitch_hz(samples: NDArray[np.int16] | NDArray[np.float32], rate_hz: int) -> float:
    """The strongest frequency of the samples, in Hz."""
    windowed = samples.astype(np.float64) * np.hanning(samples.size)
    return float(np.argmax(np.abs(np.fft.rfft(windowed))) * rate_hz / samples.size)


@cache
def labels() -> dict[str, Any]:
    """The recordings' labels: utterances with their starts and ends in ms."""
    return json.loads((DATA / "labels.json").read_text())  # type: ignore[no-any-return]


@cache
def speech(name: str) -> tuple[int, NDArray[np.int16]]:
    """A recording: rate in Hz and int16 ``(n,)``; treat it as read-only."""
    with av.open(str(DATA / f"{name}.flac")) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate_hz = container.streams.audio[0].rate
    samples: NDArray[Any] = np.concatenate(frames, axis=1).reshape(-1)
    return rate_hz, samples if samples.dtype == np.int16 else _narrow(samples)


def _narrow(samples: NDArray[Any]) -> NDArray[np.int16]:
    """int16 from FLAC's 32-bit form, in which 16-bit samples fill the upper half."""
    return (samples.astype(np.int32) >> 16).astype(np.int16)


@cache
def speech_at_48k(name: str) -> NDArray[np.int16]:
    """A recording at the rate of a session, int16 ``(n,)``; treat it as read-only."""
    rate_hz, samples = speech(name)
    return soxr.resample(samples, rate_hz, 48_000)  # type: ignore[no-any-return]

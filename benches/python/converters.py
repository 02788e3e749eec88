"""Sample-rate converters that stream, each behind the same two things: a name and `convert`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
import peers
from report import ROOT  # noqa: F401  # makes the package importable

from gradio_webrtc._audio import Resampler  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Convert = Callable[[NDArray[np.float32]], NDArray[np.float32]]

FRAMES_PER_SECOND: Final = 50


def ours(from_hz: int, to_hz: int) -> Convert:
    """The resampler of the package, in the way that a session's audio passes it."""
    return Resampler(from_hz, to_hz).process


def soxr_hq(from_hz: int, to_hz: int) -> Convert:
    """Soxr's stream at its quality "HQ"."""
    import soxr  # noqa: PLC0415

    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ").resample_chunk


def libswresample(from_hz: int, to_hz: int) -> Convert:
    """PyAV's AudioResampler with its defaults, as fastrtc has it; frames included."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to_hz)

    def convert(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = from_hz
        return np.concatenate(
            [each.to_ndarray().reshape(-1) for each in resampler.resample(frame)]
            or [np.zeros(0, np.float32)]
        )

    return convert


def samplerate(from_hz: int, to_hz: int) -> Convert:
    """Libsamplerate's medium sinc: 121 dB over 0.9 of the band, as ours."""
    import samplerate as package  # noqa: PLC0415

    resampler = package.Resampler("sinc_medium", channels=1)
    return lambda samples: resampler.process(samples, to_hz / from_hz)


def available() -> tuple[dict[str, Callable[[int, int], Convert]], str | None]:
    """The converters by name, and a line about those that are not installed."""
    found: dict[str, Any] = {"ours": ours, "libswresample": libswresample}
    if line := peers.absent(peers.KERNELS):
        return found, line
    sys.path.append(str(peers.KERNELS.packages))
    return {**found, "soxr": soxr_hq, "samplerate": samplerate}, None

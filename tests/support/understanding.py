"""A transcriber that recognises two words by their level, for `conversing`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .conversing import LOUDNESS, RATE_HZ, WINDOW_SAMPLES, audio_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPUTER: Final = 1.0
"""The level of the stop word, as a probability for `ScriptedVad`; other speech is below."""

OTHER: Final = 0.8

WORD_WINDOWS: Final = 16
ENOUGH_WINDOWS: Final = 12
"""So much of the word is understood as the word."""


def windows_at(samples: NDArray[Any], probability: float) -> float:
    """The number of windows of the audio, int16 or float32, that have this level."""
    level = samples.reshape(-1) * (32768 if samples.dtype.kind == "f" else 1)
    return float((np.abs(level - probability * LOUDNESS) < 1).sum() / WINDOW_SAMPLES)


def computer() -> NDArray[np.int16]:
    """The stop word, spoken."""
    return audio_at(COMPUTER, WORD_WINDOWS)


class FakeModel:
    """Meets `STTModel`.

    Attributes:
        looks: The lengths of the audio that it was given, in seconds.
        threads: The threads in which it ran.
        may_answer: Cleared, it blocks.
        asked: Set once it has been asked.
        error: Raised in place of the next answer.
    """

    def __init__(self) -> None:
        self.looks: list[float] = []
        self.threads: set[int] = set()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = threading.Event()
        self.error: Exception | None = None

    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        rate_hz, samples = audio
        assert rate_hz == RATE_HZ
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        self.looks.append(samples.size / rate_hz)
        self.threads.add(threading.get_ident())
        self.asked.set()
        self.may_answer.wait()
        error, self.error = self.error, None
        if error is not None:
            raise error
        words = ["Computer!"] if windows_at(samples, COMPUTER) >= ENOUGH_WINDOWS else []
        return " ".join(words + ["so on"] * bool(windows_at(samples, OTHER)))

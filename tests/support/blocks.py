"""Speech in blocks, as fastrtc's models receive it, and a function that takes its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .conversing import LOUDNESS, RATE_HZ, audio_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK_S = 0.6
CHUNK = (24000, np.ones((1, 480), np.int16))


class Model:
    """A PauseDetectionModel: the level of the audio is the share of speech in it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Any]] = []

    def vad(
        self, audio: tuple[int, NDArray[np.int16]], options: Any
    ) -> tuple[float, list[dict[str, int]]]:
        rate_hz, samples = audio
        self.asked.append((rate_hz, samples.size, options))
        return float(samples.mean() / LOUDNESS * samples.size / rate_hz), []

    def warmup(self) -> None: ...


class Recorder:
    """Stores the audio of each turn, and answers with one chunk."""

    def __init__(self) -> None:
        self.received: list[NDArray[np.int16]] = []

    def __call__(self, audio: tuple[int, NDArray[np.int16]]) -> Iterator[Any]:
        self.received.append(audio[1])
        yield CHUNK


def block(probability: float) -> NDArray[np.int16]:
    """A block with this share of speech in it."""
    return audio_at(probability, BLOCK_S * RATE_HZ / 512)

"""The speech of the browser's user, and the transcription of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from scipy.io import wavfile
from talk_speech import Ears, Voice

from .browser import RATE_HZ

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Line:
    """One utterance of the user, `at_s` seconds after the microphone was opened."""

    at_s: float
    samples: Samples
    """float32, (samples,), at 48 kHz."""


def speak(voice: Voice, text: str, at_s: float) -> Line:
    """`text` in the demo's own voice, which its recogniser understands."""
    spoken = np.concatenate(list(voice.say(text)))
    return Line(at_s, soxr.resample(spoken, voice.sample_rate, RATE_HZ).astype(np.float32))


def write_microphone(path: Path, lines: Sequence[Line], *, silence_s: float = 1.0) -> Path:
    """Write the user's speech as a WAV file for Chromium: int16 mono at 48 kHz.

    The first line must leave at least half a second of silence before it: what is said before
    the session stands is lost.
    """
    assert all(line.at_s >= 0.5 for line in lines)
    ends = [round(line.at_s * RATE_HZ) + len(line.samples) for line in lines]
    track = np.zeros(max(ends, default=0) + round(silence_s * RATE_HZ), np.float32)
    for line, end in zip(lines, ends, strict=True):
        track[end - len(line.samples) : end] += line.samples
    wavfile.write(path, RATE_HZ, (np.clip(track, -1, 1) * 32767).astype(np.int16))
    return path


def transcribe(ears: Ears, recording: Samples) -> str:
    """The words in `recording` (float32, (samples,), at 48 kHz)."""
    samples = soxr.resample(recording, RATE_HZ, ears.sample_rate)
    return ears.transcribe((np.clip(samples, -1, 1) * 32767).astype(np.int16)[np.newaxis])


def utterances(recording: Samples, *, gap_s: float = 0.7) -> list[Samples]:
    """The loud parts of `recording`, parted where it is quiet for at least `gap_s` seconds."""
    block = RATE_HZ // 50
    blocks = recording[: len(recording) // block * block].reshape(-1, block)
    loud = np.flatnonzero(np.abs(blocks).max(axis=1) > 0.005)  # as recorder.js: -46 dBFS
    if not len(loud):
        return []
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > gap_s * 50) + 1)
    margin = round(0.1 * 50)
    return [blocks[max(0, part[0] - margin) : part[-1] + margin].ravel() for part in parts]

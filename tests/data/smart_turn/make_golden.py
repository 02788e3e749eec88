"""Writes the features that pipecat computes for Smart Turn from recordings, and its probabilities.

    pip install pipecat-ai==1.14.0 soundfile
    python make_golden.py .. features.npz

Each eighth frame of 10 ms, in steps of 0.0001, so that the file is small. README.md in the folder
above describes the recordings.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

RECORDINGS = ("asterisk_hello_world_16k", "asterisk_vm_intro_16k", "austen_0870_16k+goforward_16k")
"""Of 1.4, 5.7 and 9.9 seconds: the model looks at 8."""

WINDOW_SAMPLES = 128_000
EVERY_FRAMES = 8
STEPS = 10_000


def main() -> None:
    """Reads the recordings and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("output", type=Path)
    places = parser.parse_args()
    analyzer = LocalSmartTurnAnalyzerV3(sample_rate=16_000)
    arrays = {}
    for name in RECORDINGS:
        files = [places.recordings / f"{each}.flac" for each in name.split("+")]
        samples = np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])
        last = samples[-WINDOW_SAMPLES:]
        window = np.pad(last, (WINDOW_SAMPLES - last.size, 0))
        features = compute_whisper_log_mel_features(window)[:, ::EVERY_FRAMES]
        probability = analyzer._predict_endpoint(samples)["probability"]  # noqa: SLF001
        arrays[name] = np.rint(features * STEPS).astype(np.int16)
        arrays[f"probability of {name}"] = np.array(probability)
    np.savez_compressed(places.output, **arrays)


if __name__ == "__main__":
    main()

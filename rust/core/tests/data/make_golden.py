"""Writes the probabilities that onnxruntime computes with Silero VAD for real speech and noise.

    pip download silero-vad==6.2.3 --no-deps
    python make_golden.py silero_vad-6.2.3-py3-none-any.whl tests/data rust/core/tests/data

Needs `numpy`, `onnxruntime` and `soundfile`. PROVENANCE.md describes the result.
"""

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

MODEL = "silero_vad/data/silero_vad.onnx"

# Recordings of 16 kHz; the list of `golden_silero.rs`.
RECORDINGS = (
    "asterisk_demo_thanks_16k.flac",
    "asterisk_dir_instr_16k.flac",
    "asterisk_hello_world_16k.flac",
    "asterisk_ss_noservice_16k.flac",
    "asterisk_vm_intro_16k.flac",
    "asterisk_vm_invalid_password_16k.flac",
    "asterisk_vm_newuser_16k.flac",
    "austen_0870_16k.flac",
    "austen_0880_16k.flac",
    "cards_003_16k.flac",
    "cards_005_16k.flac",
    "goforward_16k.flac",
    "noise/babble14_16k.flac",
    "noise/gen_pink_16k.flac",
)

# The input of the 8 kHz net is every second sample, with aliases: a filter would have to be
# described and reproduced, and a comparison does not need clean audio.
STEPS = {16_000: 1, 8_000: 2}

Floats = NDArray[np.float32]


def load_session(wheel: Path) -> onnxruntime.InferenceSession:
    """Loads the model inside the wheel, on one thread of the processor."""
    with zipfile.ZipFile(wheel) as archive:
        model = archive.read(MODEL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def probabilities(
    session: onnxruntime.InferenceSession, samples: Floats, sample_rate: int
) -> Iterator[float]:
    """Yields the probability of each window of `samples`, `(n,)`, -1 to 1, from a new state."""
    window = 512 * sample_rate // 16_000
    context = np.zeros(window // 8, np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    for start in range(0, len(samples) - window + 1, window):
        padded = np.concatenate([context, samples[start : start + window]])
        inputs = {"input": padded[None], "state": state, "sr": np.array(sample_rate)}
        probability, state = session.run(None, inputs)
        context = padded[-len(context) :]
        yield float(probability[0, 0])


def main() -> None:
    """Reads the wheel and the recordings named on the command line and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    session = load_session(arguments.wheel)
    for sample_rate, step in STEPS.items():
        golden: list[float] = []
        for name in RECORDINGS:
            pcm, _ = soundfile.read(arguments.recordings / name, dtype="int16")
            samples = (pcm[::step] / 32_768).astype(np.float32)
            golden.extend(probabilities(session, samples, sample_rate))
        file = arguments.folder / f"silero_{sample_rate // 1_000}k.f32"
        file.write_bytes(np.array(golden, "<f4").tobytes())


if __name__ == "__main__":
    main()

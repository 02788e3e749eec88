"""Small nets in place of those whose weights are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from gradio_webrtc._turns.smart_turn import FRAMES, MELS

if TYPE_CHECKING:
    from pathlib import Path


def write_smart_turn(path: Path, mels: int = MELS) -> Path:
    """A net of the form of Smart Turn: its probability is the sigmoid of the features' mean."""
    shape: list[str | int | None] = ["n", mels, FRAMES]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input_features"], ["mean"], axes=[1, 2], keepdims=1),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Sigmoid", ["flat"], ["logits"]),
        ],
        "smart-turn",
        [helper.make_tensor_value_info("input_features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1])],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(net, str(path))
    return path

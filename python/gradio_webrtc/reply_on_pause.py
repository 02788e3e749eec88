"""The import path of `ReplyOnPause` in gradio_webrtc 0.0.31 and fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from ._advice import names_elsewhere
from ._handlers import (
    AlgoOptions,
    AppState,
    ModelOptions,
    PauseDetectionModel,
    ReplyFnGenerator,
    ReplyOnPause,
    get_silero_model,
)
from ._handlers import get_silero_model as get_vad_model
from ._legacy.outputs import split_output
from ._messages import create_message

__all__ = [
    "AlgoOptions",
    "AppState",
    "ModelOptions",
    "PauseDetectionModel",
    "ReplyFnGenerator",
    "ReplyOnPause",
    "create_message",
    "get_silero_model",
    "get_vad_model",
    "split_output",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

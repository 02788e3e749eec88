"""Where both predecessors had `ReplyOnPause`.

New code imports from `gradio_webrtc`.
"""

from .handlers import (
    AlgoOptions,
    AppState,
    ModelOptions,
    PauseDetectionModel,
    ReplyOnPause,
    get_silero_model,
)
from .handlers import get_silero_model as get_vad_model

__all__ = [
    "AlgoOptions",
    "AppState",
    "ModelOptions",
    "PauseDetectionModel",
    "ReplyOnPause",
    "get_silero_model",
    "get_vad_model",
]

"""Where both predecessors had Silero.

New code imports from `gradio_webrtc`.
"""

from .handlers import (
    ModelOptions,
    PauseDetectionModel,
    SileroVADModel,
    SileroVadOptions,
    get_silero_model,
)

__all__ = [
    "ModelOptions",
    "PauseDetectionModel",
    "SileroVADModel",
    "SileroVadOptions",
    "get_silero_model",
]

"""The import path of Silero in gradio_webrtc 0.0.31 and fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from gradio_webrtc._advice import names_elsewhere
from gradio_webrtc._handlers import (
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

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

"""The import path of Silero's own module in fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from gradio_webrtc._advice import names_elsewhere
from gradio_webrtc._handlers import (
    PauseDetectionModel,
    SileroVADModel,
    SileroVadOptions,
    get_silero_model,
)

__all__ = ["PauseDetectionModel", "SileroVADModel", "SileroVadOptions", "get_silero_model"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

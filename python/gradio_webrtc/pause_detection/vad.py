"""The import path of Silero's own module in gradio_webrtc 0.0.31.

New code imports from `gradio_webrtc`.
"""

import typing

from gradio_webrtc._advice import names_elsewhere
from gradio_webrtc._handlers import SileroVADModel, SileroVadOptions

__all__ = ["SileroVADModel", "SileroVadOptions"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

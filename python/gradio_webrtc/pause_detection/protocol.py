"""The import path of the protocol of detectors in fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from gradio_webrtc._advice import names_elsewhere
from gradio_webrtc._handlers import ModelOptions, PauseDetectionModel

__all__ = ["ModelOptions", "PauseDetectionModel"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

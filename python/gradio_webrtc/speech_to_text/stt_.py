"""The import path of speech to text in gradio_webrtc 0.0.31 and fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from gradio_webrtc._advice import names_elsewhere

from . import MoonshineSTT, STTModel, get_stt_model, stt, stt_for_chunks

__all__ = ["MoonshineSTT", "STTModel", "get_stt_model", "stt", "stt_for_chunks"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

"""fastrtc's module of text to speech models.

The names alone: the code is in ``_turns/text_to_speech.py``.
"""

import typing

from gradio_webrtc._advice import names_elsewhere
from gradio_webrtc._turns.text_to_speech import (
    CartesiaTTSModel,
    CartesiaTTSOptions,
    HibariTTSModel,
    HibariTTSOptions,
    KokoroTTSModel,
    KokoroTTSOptions,
    TTSModel,
    TTSOptions,
    get_tts_model,
)

__all__ = [
    "CartesiaTTSModel",
    "CartesiaTTSOptions",
    "HibariTTSModel",
    "HibariTTSOptions",
    "KokoroTTSModel",
    "KokoroTTSOptions",
    "TTSModel",
    "TTSOptions",
    "get_tts_model",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

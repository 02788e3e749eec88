"""The protocol of speech synthesisers, as fastrtc had it: for the annotations of users' own code.

No synthesiser comes with the package.
"""

import typing

from gradio_webrtc._advice import names_elsewhere

from .tts import TTSModel, TTSOptions

__all__ = ["TTSModel", "TTSOptions"]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

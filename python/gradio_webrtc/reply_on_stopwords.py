"""The import path of `ReplyOnStopWords` in gradio_webrtc 0.0.31 and fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from ._advice import names_elsewhere
from ._handlers.reply_on_stopwords import ReplyOnStopWords, ReplyOnStopWordsState

__all__ = [
    "ReplyOnStopWords",
    "ReplyOnStopWordsState",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

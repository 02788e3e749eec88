"""Where both predecessors had `ReplyOnStopWords`.

New code imports from `gradio_webrtc`.
"""

from .handlers.reply_on_stopwords import ReplyOnStopWords, ReplyOnStopWordsState

__all__ = [
    "ReplyOnStopWords",
    "ReplyOnStopWordsState",
]

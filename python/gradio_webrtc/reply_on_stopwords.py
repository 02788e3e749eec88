"""Where both predecessors had `ReplyOnStopWords`.

New code imports from `gradio_webrtc`.
"""

from .handlers import ReplyOnStopWords, ReplyOnStopWordsState

__all__ = [
    "ReplyOnStopWords",
    "ReplyOnStopWordsState",
]

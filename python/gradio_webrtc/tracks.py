"""Where fastrtc had the handlers.

New code imports from `gradio_webrtc`.
"""

from .handlers import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    HandlerType,
    StreamHandler,
    StreamHandlerBase,
    StreamHandlerImpl,
    VideoStreamHandler,
)
from .types import AudioEmitType, EmitType, VideoEmitType

__all__ = [
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "EmitType",
    "HandlerType",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
    "VideoEmitType",
    "VideoStreamHandler",
]

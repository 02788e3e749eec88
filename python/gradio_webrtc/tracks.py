"""The import path of the handlers in fastrtc.

New code imports from `gradio_webrtc`.
"""

import typing

from ._advice import names_elsewhere
from ._handlers import (
    AsyncAudioVideoStreamHandler,
    AsyncHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    AudioVideoStreamHandlerImpl,
    HandlerType,
    StreamHandler,
    StreamHandlerBase,
    StreamHandlerImpl,
    VideoEventGenerator,
    VideoEventHandler,
    VideoStreamHandler,
    VideoStreamHandlerImpl,
)
from .types import AudioEmitType, EmitType, VideoEmitType
from .types import VideoFrame as VideoNDArray

__all__ = [
    "AsyncAudioVideoStreamHandler",
    "AsyncHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "AudioVideoStreamHandlerImpl",
    "EmitType",
    "HandlerType",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
    "VideoEmitType",
    "VideoEventGenerator",
    "VideoEventHandler",
    "VideoNDArray",
    "VideoStreamHandler",
    "VideoStreamHandlerImpl",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

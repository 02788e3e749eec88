"""The import path of the component and the handlers in gradio_webrtc 0.0.31.

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
    StreamHandler,
    StreamHandlerBase,
    StreamHandlerImpl,
    VideoEventHandler,
    VideoStreamHandlerImpl,
)
from .component import WebRTC
from .errors import WebRTCError
from .types import AdditionalOutputs, AudioEmitType, EmitType, VideoEmitType

__all__ = [
    "AdditionalOutputs",
    "AsyncAudioVideoStreamHandler",
    "AsyncHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "AudioVideoStreamHandlerImpl",
    "EmitType",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
    "VideoEmitType",
    "VideoEventHandler",
    "VideoStreamHandlerImpl",
    "WebRTC",
    "WebRTCError",
]

if not typing.TYPE_CHECKING:
    __getattr__ = names_elsewhere(__name__)

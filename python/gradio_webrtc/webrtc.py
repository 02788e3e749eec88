"""Where gradio_webrtc 0.0.x had the component and the handlers.

New code imports from `gradio_webrtc`.
"""

from .component import WebRTC
from .errors import WebRTCError
from .handlers import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
    StreamHandlerBase,
)
from .types import AdditionalOutputs, AudioEmitType, EmitType, VideoEmitType

__all__ = [
    "AdditionalOutputs",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioEmitType",
    "AudioVideoStreamHandler",
    "EmitType",
    "StreamHandler",
    "StreamHandlerBase",
    "VideoEmitType",
    "WebRTC",
    "WebRTCError",
]

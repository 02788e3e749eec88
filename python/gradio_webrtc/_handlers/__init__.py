"""The handlers: base classes for users, and the ready-made ones but `reply_on_stopwords`.

That one is imported by itself, since few programs use it. Handlers import neither transports nor
sessions.
"""

from gradio_webrtc._legacy.blocks import AppState
from gradio_webrtc._turns.options import AlgoOptions, SileroVadOptions, Speculation
from gradio_webrtc._turns.voice_activity import (
    ModelOptions,
    PauseDetectionModel,
    SileroVADModel,
    get_silero_model,
)

from .aliases import (
    AsyncHandler,
    AudioVideoStreamHandlerImpl,
    HandlerType,
    ReplyFnGenerator,
    StreamHandlerImpl,
    VideoEventGenerator,
    VideoEventHandler,
    VideoStreamHandlerImpl,
)
from .functions import AudioGenerator, VideoFunction, VideoGenerator, VideoStreamHandler
from .notices import (
    Context,
    MessageRelay,
    Warning,  # noqa: A004 - the name in fastrtc
    current_channel,
    current_context,
    current_session,
    get_current_context,
    in_session,
)
from .reply_on_pause import ReplyOnPause
from .stream_handler import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
    StreamHandlerBase,
)
from .turn_handler import TurnHandler

__all__ = [
    "AlgoOptions",
    "AppState",
    "AsyncAudioVideoStreamHandler",
    "AsyncHandler",
    "AsyncStreamHandler",
    "AudioGenerator",
    "AudioVideoStreamHandler",
    "AudioVideoStreamHandlerImpl",
    "Context",
    "HandlerType",
    "MessageRelay",
    "ModelOptions",
    "PauseDetectionModel",
    "ReplyFnGenerator",
    "ReplyOnPause",
    "SileroVADModel",
    "SileroVadOptions",
    "Speculation",
    "StreamHandler",
    "StreamHandlerBase",
    "StreamHandlerImpl",
    "TurnHandler",
    "VideoEventGenerator",
    "VideoEventHandler",
    "VideoFunction",
    "VideoGenerator",
    "VideoStreamHandler",
    "VideoStreamHandlerImpl",
    "Warning",
    "current_channel",
    "current_context",
    "current_session",
    "get_current_context",
    "get_silero_model",
    "in_session",
]

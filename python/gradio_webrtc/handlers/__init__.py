"""The handlers: what users subclass, and the ready-made ones."""

from .base import StreamHandlerBase
from .blocks import AppState
from .generating import AudioGenerator
from .notices import Warning, current_call  # noqa: A004 - its predecessors' name
from .options import AlgoOptions, SileroVadOptions
from .reply_on_pause import ReplyOnPause
from .reply_on_stopwords import ReplyOnStopWords, ReplyOnStopWordsState
from .silero import ModelOptions, PauseDetectionModel, SileroVADModel, get_silero_model
from .stream_handler import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
)
from .turn_handler import TurnHandler
from .video import VideoFunction, VideoGenerator, VideoStreamHandler

__all__ = [
    "AlgoOptions",
    "AppState",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioGenerator",
    "AudioVideoStreamHandler",
    "ModelOptions",
    "PauseDetectionModel",
    "ReplyOnPause",
    "ReplyOnStopWords",
    "ReplyOnStopWordsState",
    "SileroVADModel",
    "SileroVadOptions",
    "StreamHandler",
    "StreamHandlerBase",
    "TurnHandler",
    "VideoFunction",
    "VideoGenerator",
    "VideoStreamHandler",
    "Warning",
    "current_call",
    "get_silero_model",
]

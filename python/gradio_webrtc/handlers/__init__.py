"""The handlers: what users subclass, and the ready-made ones."""

from .base import StreamHandlerBase
from .stream_handler import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
)

__all__ = [
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioVideoStreamHandler",
    "StreamHandler",
    "StreamHandlerBase",
]

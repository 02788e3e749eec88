"""Names of unions of handlers, for the annotations of users' own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .stream_handler import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
)
from .video import VideoStreamHandler

StreamHandlerImpl: TypeAlias = StreamHandler | AsyncStreamHandler
"""A handler of sound."""

AudioVideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler
"""A handler of sound and pictures."""

HandlerType: TypeAlias = (
    StreamHandlerImpl | AudioVideoStreamHandlerImpl | VideoStreamHandler | Callable[..., Any]
)
"""What ``stream`` takes."""

"""Names of unions of handlers, for the annotations of users' own code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

from gradio_webrtc.types import EmitType, VideoEmitType

from .functions import VideoStreamHandler
from .stream_handler import (
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    StreamHandler,
)

StreamHandlerImpl: TypeAlias = StreamHandler | AsyncStreamHandler
"""A handler of sound."""

AudioVideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler
"""A handler of sound and pictures."""

VideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandlerImpl
"""A handler of sound and pictures, by its other name."""

AsyncHandler: TypeAlias = AsyncStreamHandler | AsyncAudioVideoStreamHandler
"""A handler of coroutines."""

ReplyFnGenerator: TypeAlias = Callable[..., Iterator[EmitType] | AsyncIterator[EmitType]]
"""The function that answers the turns of `ReplyOnPause`."""

VideoEventGenerator: TypeAlias = Iterator[VideoEmitType]
"""The result of a function of pictures in mode "receive"."""

VideoEventHandler: TypeAlias = Callable[..., VideoEmitType | VideoEventGenerator]
"""A function of pictures."""

HandlerType: TypeAlias = (
    StreamHandlerImpl | AudioVideoStreamHandlerImpl | VideoStreamHandler | Callable[..., Any]
)
"""What ``stream`` takes."""

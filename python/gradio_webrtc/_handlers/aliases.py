"""Names of unions of handlers, for the annotations of users' own code.

They exist for type checkers; nothing here runs. Imports the base classes alone.
"""

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
"""A handler of audio."""

AudioVideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandler | AsyncAudioVideoStreamHandler
"""A handler of audio and video."""

VideoStreamHandlerImpl: TypeAlias = AudioVideoStreamHandlerImpl
"""A handler of audio and video, by its other name."""

AsyncHandler: TypeAlias = AsyncStreamHandler | AsyncAudioVideoStreamHandler
"""A handler of coroutines."""

ReplyFnGenerator: TypeAlias = Callable[..., Iterator[EmitType] | AsyncIterator[EmitType]]
"""The function that answers the turns of `ReplyOnPause`."""

VideoEventGenerator: TypeAlias = Iterator[VideoEmitType]
"""The result of a video function in mode "receive"."""

VideoEventHandler: TypeAlias = Callable[..., VideoEmitType | VideoEventGenerator]
"""A video function."""

HandlerType: TypeAlias = (
    StreamHandlerImpl | AudioVideoStreamHandlerImpl | VideoStreamHandler | Callable[..., Any]
)
"""Anything that ``stream`` takes as a handler."""

"""The classes that users subclass to hear a caller and to speak to them, sync and async."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING

from .base import StreamHandlerBase

if TYPE_CHECKING:
    from gradio_webrtc.types import AudioFrame, EmitType, VideoEmitType, VideoFrame


class StreamHandler(StreamHandlerBase):
    """Hears and speaks with ordinary functions, each in a thread of the caller's own.

    ``emit`` may block; returning ``None`` means nothing now, and it is asked again 20 ms later.

    Example:
        >>> from queue import SimpleQueue
        >>> class Echo(StreamHandler):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.frames = SimpleQueue()
        ...
        ...     def receive(self, frame):
        ...         self.frames.put(frame)
        ...
        ...     def emit(self):
        ...         return self.frames.get()
        ...
        ...     def copy(self):
        ...         return Echo()
    """

    @abstractmethod
    def receive(self, frame: AudioFrame) -> None:
        """Takes the next sound from the caller.

        Args:
            frame: ``(input_sample_rate, int16)`` with ``input_frame_size`` samples per channel:
                ``(1, n)`` mono, ``(1, 2 * n)`` packed stereo.
        """

    @abstractmethod
    def emit(self) -> EmitType:
        """The next thing for the caller, or ``None`` for nothing now.

        Returns:
            ``(rate, samples)`` or ``(rate, samples, layout)``, `AdditionalOutputs`, `CloseStream`,
            or sound and one of those two as a pair.
        """


class AsyncStreamHandler(StreamHandlerBase):
    """Hears and speaks with coroutines, on the event loop. See `StreamHandler` for the shapes."""

    @abstractmethod
    async def receive(self, frame: AudioFrame) -> None:
        """Takes the next sound from the caller. See `StreamHandler.receive`."""

    @abstractmethod
    async def emit(self) -> EmitType:
        """The next thing for the caller, or ``None``. See `StreamHandler.emit`."""


class AudioVideoStreamHandler(StreamHandler):
    """A `StreamHandler` that also sees and shows. Sound is optional: silent and deaf by default."""

    def receive(self, frame: AudioFrame) -> None:
        """Ignores the caller's sound; override it to hear."""

    def emit(self) -> EmitType:
        """Says nothing; override it to speak."""
        return None

    @property
    def receive_is_light(self) -> bool:
        """Ignoring sound takes no thread."""
        return type(self).receive is AudioVideoStreamHandler.receive

    async def wait_until_ready(self) -> None:
        """Returns at once, but never for a handler that does not speak."""
        if type(self).emit is AudioVideoStreamHandler.emit:
            await asyncio.Event().wait()

    @abstractmethod
    def video_receive(self, frame: VideoFrame) -> None:
        """Takes the next picture: uint8, ``(height, width, 3)``, blue first."""

    @abstractmethod
    def video_emit(self) -> VideoEmitType:
        """The next picture in the same form, or ``None`` for nothing now."""


class AsyncAudioVideoStreamHandler(AsyncStreamHandler):
    """An `AsyncStreamHandler` that also sees and shows. Silent and deaf by default."""

    async def receive(self, frame: AudioFrame) -> None:
        """Ignores the caller's sound; override it to hear."""

    async def emit(self) -> EmitType:
        """Says nothing; override it to speak."""
        return None

    async def wait_until_ready(self) -> None:
        """Returns at once, but never for a handler that does not speak."""
        if type(self).emit is AsyncAudioVideoStreamHandler.emit:
            await asyncio.Event().wait()

    @abstractmethod
    async def video_receive(self, frame: VideoFrame) -> None:
        """Takes the next picture: uint8, ``(height, width, 3)``, blue first."""

    @abstractmethod
    async def video_emit(self) -> VideoEmitType:
        """The next picture in the same form, or ``None`` for nothing now."""

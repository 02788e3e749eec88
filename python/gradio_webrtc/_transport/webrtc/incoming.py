"""The caller's sound, from aiortc's track to whoever hears it."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc.errors import ConnectionLost

from .aiortc_internals.inline import deliver_inline
from .opus import S16

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCRtpReceiver

    from gradio_webrtc._transport.base import AudioSink

INT16: Final = np.dtype(np.int16)


class AudioReceiver:
    """Hands on the caller's sound as int16 blocks.

    Args:
        receiver: aiortc's, of a track of sound.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._track: MediaStreamTrack = receiver.track

    async def carry(self, sink: AudioSink) -> None:
        """See `Transport.carry_audio`.

        What is decoded on the event loop is handed on there and then, in the context of this
        coroutine. What aiortc decodes comes through the track's queue, as does the end.
        """
        run = contextvars.copy_context().run
        try:
            deliver_inline(self._receiver, lambda frame: run(sink, read_block(frame)))
            while True:
                sink(read_block(await self._track.recv()))
        except MediaStreamError as error:
            raise ConnectionLost("the caller's audio track ended") from error
        finally:
            deliver_inline(self._receiver, drop)


def drop(_frame: object) -> None:
    """Packets come until the connection is closed, a while after the call is over."""


def read_block(frame: object) -> AudioBlock:
    """A frame that a track of sound gave.

    Raises:
        ConnectionLost: It is no sound, or its samples are not packed int16.
        Exception: The frame is one: what went wrong where frames are delivered inline.
    """
    if not isinstance(frame, AudioFrame):
        if isinstance(frame, Exception):
            raise frame
        raise ConnectionLost(f"expected decoded audio on the track, got {type(frame).__name__}")
    if frame.format.name != S16:
        raise ConnectionLost(f"expected packed s16 from the decoder, got {frame.format.name}")
    channels = frame.layout.nb_channels
    # A view, which `to_ndarray` would copy. The plane may be longer than the sound.
    plane: Any = frame.planes[0]
    samples = np.ndarray((1, frame.samples * channels), INT16, plane)
    return AudioBlock(frame.sample_rate, channels, samples)

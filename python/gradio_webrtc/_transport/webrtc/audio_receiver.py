"""Inbound audio, from aiortc's track to the session's sink.

Runs on the event loop, which decodes Opus; other codecs come decoded from a thread of aiortc.
Imports neither sessions nor handlers.
"""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any

from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from gradio_webrtc._transport.base import AudioBlock
from gradio_webrtc._transport.opus import S16, view_samples
from gradio_webrtc.errors import ConnectionLost

from .aiortc_internals import deliver_inline, drop_inline, opus_receiver_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCRtpReceiver

    from gradio_webrtc._audio import InboundTurns
    from gradio_webrtc._transport.base import AudioSink, Detected
    from gradio_webrtc.types import Layout


class AudioReceiver:
    """Delivers the remote peer's audio as int16 blocks.

    Args:
        receiver: aiortc's, of a track of audio.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._track: MediaStreamTrack = receiver.track

    async def carry(self, sink: AudioSink) -> None:
        """Calls ``sink`` with each block; see `Transport.carry_audio`.

        What is decoded on the event loop is delivered there and then, in the context of this
        coroutine. What aiortc decodes comes through the track's queue, and so does the end.
        """
        try:
            deliver_inline(self._receiver, sink, read_block)
            while True:
                sink(read_block(await self._track.recv()))
        except MediaStreamError as error:
            raise ConnectionLost("the remote peer's audio track ended") from error
        finally:
            drop_inline(self._receiver)

    def prefer(self, rate_hz: int, layout: Layout) -> None:
        """Has Opus decoded for that; see `Transport.prefer_audio`."""
        if (opus := opus_receiver_of(self._receiver)) is not None:
            opus.prefer(rate_hz, layout)

    def keep_pauses(self) -> None:
        """Has gaps in timestamps of Opus be silence; see `Transport.keep_pauses`."""
        if (opus := opus_receiver_of(self._receiver)) is not None:
            opus.keep_pauses()

    def flush(self) -> bool:
        """Delivers the packets that wait; see `Transport.flush_audio`."""
        opus = opus_receiver_of(self._receiver)
        return opus is None or opus.flush()

    def feed_turns(self, turns: InboundTurns, on_detected: Callable[[Detected], None]) -> None:
        """Has turns detected by the thread that receives, if one does; see `Transport.feed_turns`.

        ``on_detected`` runs in the current context, as a sink does.
        """
        if (opus := opus_receiver_of(self._receiver)) is not None:
            run: Any = contextvars.copy_context().run
            opus.feed(turns, functools.partial(run, on_detected))


def read_block(item: object) -> AudioBlock:
    """Returns what a track of audio had next as a block.

    Raises:
        ConnectionLost: It is no audio, or its samples are not packed int16.
        Exception: The item is one: the sink raised it where blocks are delivered inline.
    """
    if isinstance(item, AudioBlock):
        return item
    if isinstance(item, Exception):
        raise item
    if not isinstance(item, AudioFrame):
        raise ConnectionLost(f"expected decoded audio on the track, got {type(item).__name__}")
    if item.format.name != S16:
        raise ConnectionLost(f"expected packed s16 from the decoder, got {item.format.name}")
    channels: Any = item.layout.nb_channels
    return AudioBlock(item.sample_rate, channels, view_samples(item, channels))

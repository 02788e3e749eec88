"""Inbound video between aiortc's receiver and its decoder thread, through a buffer of our own.

aiortc requests a missing packet once, until another one is missing; and it takes one frame out of
its jitter buffer for each packet that comes, so that the delay of a loss stays. Runs on the event
loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiortc.codecs import depayload
from aiortc.jitterbuffer import JitterFrame

from gradio_webrtc._transport.webrtc.video_buffer import VideoJitterBuffer

from . import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiortc.rtp import RtpPacket


class VideoPackets:
    """Stands where aiortc has its jitter buffer, and gives it no frame.

    Attributes:
        buffer: Takes the packets.
        is_repair: True if the next one came as a retransmission.
    """

    def __init__(self) -> None:
        self.buffer = VideoJitterBuffer()
        self.is_repair = False
        self._packet: RtpPacket | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Takes a packet, which `sort` goes on with.

        Returns:
            False, since no key frame is requested here, and no frame.
        """
        self._packet = packet
        return False, None

    def restart(self) -> None:
        """Begins a new stream."""
        self.buffer = VideoJitterBuffer()

    def sort(self, own: dict[str, Any], now_s: float) -> None:
        """Passes the packet that aiortc took to the buffer, if it took one.

        Args:
            own: The receiver's attributes.
            now_s: The time, monotonic, in seconds.
        """
        packet, self._packet = self._packet, None
        if packet is None:
            return
        codec = own[names.CODECS][packet.payload_type]
        data = depayload(codec, packet.payload) if packet.payload else b""
        is_repair = self.is_repair
        self.buffer.add(packet, data, now_s, codec=codec.name, is_repair=is_repair)

    def decode(self, own: dict[str, Any]) -> None:
        """Passes the frames that are whole to the decoder thread."""
        for item in self._coded_frames(own):
            own[names.DECODER_QUEUE].put(item)

    def _coded_frames(self, own: dict[str, Any]) -> Iterator[tuple[object, JitterFrame]]:
        for frame in self.buffer.take_frames():
            if own[names.DECODER_THREAD] is not None:
                timestamp = own[names.TIMESTAMP_MAPPER].map(frame.timestamp)
                yield own[names.CODECS][frame.payload_type], JitterFrame(frame.data, timestamp)

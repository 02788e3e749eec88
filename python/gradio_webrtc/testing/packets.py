"""Audio of a simulated client as packets through a bad network, to the receiver of real sessions.

Runs on the event loop, on the time that it is given.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from gradio_webrtc._media import AudioEncoder
from gradio_webrtc._transport.pacing import FRAME_SAMPLES
from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver, RtpAudioPacket
from gradio_webrtc.types import TransportStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio_webrtc._transport import AudioBlock, AudioSink
    from gradio_webrtc.types import Layout

    from .network import Network

HEADER: Final = struct.Struct("!BBHII")
"""Of RTP without extensions (RFC 3550 section 5.1)."""

VERSION: Final = 0x80
PAYLOAD_TYPE: Final = 111
"""Of Opus, in the offers of browsers."""

SSRC: Final = 1

TAG_BYTES: Final = 10
"""The signature behind a packet (SRTP_AES128_CM_HMAC_SHA1_80, RFC 5764 section 4.1.2)."""


class PacketPath:
    """Encodes a client's audio, carries the packets through a network, and decodes what comes.

    Packets are as long as real ones, and one with a wrong bit is dropped as in SRTP, but nothing is
    encrypted. Order, lateness and loss are the matter of the receiver of real sessions.

    Args:
        network: The network.
        sink: Receives the blocks in `receive`.
        clock: The time in seconds, monotonic.
    """

    def __init__(self, network: Network, sink: AudioSink, clock: Callable[[], float]) -> None:
        self._link = network.open_link()
        self._encoder = _open_encoder(network)
        self._failures: list[Exception] = []
        self._sequence = 0
        self._received = 0
        self._broken = 0
        self._receiver = OpusReceiver({PAYLOAD_TYPE}, self._note, clock)
        self._receiver.sink = sink

    @property
    def deadline_s(self) -> float | None:
        """The time at which the next packet comes; ``None`` if none is under way."""
        return self._link.deadline_s

    def prefer_audio(self, rate_hz: int, layout: Layout) -> None:
        """Has audio decoded for that; see `Transport.prefer_audio`."""
        self._receiver.prefer(rate_hz, layout)

    def keep_pauses(self) -> None:
        """Has gaps in timestamps be silence; see `Transport.keep_pauses`."""
        self._receiver.keep_pauses()

    def flush_audio(self) -> None:
        """Delivers the packets that wait; see `Transport.flush_audio`."""
        self._receiver.flush()

    def send(self, now_s: float, block: AudioBlock) -> None:
        """Sends 20 ms, 48 kHz mono."""
        timestamp = self._sequence * FRAME_SAMPLES % (1 << 32)
        header = HEADER.pack(VERSION, PAYLOAD_TYPE, self._sequence % (1 << 16), timestamp, SSRC)
        packet = header + self._encoder.encode(block.samples)
        self._sequence += 1
        self._link.send(now_s, packet + _tag(packet))

    def receive(self, now_s: float) -> None:
        """Hands what has come by now to the receiver.

        Raises:
            Exception: The sink raised it.
        """
        self._raise_failure()
        while (signed := self._link.poll(now_s)) is not None:
            packet, tag = signed[:-TAG_BYTES], signed[-TAG_BYTES:]
            if tag != _tag(packet):
                self._broken += 1
                continue
            self._received += 1
            _, payload_type, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
            payload = packet[HEADER.size :]
            self._receiver.add(RtpAudioPacket(payload_type, sequence, timestamp, ssrc, payload))
            self._raise_failure()

    def close(self) -> None:
        """Ends the receiver."""
        self._receiver.close()

    def stats(self) -> TransportStats:
        """Returns the counters of what came, and of what never will."""
        receiver, counts = self._receiver, self._link.stats()
        gone = counts["lost"] + counts["blacked_out"] + counts["overflowed"]
        return TransportStats(
            packets_received=self._received,
            bytes_received=receiver.received_bytes,
            packets_lost=gone + self._broken,
            packets_discarded=receiver.discarded,
            concealed_samples=receiver.concealed_samples,
        )

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _note(self, item: AudioBlock | Exception) -> None:
        if isinstance(item, Exception):
            self._failures.append(item)


def _open_encoder(network: Network) -> AudioEncoder:
    """An encoder to which the losses of that network were reported: from 3 % on with copies."""
    encoder = AudioEncoder(1)
    encoder.report(0.0, min(1.0, network.loss + network.burst_loss))
    return encoder


def _tag(packet: bytes) -> bytes:
    return hashlib.sha1(packet, usedforsecurity=False).digest()[:TAG_BYTES]

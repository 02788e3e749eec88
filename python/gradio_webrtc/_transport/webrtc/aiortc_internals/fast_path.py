"""Carries audio from the socket straight to `OpusReceiver`, past aiortc's queue and tasks.

On aiortc's way a datagram waits in a queue, wakes a task, is parsed with all its extensions, routed
and dated: that takes longer than decoding it. Only packets of a stream that aiortc has already
routed come this way, and only the plain ones. All others, and everything else that a connection
carries, go where they always went.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any, Final

import pylibsrtp

from gradio_webrtc._transport.webrtc.opus_receiver import RtpAudioPacket

from . import names, probe
from .dtls import HardenedSrtp
from .opus_coding import opus_receiver_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpReceiver

    from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver

    from .authentic import AuthenticPackets

logger = logging.getLogger(__name__)

HEADER: Final = struct.Struct("!BBHLL")
"""Flags, marker and payload type, sequence number, timestamp, SSRC (RFC 3550 section 5.1)."""

HEADER_BYTES: Final = HEADER.size

EXTENSION_BIT: Final = 0x10
PLAIN: Final = (0x80, 0x80 | EXTENSION_BIT)
"""First bytes: version 2 without padding and without contributing sources, with an extension of
the header or without."""

MAX_BYTES: Final = 1500
"""The MTU of Ethernet. A packet of 20 ms has some hundred."""


class RtpFastPath:
    """Stands where aioice puts the datagrams of a connection in its queue.

    Args:
        dtls: The transport of the connection, connected.
        receiver: The receiver whose packets are taken.
        opus: Receives them.
        enqueue: Receives everything else: aioice's own way.

    Attributes:
        taken: The number of packets that came this way.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        receiver: RTCRtpReceiver,
        opus: OpusReceiver,
        enqueue: Callable[[bytes, int], None],
    ) -> None:
        self.taken = 0
        srtp: Any = getattr(dtls, names.RX_SRTP)
        # A stream that aiortc has routed is among the sources that `HardenedSrtp` admits, so its
        # packets need only be decrypted, and noted as authentic.
        is_hardened = isinstance(srtp, HardenedSrtp)
        self._authentic: AuthenticPackets | None = srtp.authentic if is_hardened else None
        self._unprotect: Callable[[bytes], bytes] = (
            srtp.session.unprotect if is_hardened else srtp.unprotect
        )
        self._counts = vars(dtls)
        self._receiver = vars(receiver)
        self._streams: dict[int, Any] = self._receiver[names.REMOTE_STREAMS]
        self._opus = opus
        self._enqueue = enqueue

    def __call__(self, data: bytes, component: int) -> None:
        """Receives a datagram, on the event loop. One call for each, so nothing is split up."""
        opus = self._opus
        if HEADER_BYTES <= len(data) <= MAX_BYTES and data[0] in PLAIN:
            flags, kind, sequence, timestamp, ssrc = HEADER.unpack_from(data)
            kind &= 0x7F
            stream = self._streams.get(ssrc)
            is_ours = ssrc == opus.ssrc and kind in opus.payload_types and stream is not None
            if is_ours and self._receiver[names.ENABLED]:
                # As aiortc does: what its statistics and reports are made of.
                self._counts[names.RX_BYTES] += len(data)
                self._counts[names.RX_PACKETS] += 1
                try:
                    plain = self._unprotect(data)
                except pylibsrtp.Error as error:
                    logger.debug("dropped a packet that is forged, or came twice: %s", error)
                    return
                if (authentic := self._authentic) is not None:
                    authentic.last_s = authentic.clock()
                begin = HEADER_BYTES
                if flags & EXTENSION_BIT:
                    begin += 4 + 4 * int.from_bytes(plain[begin + 2 : begin + 4])
                self.taken += 1
                packet = RtpAudioPacket(kind, sequence, timestamp, ssrc, plain[begin:])
                stream.add(packet)  # type: ignore[union-attr]  # one of aiortc's statistics
                opus.add(packet)
                return
        self._enqueue(data, component)


def install_fast_path(pc: RTCPeerConnection) -> RtpFastPath | None:
    """Carries a connected connection's packets of audio past aiortc's tasks.

    Returns:
        The fast path; ``None`` where there is no audio in Opus, or aiortc is not built as expected.
    """
    if not probe.has(names.FAST_PATH):
        return None
    for transceiver in pc.getTransceivers():
        receiver = transceiver.receiver
        opus = opus_receiver_of(receiver)
        if opus is not None:
            dtls = receiver.transport
            connection: Any = getattr(dtls.transport, names.CONNECTION)
            path = RtpFastPath(dtls, receiver, opus, connection.data_received)
            connection.data_received = path
            return path
    return None

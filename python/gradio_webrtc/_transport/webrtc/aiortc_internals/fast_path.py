"""Leads packets of sound from the socket straight to `arrivals`, past aiortc's queue and tasks.

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

from gradio_webrtc._transport.webrtc.opus_receiver import OpusReceiver, RtpAudioPacket

from .inline import JITTER_BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpReceiver

logger = logging.getLogger(__name__)

RX_BYTES: Final = "_RTCDtlsTransport__rx_bytes"
RX_PACKETS: Final = "_RTCDtlsTransport__rx_packets"
REMOTE_STREAMS: Final = "_RTCRtpReceiver__remote_streams"
"""Private names of aiortc's, as of 1.16: what its statistics and reports are made of."""

HEADER: Final = struct.Struct("!BBHLL")
"""Flags, marker and payload type, sequence number, timestamp, SSRC (RFC 3550 section 5.1)."""

EXTENSION_BIT: Final = 0x10
PLAIN: Final = 0x80
"""Version 2 without padding and without contributing sources."""

MAX_BYTES: Final = 1500
"""The MTU of Ethernet. A packet of 20 ms has some hundred."""


class RtpFastPath:
    """Stands where aioice hands the datagrams of a connection to its queue.

    Args:
        dtls: The transport of the connection, connected.
        receiver: Whose packets are taken.
        arrivals: Where they go.
        theirs: Where everything else goes.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        receiver: RTCRtpReceiver,
        arrivals: OpusReceiver,
        theirs: Callable[[bytes, int], None],
    ) -> None:
        self.taken = 0
        self._unprotect: Callable[[bytes], bytes] = dtls._rx_srtp.unprotect  # noqa: SLF001
        self._dtls_counts = vars(dtls)
        self._receiver: Any = receiver
        self._streams: dict[int, Any] = vars(receiver)[REMOTE_STREAMS]
        self._arrivals = arrivals
        self._theirs = theirs

    def __call__(self, data: bytes, component: int) -> None:
        """Takes a datagram, on the event loop."""
        if not self._take(data):
            self._theirs(data, component)

    def _take(self, data: bytes) -> bool:
        if not HEADER.size <= len(data) <= MAX_BYTES or data[0] & ~EXTENSION_BIT != PLAIN:
            return False
        flags, kind, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        if not self._is_known(kind & 0x7F, ssrc):
            return False
        self._dtls_counts[RX_BYTES] += len(data)
        self._dtls_counts[RX_PACKETS] += 1
        try:
            plain = self._unprotect(data)
        except pylibsrtp.Error as error:
            logger.debug("dropped a packet that is not the caller's, or came twice: %s", error)
            return True
        begin = HEADER.size
        if flags & EXTENSION_BIT:
            begin += 4 + 4 * int.from_bytes(plain[begin + 2 : begin + 4])
        self.taken += 1
        packet = RtpAudioPacket(kind & 0x7F, sequence, timestamp, ssrc, plain[begin:])
        self._streams[ssrc].add(packet)
        self._arrivals.add(packet)
        return True

    def _is_known(self, payload_type: int, ssrc: int) -> bool:
        arrivals = self._arrivals
        return (
            ssrc == arrivals.ssrc
            and payload_type in arrivals.payload_types
            and ssrc in self._streams
            and self._receiver._enabled  # noqa: SLF001
        )


def install_fast_path(pc: RTCPeerConnection) -> RtpFastPath | None:
    """Leads a connected connection's packets of sound past aiortc's tasks.

    Returns:
        The shortcut; ``None`` where there is no sound in Opus, or aiortc looks different.
    """
    for transceiver in pc.getTransceivers():
        receiver = transceiver.receiver
        arrivals = getattr(receiver, JITTER_BUFFER, None)
        if isinstance(arrivals, OpusReceiver):
            return _connect(receiver, arrivals)
    return None


def _connect(receiver: RTCRtpReceiver, arrivals: OpusReceiver) -> RtpFastPath | None:
    dtls = receiver.transport
    connection: Any = getattr(dtls.transport, "_connection", None)
    looks_as_expected = (
        callable(getattr(connection, "data_received", None))
        and callable(getattr(getattr(dtls, "_rx_srtp", None), "unprotect", None))
        and isinstance(getattr(dtls, RX_BYTES, None), int)
        and isinstance(getattr(dtls, RX_PACKETS, None), int)
        and isinstance(getattr(receiver, REMOTE_STREAMS, None), dict)
        and hasattr(receiver, "_enabled")
    )
    if not looks_as_expected:
        return None
    shortcut = RtpFastPath(dtls, receiver, arrivals, connection.data_received)
    connection.data_received = shortcut
    return shortcut

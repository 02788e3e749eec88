"""aiortc's transport of a connection, hardened: decryption, parsing and routing of media.

Bounds what one remote peer can make it store and do. Runs on the event loop.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import pylibsrtp
from aiortc import RTCDtlsTransport
from aiortc.rtcdtlstransport import RtpRouter
from OpenSSL import SSL

from gradio_webrtc._transport.buckets import TokenBucket

from . import names
from .authentic import AuthenticPackets
from .objects import become
from .receiver import HardenedReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc.rtp import RtpPacket

logger = logging.getLogger(__name__)

MAX_STREAMS: Final = 8
"""Streams of media that a session may have. A client has one per track; another begins, for
example, when it changes the camera."""

MAX_SOURCES: Final = 32
"""Sources that libsrtp keeps a state for: those streams, their retransmissions, and the senders of
reports."""

REPORTS_PER_S: Final = 200
"""Packets of RTCP that are read. A browser sends a dozen, and some fifty while much is lost."""

MAX_REPORT_PARTS: Final = 32
"""Reports in one packet of RTCP."""

MAX_FEEDBACK_WORDS: Final = 34
"""The length of one report of lost packets, in words of 32 bits: 32 entries of 17 packets each (RFC
4585 section 6.2.1). A receiver can request 128 packets."""

FEEDBACK: Final = 205
"""The type of a report of lost packets (RFC 4585 section 6.1)."""


class HardenedDtls(RTCDtlsTransport):
    """Stands in the place of a connection's transport: see `harden`."""

    def harden(self) -> None:
        """Begins. Call it once, before the transport starts."""
        self.authentic = AuthenticPackets()
        self._reports = TokenBucket(REPORTS_PER_S, REPORTS_PER_S)
        router = become(self._rtp_router, HardenedRouter)
        if router is not None:
            router.harden()

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._rx_srtp is not None:
            hardened: Any = HardenedSrtp(self._rx_srtp, self.authentic)
            self._rx_srtp = hardened

    async def _handle_rtcp_data(self, data: bytes) -> None:
        if not self._reports.take() or not is_report_in_order(data):
            return
        try:
            await super()._handle_rtcp_data(data)
        except ConnectionError:
            raise
        except Exception as error:  # of any kind, from aiortc's parser
            logger.debug("a packet of RTCP was dropped", exc_info=error)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        try:
            await super()._handle_rtp_data(data, arrival_time_ms)
        except ConnectionError:
            raise
        except Exception as error:  # of any kind, from aiortc's parser
            logger.debug("a packet of RTP was dropped", exc_info=error)

    async def _send_data(self, data: bytes) -> None:
        try:
            await super()._send_data(data)
        except SSL.Error as error:  # between our goodbye and the change of state
            raise ConnectionError("The connection was ended.") from error


class HardenedSrtp:
    """Decrypts for few sources only: libsrtp keeps a state for every one that it ever received.

    Args:
        session: libsrtp's.
        authentic: Noted in for each packet that was decrypted.
    """

    def __init__(self, session: pylibsrtp.Session, authentic: AuthenticPackets) -> None:
        self.session = session
        self.authentic = authentic
        self._unprotect: Callable[[bytes], bytes] = session.unprotect
        self._unprotect_rtcp: Callable[[bytes], bytes] = session.unprotect_rtcp
        self._sources: set[bytes] = set()

    def unprotect(self, data: bytes) -> bytes:
        """Decrypts a packet of RTP.

        Raises:
            pylibsrtp.Error: It is not the peer's, came twice, or is of one source too many.
        """
        return self._take(data, data[8:12], self._unprotect)

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Decrypts a packet of RTCP, as `unprotect`."""
        return self._take(data, data[4:8], self._unprotect_rtcp)

    def _take(self, data: bytes, source: bytes, unprotect: Callable[[bytes], bytes]) -> bytes:
        if source not in self._sources and len(self._sources) >= MAX_SOURCES:
            raise pylibsrtp.Error("a packet of one source too many")
        plain = unprotect(data)
        self.authentic.note()
        self._sources.add(source)
        return plain


class HardenedRouter(RtpRouter):
    """Routes few streams only."""

    def harden(self) -> None:
        """Begins. Call it once, before the transport starts."""
        self._known: set[int] = set()

    def route_rtp(self, packet: RtpPacket) -> Any:
        """Returns the receiver of a packet; ``None`` for a stream that is not received."""
        is_new = packet.ssrc not in self._known
        if is_new and len(self._known) >= 2 * MAX_STREAMS:
            return None
        receiver = super().route_rtp(packet)
        if isinstance(receiver, HardenedReceiver):
            if not receiver.takes(packet) or (
                is_new and not self._has_place(receiver, packet.ssrc)
            ):
                if is_new:
                    self.ssrc_table.pop(packet.ssrc, None)
                return None
            self._known.add(packet.ssrc)
        return receiver

    def _has_place(self, receiver: HardenedReceiver, ssrc: int) -> bool:
        retransmissions = {ssrc for own in self.receivers for ssrc in vars(own)[names.RTX_SSRC]}
        return (
            ssrc in vars(receiver)[names.RTX_SSRC]
            or len(self._known - retransmissions) < MAX_STREAMS
        )


def is_report_in_order(data: bytes) -> bool:
    """True if a packet of RTCP has few parts, none of them longer than it may be."""
    position, parts = 0, 0
    while position + 4 <= len(data):
        words = int.from_bytes(data[position + 2 : position + 4])
        parts += 1
        is_long = data[position + 1] == FEEDBACK and words > MAX_FEEDBACK_WORDS
        if parts > MAX_REPORT_PARTS or is_long:
            return False
        position += 4 * (words + 1)
    return True

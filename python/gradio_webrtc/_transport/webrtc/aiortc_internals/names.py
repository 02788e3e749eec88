"""Private names of aiortc's that the defences lean on, and whether they are still there.

aiortc promises none of them. pyproject.toml therefore bounds its version, and a contract test reads
its source; this probe is for whoever installs another version all the same.
"""

from __future__ import annotations

import importlib.metadata
import logging
from typing import Any, Final, TypeVar

logger = logging.getLogger(__name__)

Held = TypeVar("Held")

SCTP: Final = (
    "_advertised_rwnd",
    "_association_state",
    "_data_channel_queue",
    "_data_channel_receive",
    "_data_channels",
    "_handle_data",
    "_last_received_tsn",
    "_last_sacked_tsn",
    "_outbound_queue",
    "_receive",
    "_receive_chunk",
    "_receive_data_chunk",
    "_receive_forward_tsn_chunk",
    "_receive_sack_chunk",
    "_reset_deferred_streams",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
    "_send_chunk",
    "_sent_queue",
)
"""Of an association, as of aiortc 1.16."""

DECODER_ERROR: Final = "_RTCRtpReceiver__decoder_error"
DECODER_QUEUE: Final = "_RTCRtpReceiver__decoder_queue"
NACK_GENERATOR: Final = "_RTCRtpReceiver__nack_generator"
RATE_ESTIMATOR: Final = "_RTCRtpReceiver__remote_bitrate_estimator"
CODECS: Final = "_RTCRtpReceiver__codecs"
RTX_SSRC: Final = "_RTCRtpReceiver__rtx_ssrc"
REMOTE_STREAMS: Final = "_RTCRtpReceiver__remote_streams"
ACTIVE_SSRC: Final = "_RTCRtpReceiver__active_ssrc"
LSR: Final = "_RTCRtpReceiver__lsr"
LSR_TIME: Final = "_RTCRtpReceiver__lsr_time"
RECEIVER_RTCP_EXITED: Final = "_RTCRtpReceiver__rtcp_exited"

RECEIVER: Final = (
    DECODER_ERROR,
    DECODER_QUEUE,
    NACK_GENERATOR,
    RATE_ESTIMATOR,
    CODECS,
    RTX_SSRC,
    REMOTE_STREAMS,
    ACTIVE_SSRC,
    LSR,
    LSR_TIME,
    RECEIVER_RTCP_EXITED,
    "_handle_rtp_packet",
    "_run_rtcp",
    "_send_rtcp",
    "_send_rtcp_nack",
    "_send_rtcp_pli",
)
"""Of a receiver."""

PACKET_COUNT: Final = "_RTCRtpSender__packet_count"
RTP_HISTORY: Final = "_RTCRtpSender__rtp_history"
ROUND_TRIP: Final = "_RTCRtpSender__rtt"
SENDER_RTP_EXITED: Final = "_RTCRtpSender__rtp_exited"
SENDER_RTCP_EXITED: Final = "_RTCRtpSender__rtcp_exited"

SENDER: Final = (
    PACKET_COUNT,
    RTP_HISTORY,
    ROUND_TRIP,
    SENDER_RTP_EXITED,
    SENDER_RTCP_EXITED,
    "_handle_rtcp_packet",
    "_retransmit",
    "_run_rtcp",
    "_run_rtp",
    "_send_keyframe",
)
"""Of a sender."""

DTLS: Final = (
    "_handle_rtcp_data",
    "_handle_rtp_data",
    "_rtp_router",
    "_rx_srtp",
    "_send_data",
    "_setup_srtp",
)
"""Of a transport."""

ROUTER: Final = ("receivers", "route_rtp", "ssrc_table")
"""Of the table that leads packets to receivers."""

RATE: Final = ("_erase_old", "_origin_ms", "_window_size", "reset")
"""Of the counter of what comes in."""

_reported: set[str] = set()


def become(
    thing: object, kind: type[Held], names: tuple[str, ...], unprotected: str
) -> Held | None:
    """Has an object of aiortc's be one of ours, which overrides what it believes too readily.

    aiortc makes its objects itself, and has no place to hand it others. To change the class of one
    leaves those of other programs alone, costs no call a packet and makes no cycle of references.

    Args:
        thing: An object of aiortc's.
        kind: A subclass of its class, with no slots and no constructor of its own.
        names: The private names that ``kind`` needs ``thing`` to have.
        unprotected: What stays open without, for the log.

    Returns:
        The object; ``None`` if it does not look as expected, which is logged once.
    """
    if looks_as_expected(thing, kind, names):
        held: Any = thing
        held.__class__ = kind
        return held  # type: ignore[no-any-return]
    warn_unprotected(unprotected)
    return None


def warn_unprotected(unprotected: str) -> None:
    """Logs once for each kind of attack that this aiortc leaves calls open to."""
    if unprotected not in _reported:
        _reported.add(unprotected)
        logger.warning(
            "aiortc %s is not built as the versions that this package knows, so that calls are not "
            "protected from %s: install a version that the package asks for",
            importlib.metadata.version("aiortc"),
            unprotected,
        )


def looks_as_expected(thing: object, kind: type, names: tuple[str, ...]) -> bool:
    """Whether a thing is of the class that ``kind`` is made from, and has all of the names."""
    return type(thing) is kind.__base__ and all(hasattr(thing, name) for name in names)

"""Holds in check what aiortc believes of its peer: whoever is connected is not yet a friend.

Everything here is installed on one connection's objects, before it starts. docs/upstream.md says of
each defence what the fault in aiortc is, and what would make the defence unnecessary.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from gradio_webrtc._limits import DEFAULT_LIMITS

from . import names
from .association import HeldAssociation
from .authentic import AuthenticPackets
from .dtls import HeldDtls
from .receiver import HeldReceiver
from .sender import HeldSender

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection, RTCRtpTransceiver

    from gradio_webrtc._limits import Limits

logger = logging.getLogger(__name__)

__all__ = ["AuthenticPackets", "HeldDtls", "count_unacknowledged", "hold_in_check"]


def hold_in_check(
    pc: RTCPeerConnection, end: Callable[[str], None], limits: Limits = DEFAULT_LIMITS
) -> None:
    """Bounds what the peer of a connection can make it do.

    Args:
        pc: The answering side, whose remote description is set.
        end: A method that ends the call, with a reason; held weakly.
        limits: Of messages and pictures.
    """
    ended = weakref.WeakMethod(end)

    def end_call(reason: str) -> None:
        logger.warning("a call ends: %s", reason)
        if (method := ended()) is not None:
            method(reason)

    if pc.sctp is not None:
        held = names.become(pc.sctp, HeldAssociation, names.SCTP, "floods of the data channel")
        if held is not None:
            held.hold(end_call, limits)
    for transceiver in pc.getTransceivers():
        _hold_track(transceiver, limits)


def count_unacknowledged(pc: RTCPeerConnection) -> int:
    """How many messages, and parts of some, a connection's peer has not acknowledged."""
    return pc.sctp.unacknowledged if isinstance(pc.sctp, HeldAssociation) else 0


def _hold_track(transceiver: RTCRtpTransceiver, limits: Limits) -> None:
    receiver = names.become(
        transceiver.receiver, HeldReceiver, names.RECEIVER, "pictures that are too large"
    )
    sender = names.become(transceiver.sender, HeldSender, names.SENDER, "floods of requests")
    if receiver is not None:
        receiver.hold(limits)
    if sender is not None:
        sender.hold()
    # One of them serves all that is bundled.
    if isinstance(transceiver.receiver.transport, HeldDtls):
        return
    dtls = names.become(transceiver.receiver.transport, HeldDtls, names.DTLS, "floods of reports")
    if dtls is not None:
        dtls.hold()

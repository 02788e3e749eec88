"""The one room for what aiortc and aioice do not promise: private names and patched functions.

Duty: whatever this package does to aiortc and aioice beside their public interfaces is done here.
That is protection (no part of a connection trusts its remote peer further than it must:
docs/upstream.md lists each fault and the change that would end it), speed (Opus takes a short way
in and out), and the end of connections that do not close by themselves. The files beside this room
use public interfaces, and the functions below.

Versions: aiortc >=1.16,<1.17 and aioice >=0.13,<0.14, as in pyproject.toml and `names`.

Probe: `names` has every name once, by aspect; `probe` looks for all of them when the first
connection is made. An aspect without one of its names is left to aiortc, whose connection works
without; one warning in the process names the versions, the names and what is lost.

When a name is gone: run ``pytest tests/contract/test_aiortc_internals.py``. Read how the new
version does what the name was for. If it has no need of us any more, delete the aspect and its
paragraph in docs/upstream.md; otherwise change the name in `names` and the code that uses it. Then
move the ranges there and in pyproject.toml. Everything runs on the event loop, and on one
connection's objects, before it starts.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

from gradio_webrtc._limits import DEFAULT_LIMITS

from . import names, probe
from .association import HardenedAssociation
from .certificate import accept_rsa
from .counters import read_counters
from .datagram_guard import DatagramGuard, guard_sockets
from .dtls import HardenedDtls
from .fast_path import install_fast_path
from .fast_sender import install_fast_sender
from .host_addresses import host_addresses, offer_loopback_when_alone
from .objects import become
from .opus_coding import code_inline, deliver_inline, drop_inline, opus_receiver_of
from .own_sockets import use_addresses
from .receiver import HardenedReceiver
from .sender import HardenedSender, encode_by
from .teardown import close, detach

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCPeerConnection, RTCRtpTransceiver

    from gradio_webrtc._limits import Limits

logger = logging.getLogger(__name__)

__all__ = [
    "DatagramGuard",
    "accept_rsa",
    "close",
    "code_inline",
    "count_unacknowledged",
    "deliver_inline",
    "detach",
    "drop_inline",
    "encode_by",
    "guard_sockets",
    "harden",
    "host_addresses",
    "install_fast_path",
    "install_fast_sender",
    "offer_loopback_when_alone",
    "opus_receiver_of",
    "read_counters",
    "use_addresses",
]


def harden(
    pc: RTCPeerConnection, end: Callable[[str], None], limits: Limits = DEFAULT_LIMITS
) -> None:
    """Bounds what the remote peer of a connection can make it do.

    Args:
        pc: The answering side, whose remote description is set.
        end: A method that ends the session, with a reason; held weakly.
        limits: Of messages and video frames.
    """
    ended = weakref.WeakMethod(end)

    def end_session(reason: str) -> None:
        logger.warning("a session ends: %s", reason)
        if (method := ended()) is not None:
            method(reason)

    if pc.sctp is not None and probe.has(names.ASSOCIATION):
        association = become(pc.sctp, HardenedAssociation)
        if association is not None:
            association.harden(end_session, limits)
    for transceiver in pc.getTransceivers():
        _harden_track(transceiver, limits)


def count_unacknowledged(pc: RTCPeerConnection) -> int:
    """Returns how many messages, and parts of some, the remote peer has not acknowledged."""
    return pc.sctp.unacknowledged if isinstance(pc.sctp, HardenedAssociation) else 0


def _harden_track(transceiver: RTCRtpTransceiver, limits: Limits) -> None:
    if probe.has(names.RECEIVER):
        receiver = become(transceiver.receiver, HardenedReceiver)
        if receiver is not None:
            receiver.harden(limits)
    if probe.has(names.SENDER):
        sender = become(transceiver.sender, HardenedSender)
        if sender is not None:
            sender.harden()
    # One transport serves all that is bundled: the second track finds it hardened.
    if probe.has(names.DTLS):
        dtls = become(transceiver.receiver.transport, HardenedDtls)
        if dtls is not None:
            dtls.harden()

"""The counters of a connection's packets, which aiortc has in public for coroutines alone.

Reads attributes and changes nothing, so it may run in any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gradio_webrtc.types import TransportStats

from . import names, probe
from .opus_coding import opus_receiver_of
from .receiver import HardenedReceiver
from .sender import HardenedSender

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection, RTCRtpReceiver

CLOCKS_HZ: Final = {"audio": 48_000, "video": 90_000}
"""The clocks of RTP time stamps, in which jitter is counted (RFC 7587 section 4.1, RFC 7741)."""


def read_counters(
    pc: RTCPeerConnection, *, frames_decoded: int, frames_dropped: int, messages_dropped: int
) -> TransportStats:
    """Returns the counters of all tracks together; those of packets are 0 where aiortc hides them.

    Args:
        pc: The connection, in any state before `detach`.
        frames_decoded: Video frames that were decoded.
        frames_dropped: Those of them that nobody took.
        messages_dropped: Messages that newer ones replaced.
    """
    counts = dict.fromkeys(("received", "bytes", "lost", "discarded", "concealed", "refused"), 0)
    jitter_s, sent, bytes_sent = 0.0, 0, 0
    round_trip_s: float | None = None
    if probe.has(names.COUNTERS):
        for transceiver in pc.getTransceivers():
            jitter_s = max(jitter_s, _count_received(transceiver.receiver, counts))
            own = vars(transceiver.sender)
            counts_sent = own[names.PACKET_COUNT], own[names.OCTET_COUNT]
            its_round_trip_s = own[names.ROUND_TRIP]
            if isinstance(transceiver.sender, HardenedSender):
                counts_sent = transceiver.sender.counts
                its_round_trip_s = transceiver.sender.round_trip_s
            sent += counts_sent[0]
            bytes_sent += counts_sent[1]
            round_trip_s = its_round_trip_s if round_trip_s is None else round_trip_s
    return TransportStats(
        packets_received=counts["received"],
        bytes_received=counts["bytes"],
        packets_lost=counts["lost"],
        packets_discarded=counts["discarded"],
        jitter_s=jitter_s,
        concealed_samples=counts["concealed"],
        frames_decoded=frames_decoded,
        frames_dropped=frames_dropped,
        frames_refused=counts["refused"],
        packets_sent=sent,
        bytes_sent=bytes_sent,
        round_trip_time_s=round_trip_s,
        messages_dropped=messages_dropped,
    )


def _count_received(receiver: RTCRtpReceiver, counts: dict[str, int]) -> float:
    """Adds the counters of a receiver; returns its jitter, in seconds."""
    if receiver.track is None:
        return 0.0
    # A list, since the event loop may add a stream meanwhile.
    streams: list[Any] = list(vars(receiver)[names.REMOTE_STREAMS].values())
    counts["received"] += sum(each.packets_received for each in streams)
    counts["lost"] += sum(max(0, each.packets_lost) for each in streams)
    opus = opus_receiver_of(receiver)
    if opus is not None:
        counts["bytes"] += opus.received_bytes
        counts["discarded"] += opus.discarded
        counts["concealed"] += opus.concealed_samples
    elif isinstance(receiver, HardenedReceiver):
        counts["bytes"] += receiver.received_bytes
    if isinstance(receiver, HardenedReceiver):
        # Streams that gave way to a new one are no longer among those of aiortc.
        counts["received"] += receiver.former_received
        counts["lost"] += receiver.former_lost
        counts["refused"] += receiver.refused_frames
    return max((each.jitter for each in streams), default=0) / CLOCKS_HZ[receiver.track.kind]

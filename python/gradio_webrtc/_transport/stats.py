"""The counters that every transport keeps, under the names of the W3C where it has one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransportStats:
    """The counters of one transport, since its session began. Names as in W3C webrtc-stats.

    Attributes:
        packets_received: Inbound media packets (``packetsReceived``).
        bytes_received: Their payloads, in bytes (``bytesReceived``).
        packets_lost: Inbound packets that never came (``packetsLost``).
        packets_discarded: Inbound packets that came and were not decoded (``packetsDiscarded``):
            too late, too many for the time that passed, or broken.
        jitter_s: Their interarrival jitter, in seconds (``jitter``).
        concealed_samples: Samples per channel of 48 kHz that were filled in for missing packets
            (``concealedSamples``).
        frames_received: Inbound video frames that were decoded (``framesDecoded``).
        frames_dropped: Those of them that nobody took before the next one came
            (``framesDropped``).
        packets_sent: Outbound media packets (``packetsSent``).
        bytes_sent: Their payloads, in bytes (``bytesSent``).
        round_trip_time_s: As of the last RTCP report, in seconds (``roundTripTime``); ``None``
            before the first.
    """

    packets_received: int = 0
    bytes_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    jitter_s: float = 0.0
    concealed_samples: int = 0
    frames_received: int = 0
    frames_dropped: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    round_trip_time_s: float | None = None
